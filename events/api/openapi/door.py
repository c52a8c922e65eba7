"""GET /api/v1/openapi.json: what the API takes and answers, for programs."""

from typing import ClassVar

from django.http import HttpResponse
from rest_framework.request import Request

from events.api.open_door import OpenDoor
from events.api.openapi import document
from events.api.openapi.operation import Operation
from events.api.openapi.shape import OBJECT


class OpenAPI(OpenDoor):
    """GET /openapi.json"""

    operations: ClassVar = {
        "GET": Operation(
            "read_openapi",
            "about",
            "This document",
            answer=OBJECT,
            has_etag=True,
        )
    }

    def get(self, _: Request) -> HttpResponse:
        return self.cacheable(document.served())
