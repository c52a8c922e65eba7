"""With what a client came in, and whether that would still let it in."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone

from events.access import Principal, roles_of_users
from events.models import Token
from events.sessions import users_of_sessions

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

    A member who has another role now comes in again, and sees what that role sees. A handful of
    questions, however many ask.
    """
    asked = tuple(passes)
    valid: set[Pass] = set()
    for start in range(0, len(asked), CHUNK):
        some = asked[start : start + CHUNK]
        valid |= _with_tokens([each for each in some if each.token_id])
        valid |= _with_sessions([each for each in some if each.session_key])
    return set(asked) - valid


def _with_tokens(passes: list[Pass]) -> set[Pass]:
    usable = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
    ids = {each.token_id for each in passes if each.token_id}
    valid = set(
        Token.objects.across_tenants().filter(usable, pk__in=ids).values_list("pk", flat=True)
    )
    return {each for each in passes if each.token_id in valid}


def _with_sessions(passes: list[Pass]) -> set[Pass]:
    people = users_of_sessions(each.session_key for each in passes if each.session_key)
    roles = roles_of_users(people.values(), {each.tenant for each in passes})

    def holds(each: Pass) -> bool:
        user = people.get(each.session_key or "")
        return user is not None and roles.get((each.tenant, user.pk)) == each.role

    return {each for each in passes if holds(each)}
