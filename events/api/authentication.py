"""Who asks: a program with a token, or a person with the browser's session."""

import re
from http import HTTPStatus

from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication, CSRFCheck, SessionAuthentication
from rest_framework.request import Request

from events.access import (
    Principal,
    principal_of_token,
    principal_of_user,
    token_for,
)
from events.api.problem import Problem, unauthenticated
from events.models import Token

_BEARER = re.compile(r"bearer +(am_[A-Za-z0-9_-]{16,128}) *", re.IGNORECASE)


class BearerToken(BaseAuthentication):
    """`Authorization: Bearer am_…`. Whoever sends the header is judged by it alone."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Token] | None:
        header = request.headers.get("Authorization")
        if header is None:
            return None
        match = _BEARER.fullmatch(header)
        token = token_for(match[1]) if match else None
        if token is None:
            raise unauthenticated(
                "This token opens nothing: it is unknown, expired or revoked. Send "
                "'Authorization: Bearer am_…' with one that an admin of the tenant has made."
            )
        return AnonymousUser(), token


class BrowserSession(SessionAuthentication):
    """The session of the admin pages; whatever changes something needs the CSRF token."""

    def enforce_csrf(self, request: Request) -> None:
        http_request = request._request  # noqa: SLF001 -- CSRF is a matter of Django's request
        check = CSRFCheck(lambda _: None)  # type: ignore[arg-type]
        check.process_request(http_request)
        reason = check.process_view(http_request, None, (), {})  # type: ignore[arg-type]
        if reason:
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "forbidden",
                "A browser's session needs the X-CSRFToken header with the value of the cookie "
                f"csrftoken. {reason}",
            )


def principal_of(request: Request, tenant: str) -> Principal | None:
    """Who asks, in this tenant; None when the tenant does not exist for them."""
    if isinstance(request.auth, Token):
        return principal_of_token(request.auth, tenant)
    return principal_of_user(request.user, tenant)


def name_of(request: Request, tenant: str = "") -> str:
    """Under what the requests of somebody who is signed in are counted, each tenant's apart."""
    if isinstance(request.auth, Token):
        return f"token:{request.auth.pk}"
    return f"user:{request.user.pk}:{tenant}"


def require_somebody(request: Request) -> None:
    """Raises Problem (401) for a request without token and session."""
    if not isinstance(request.auth, Token) and not request.user.is_authenticated:
        raise unauthenticated(
            "Send 'Authorization: Bearer am_…' with a token of the tenant, or sign in."
        )
