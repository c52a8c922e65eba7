"""What the exceptions of the events room, of Django and of DRF are to whoever asked.

A door looks an exception up in order; what no line names is a fault of ours and stays one.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions

from events.api.problem import Problem, forbidden, invalid, not_found, unavailable
from events.confidential.seal import CannotSeal
from events.encoding import UnfitFact
from events.log.errors import TenantUnknown
from events.tenants import Refused

Refusals = tuple[
    tuple[type[Exception] | tuple[type[Exception], ...], Callable[[Any], Problem]], ...
]


def _refused(refused: Refused) -> Problem:
    """A service's refusal. What a field names and is not there is 400, not 404."""
    detail = str(refused)
    if refused.code == "not_found" and refused.field is None:
        return not_found()
    if refused.code in ("not_found", "invalid"):
        field = refused.field
        return invalid(detail, *([{"pointer": f"/{field}", "detail": detail}] if field else []))
    return Problem(HTTPStatus.CONFLICT, refused.code, detail, rule=refused.rule)


def _not_acceptable(_: Exception) -> Problem:
    return Problem(
        HTTPStatus.NOT_ACCEPTABLE,
        "not_acceptable",
        "Answers are application/json. Accept it, or send no Accept header.",
    )


def _unsupported(_: Exception) -> Problem:
    return Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "A body is JSON. Send it with Content-Type: application/json.",
        headers={"Accept": "application/json"},
    )


REFUSALS: Refusals = (
    (Problem, lambda problem: problem),
    ((TenantUnknown, Http404), lambda _: not_found()),
    (Refused, _refused),
    (CannotSeal, lambda error: unavailable(str(error))),
    ((UnfitFact, SuspiciousOperation), lambda e: invalid(str(e) or "The request is unreadable.")),
    (
        (OperationalError, InterfaceError),
        lambda _: unavailable("The database does not answer now. Try again."),
    ),
    (PermissionDenied, lambda _: forbidden("You may not do this.")),
    (exceptions.NotAcceptable, _not_acceptable),
    (exceptions.UnsupportedMediaType, _unsupported),
    (exceptions.ParseError, lambda error: invalid(str(error.detail))),
)
