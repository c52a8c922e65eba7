"""For answers to programs that watch us: GET and HEAD, and a refusal that a program can read."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from events.api.problem import Problem

METHODS = ("GET", "HEAD")
View = Callable[[HttpRequest], HttpResponse]


def reading_only(view: View) -> View:
    """The view for GET and HEAD; anything else is answered with a problem, 405."""

    @csrf_exempt  # nothing is done here, and a POST deserves to be told so
    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        if request.method in METHODS:
            return view(request)
        allowed = ", ".join(METHODS)
        return Problem(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "method_not_allowed",
            f"This path takes {allowed}.",
            headers={"Allow": allowed},
        ).response()

    return answer
