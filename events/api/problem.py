"""How a door says no: application/problem+json (RFC 9457), one shape for every refusal.

Views and everything beneath them raise a Problem; `Door` turns it into the answer.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from events.origin import CORRELATION, correlation_id_of

CONTENT_TYPE = "application/problem+json"

TITLES = {
    "invalid": "The request is not valid",
    "unauthenticated": "Who is asking is not known",
    "forbidden": "Not allowed",
    "not_found": "Not found",
    "method_not_allowed": "This path has no such method",
    "not_acceptable": "No acceptable form",
    "rule_violated": "A rule forbids it",
    "already_exists": "It exists already",
    "conflict": "Others were first",
    "no_agent": "No agent can take it now",
    "in_progress": "The same request is still running",
    "version_mismatch": "It has changed",
    "too_large": "Too large",
    "unsupported_media_type": "Not JSON",
    "key_reused": "The idempotency key was used before",
    "throttled": "Too many requests",
    "unavailable": "Not available now",
    "internal_error": "The server failed",
}
STATUSES = {
    "invalid": HTTPStatus.BAD_REQUEST,
    "unauthenticated": HTTPStatus.UNAUTHORIZED,
    "forbidden": HTTPStatus.FORBIDDEN,
    "not_found": HTTPStatus.NOT_FOUND,
    "method_not_allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "not_acceptable": HTTPStatus.NOT_ACCEPTABLE,
    "rule_violated": HTTPStatus.CONFLICT,
    "already_exists": HTTPStatus.CONFLICT,
    "conflict": HTTPStatus.CONFLICT,
    "no_agent": HTTPStatus.CONFLICT,
    "in_progress": HTTPStatus.CONFLICT,
    "version_mismatch": HTTPStatus.PRECONDITION_FAILED,
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unsupported_media_type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "key_reused": HTTPStatus.UNPROCESSABLE_ENTITY,
    "throttled": HTTPStatus.TOO_MANY_REQUESTS,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "internal_error": HTTPStatus.INTERNAL_SERVER_ERROR,
}


class Problem(Exception):
    """A refusal. `errors` say where: {"pointer" | "parameter" | "header": …, "detail": …};
    `reasons`, where a code has them, say why: {"code": …, "detail": …, …}."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        rule: str | None = None,
        current_task_id: str | None = None,
        reasons: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        self.rule = rule
        self.current_task_id = current_task_id
        self.reasons = reasons

    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": TITLES[self.code],
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.rule is not None:
            found["rule"] = self.rule
        if self.current_task_id is not None:
            found["current_task_id"] = self.current_task_id
        if self.reasons:
            found["reasons"] = list(self.reasons)
        if self.errors:
            found["errors"] = list(self.errors)
        return found

    def response(self) -> HttpResponse:
        return HttpResponse(
            msgspec.json.encode(self.body()),
            status=self.status,
            content_type=CONTENT_TYPE,
            headers=self.headers,
        )


def not_found() -> Problem:
    """Always the same body: what another tenant owns and what does not exist are one answer."""
    return Problem(
        HTTPStatus.NOT_FOUND,
        "not_found",
        "There is nothing here, or nothing that you may see. Check the path and the tenant.",
    )


def unauthenticated(detail: str) -> Problem:
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        "unauthenticated",
        detail,
        headers={"WWW-Authenticate": 'Bearer realm="AgentMesh"'},
    )


def forbidden(detail: str) -> Problem:
    return Problem(HTTPStatus.FORBIDDEN, "forbidden", detail)


def invalid(detail: str, *errors: Mapping[str, str]) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "invalid", detail, errors=errors)


def invalid_parameter(name: str, detail: str) -> Problem:
    return invalid(f"{name} {detail}", {"parameter": name, "detail": detail})


def invalid_header(name: str, detail: str) -> Problem:
    return invalid(f"{name} {detail}", {"header": name, "detail": detail})


def invalid_field(path: str, detail: str) -> Problem:
    """`path` without its leading slash, as the domain names fields: "capabilities/0/name"."""
    return invalid(f"{path} {detail}", {"pointer": f"/{path}", "detail": detail})


def field_too_large(path: str, detail: str) -> Problem:
    """For one field of a body that would pass as a whole; `path` as for `invalid_field`."""
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        f"{path} {detail}",
        errors=({"pointer": f"/{path}", "detail": detail},),
    )


def unavailable(detail: str) -> Problem:
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", detail, headers={"Retry-After": "1"}
    )


@csrf_exempt  # nothing is done here, and a POST to a mistyped path deserves its 404
def no_such_path(request: HttpRequest, *_: object, **__: object) -> HttpResponse:
    """The view of every path below /api/ that no route has."""
    return named(request, not_found())


def named(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The answer where no door gives it, with the correlation id that every answer has."""
    response = problem.response()
    response.headers[CORRELATION] = correlation_id_of(request)
    return response
