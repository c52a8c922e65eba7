"""What every response passes: the headers that keep a browser strict, and the static files.

All work under WSGI and, without leaving the event loop, under ASGI: a middleware that can only
work synchronously would send every request, static or not, through a thread twice.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.utils.decorators import sync_and_async_middleware
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile

# Nothing from elsewhere, nothing inline, never in a frame.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; "
    "object-src 'none'; "
    "base-uri 'none'; "
    "form-action 'self'; "
    "frame-ancestors 'none'"
)
PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "magnetometer",
        "microphone",
        "payment",
        "usb",
    )
)


def _strict(response: HttpResponseBase) -> HttpResponseBase:
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["Permissions-Policy"] = PERMISSIONS_POLICY
    return response


@sync_and_async_middleware
def security_headers(
    get_response: Callable[[HttpRequest], Any],
) -> Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]:
    """Content-Security-Policy and Permissions-Policy; the rest is Django's SecurityMiddleware."""
    if iscoroutinefunction(get_response):

        async def respond_async(request: HttpRequest) -> HttpResponseBase:
            return _strict(await get_response(request))

        return respond_async

    def respond(request: HttpRequest) -> HttpResponseBase:
        return _strict(get_response(request))

    return respond


# Asked for by an address, such as a container's, that no setting can know; they tell nobody's Host.
FOR_ANY_HOST = frozenset({"/health/live", "/health/ready", "/metrics"})


class HostCheck(CommonMiddleware):
    """Django's own, which refuses unknown hosts, but for those who watch us."""

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:  # type: ignore[override]
        return None if request.path in FOR_ANY_HOST else super().process_request(request)


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """WhiteNoise, which leaves the event loop for a static file only, and then only once."""

    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def add_files(self, root: str | Path, prefix: str | None = None) -> None:
        """Nothing collected is the normal case here, and not worth WhiteNoise's warning."""
        if Path(root).is_dir():
            super().add_files(root, prefix=prefix)

    def __call__(self, request: HttpRequest) -> Any:
        return self._respond(request) if self._is_async else super().__call__(request)

    async def _respond(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(self.static_prefix):
            found = await sync_to_async(self._read, thread_sensitive=False)(request)
            if found is not None:
                return found
        response: HttpResponseBase = await self.get_response(request)
        return response

    def _read(self, request: HttpRequest) -> HttpResponse | None:
        """The whole file: a file streamed from a thread is what Django warns of under ASGI."""
        file: StaticFile | None = (
            self.find_file(request.path_info)
            if self.autorefresh
            else self.files.get(request.path_info)
        )
        if file is None:
            return None
        answer = file.get_response(request.method, request.META)
        if answer.file is None:
            body = b""
        else:
            with answer.file:
                body = answer.file.read()
        response = HttpResponse(body, status=int(answer.status))
        del response["Content-Type"]
        for name, value in answer.headers:
            response[name] = value
        return response
