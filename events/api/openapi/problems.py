"""Refusals in the document: the one shape of them all, and for each status which codes it has."""

from collections.abc import Iterable
from http import HTTPStatus

from events.api.openapi.components import Components
from events.api.openapi.shape import Schema, Shape, choice, some_of, text, thing, whole
from events.api.problem import CONTENT_TYPE, STATUSES, TITLES

ALWAYS = ("X-Correlation-Id", "X-Request-Id", "RateLimit", "RateLimit-Policy")
HEADERS = {
    HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate",),
    HTTPStatus.PRECONDITION_FAILED: ("ETag",),
    HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After",),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After",),
}
_PLACES = ("pointer", "parameter", "header")
FAULT = Shape(
    {
        "type": "object",
        "properties": {**dict.fromkeys(_PLACES, text()), "detail": text()},
        "required": ["detail"],
        "additionalProperties": False,
        "description": "Where in the request, by one of the three: a JSON pointer into the body, a "
        "parameter of the query or a header; and what is wrong there.",
    },
    "Fault",
)
REASON = Shape(
    {
        "type": "object",
        "properties": {"code": text(), "detail": text()},
        "required": ["code", "detail"],
        "description": "Why, in a sentence and for a program; with what belongs to its code.",
    },
    "Reason",
)
PROBLEM = thing(
    "Problem",
    {
        "type": text(pattern="^/problems/[a-z_]+$"),
        "title": text(),
        "status": whole(400, 599),
        "detail": text().saying("For people: what is wrong, and what to do next."),
        "code": choice(TITLES).saying("For programs."),
        "rule": text().saying("The rule that forbids it, of `rule_violated`."),
        "current_task_id": text().saying("What the agent works on, where that is the reason."),
        "reasons": some_of(REASON).saying("Of `no_agent`: the first to be mended first."),
        "errors": some_of(FAULT),
    },
    optional=("rule", "current_task_id", "reasons", "errors"),
    description="RFC 9457: every refusal, whatever the path.",
)


def responses(components: Components, codes: Iterable[str]) -> dict[int, Schema]:
    """For each status the refusal that has one of the codes which belong to it."""
    by_status: dict[HTTPStatus, list[str]] = {}
    for code in TITLES:  # in one order, whatever the order of `codes`
        if code in codes:
            by_status.setdefault(STATUSES[code], []).append(code)
    found = {}
    for status, belonging in sorted(by_status.items()):
        response = _response(components, status, belonging)
        found[int(status)] = components.response(_name(belonging), response)
    return found


def _name(codes: list[str]) -> str:
    return "-".join(codes)


def _response(components: Components, status: HTTPStatus, codes: list[str]) -> Schema:
    narrowed = {"status": {"const": int(status)}, "code": {"enum": codes}}
    schema = {"allOf": [components.schema(PROBLEM), {"properties": narrowed}]}
    headers = (*ALWAYS, *HEADERS.get(status, ()))
    return {
        "description": " ".join(f"{TITLES[code]} (`{code}`)." for code in codes),
        "headers": {name: components.header(name) for name in headers},
        "content": {CONTENT_TYPE: {"schema": schema}},
    }
