"""What routes that need no login have in common: anybody may ask, keep the answer, and ask again
whether it is still the same."""

import hashlib
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import parse_etags
from rest_framework.request import Request

from events.api.door import JSON, Door

MAX_AGE_SECONDS = 300


class OpenDoor(Door):
    """A route for everybody. It looks at no credentials, good or bad."""

    for_anybody = True

    def finalize_response(  # type: ignore[override]
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers["Vary"] = "Accept"
        if response.status_code in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED):
            response.headers["Cache-Control"] = f"public, max-age={MAX_AGE_SECONDS}"
        return response

    def cacheable(self, body: bytes, content_type: str = JSON) -> HttpResponse:
        """The body with its ETag; 304 without it for whoever has it already."""
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        held = parse_etags(self.http_request.headers.get("If-None-Match", ""))
        if "*" in held or etag in (each.removeprefix("W/") for each in held):
            response = HttpResponse(status=HTTPStatus.NOT_MODIFIED)
            del response.headers["Content-Type"]
        else:
            response = HttpResponse(body, content_type=content_type)
        response.headers["ETag"] = etag
        return response
