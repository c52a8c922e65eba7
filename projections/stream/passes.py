"""With what a client came in, and whether that would still let it in."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module

from django.conf import settings
from django.contrib.auth import get_user
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from events.access import Principal, principal_of_user
from events.models import Token

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Pass:
    """Who a client is in its tenant, by a token or by a browser session."""

    tenant: str
    role: str
    token_id: uuid.UUID | None = None
    session_key: str | None = None

    @classmethod
    def of(cls, principal: Principal, session_key: str | None) -> "Pass":
        if principal.token is not None:
            return cls(principal.tenant, principal.role, token_id=principal.token.pk)
        return cls(principal.tenant, principal.role, session_key=session_key)


def void(passes: Iterable[Pass]) -> set[Pass]:
    """Those that open nothing now: token revoked or expired, session ended, member out or changed.

    A member who has another role now comes in again, and sees what that role sees.
    """
    asked = set(passes)
    valid = _valid_tokens([each.token_id for each in asked if each.token_id])
    return {
        each
        for each in asked
        if (each.token_id not in valid if each.token_id else not _session_holds(each))
    }


def _valid_tokens(ids: list[uuid.UUID]) -> set[uuid.UUID]:
    valid: set[uuid.UUID] = set()
    usable = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
    for start in range(0, len(ids), CHUNK):
        tokens = Token.objects.across_tenants().filter(usable, pk__in=ids[start : start + CHUNK])
        valid.update(tokens.values_list("pk", flat=True))
    return valid


def _session_holds(each: Pass) -> bool:
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(each.session_key)
    principal = principal_of_user(get_user(request), each.tenant)
    return principal is not None and principal.role == each.role
