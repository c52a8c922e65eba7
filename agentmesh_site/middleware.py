"""What every response passes: the headers that keep a browser strict, and the static files."""

from collections.abc import Callable
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
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


def security_headers(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Content-Security-Policy and Permissions-Policy; the rest is Django's SecurityMiddleware."""

    def respond(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers["Permissions-Policy"] = PERMISSIONS_POLICY
        return response

    return respond


# Asked for by an address, such as a container's, that no setting can know; they tell nobody's Host.
FOR_ANY_HOST = frozenset({"/health/live", "/health/ready", "/metrics"})


class HostCheck(CommonMiddleware):
    """Django's own, which refuses unknown hosts, but for those who watch us."""

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:  # type: ignore[override]
        return None if request.path in FOR_ANY_HOST else super().process_request(request)


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """WhiteNoise, whose answers are whole."""

    async_capable = False

    def add_files(self, root: str | Path, prefix: str | None = None) -> None:
        """Nothing collected is the normal case here, and not worth WhiteNoise's warning."""
        if Path(root).is_dir():
            super().add_files(root, prefix=prefix)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        found = self._read(request) if request.path_info.startswith(self.static_prefix) else None
        return found if found is not None else self.get_response(request)

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
