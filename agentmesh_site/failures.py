"""What is answered when no view could: problem+json below /api/, Django's own pages elsewhere."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.views import defaults

from events.api.problem import Problem, invalid, named

API = "/api/"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that was refused before its view, for its Host header above all."""
    if request.path.startswith(API):
        return named(request, invalid("The request as a whole is refused. Check its Host header."))
    page: HttpResponse = defaults.bad_request(request, exception)
    return page


def server_error(request: HttpRequest) -> HttpResponse:
    if request.path.startswith(API):
        failed = Problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal_error",
            "The server failed. What was sent may be sent again under the same Idempotency-Key.",
        )
        return named(request, failed)
    return defaults.server_error(request)
