"""Sign-ins of members are facts in the logs of their tenants.

A sign-in never fails because it could not be recorded: a person locked out helps nobody, and this
process's own log says what is missing.
"""

import logging
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.http import HttpRequest

from events import seldom
from events.facts import TenantFact
from events.log.proposal import Context
from events.models import Membership
from events.origin import context_of
from events.tenant_facts import SignedIn, SignInFailed
from events.tenants import digest, record

logger = logging.getLogger(__name__)

FAILURES_EVERY_SECONDS = 60  # somebody who guesses passwords must not be able to flood the log
UNKNOWN = "system:sign-in"  # who gives a wrong password is most likely not whom they say they are


def listen() -> None:
    user_logged_in.connect(_signed_in, dispatch_uid="events.signed_in")
    user_login_failed.connect(_sign_in_failed, dispatch_uid="events.sign_in_failed")


def _signed_in(user: AbstractUser, request: HttpRequest | None = None, **_: Any) -> None:
    try:
        by = _context(request, f"user:{user.username}")
        _record_in(_tenants_of(user.username), SignedIn(username=user.username), by)
    except Exception:
        logger.exception("A sign-in could not be recorded")


def _sign_in_failed(
    credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any
) -> None:
    try:
        username = str(credentials.get("username", ""))
        tenants = _tenants_of(username)
        # Only members' names take a place in the cache, so that no flood of others empties it.
        key = digest(f"sign-in:{username}").hex() if tenants else ""
        if tenants and seldom.is_first(key, FAILURES_EVERY_SECONDS):
            _record_in(tenants, SignInFailed(username=username), _context(request, UNKNOWN))
    except Exception:
        logger.exception("A failed sign-in could not be recorded")


def _context(request: HttpRequest | None, actor: str) -> Context:
    return Context(actor=actor) if request is None else context_of(request, actor)


def _tenants_of(username: str) -> list[str]:
    """The tenants that somebody of this name may enter."""
    members = Membership.objects.across_tenants().filter(user__username=username, suspended=False)
    return list(members.values_list("tenant_id", flat=True))


def _record_in(tenants: list[str], fact: TenantFact, by: Context) -> None:
    for tenant in tenants:
        record(tenant, fact, by=by)
