"""Who asks, and what they may: principals from tokens and people, and the rights of each role."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db.models import Exists, OuterRef, Q, Subquery
from django.utils import timezone

from events import seldom
from events.log.proposal import Context
from events.models import Membership, Role, Tenant, Token
from events.tenant_facts import AccessDenied, TenantViewedBySuperuser
from events.tenants import digest, record

logger = logging.getLogger(__name__)

LAST_USE_EVERY = timedelta(minutes=1)  # a token's last use is known to the minute
DENIALS_EVERY_SECONDS = 60
VIEWS_EVERY_SECONDS = 3600


class Right(StrEnum):
    """What a door asks for."""

    READ = "read"  # agents, tasks and events of the tenant
    # Who has access (members and tokens, of which no secret is kept), the log's checkpoints, and
    # what concerns the whole fleet.
    OVERSEE = "oversee"
    OPERATE = "operate"  # change agents and tasks
    WORK = "work"  # what an agent does itself: create, activate, heartbeat, complete, fail
    READ_PAYLOADS = "read_payloads"  # what confidential payloads of tasks hold
    AUDIT = "audit"  # export and verify; see where a command came from
    ADMINISTER = "administer"  # members, tokens, settings


RIGHTS: dict[str, frozenset[Right]] = {
    Role.ADMIN: frozenset(Right),
    Role.OPERATOR: frozenset(
        {Right.READ, Right.OVERSEE, Right.OPERATE, Right.WORK, Right.READ_PAYLOADS}
    ),
    Role.AUDITOR: frozenset({Right.READ, Right.OVERSEE, Right.AUDIT}),
    Role.AGENT: frozenset({Right.READ, Right.WORK, Right.READ_PAYLOADS}),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody in one tenant. agent_id: the only agent this principal sees, for the role agent.
    time_zone: the tenant's, by its IANA name. looks_in: whether it is a superuser who is no member,
    of which the tenant's log tells."""

    actor: str
    tenant: str
    role: str
    agent_id: str | None = None
    token: Token | None = None
    time_zone: str = "UTC"
    looks_in: bool = False

    def may(self, right: Right) -> bool:
        return right in RIGHTS[self.role]

    def sees_agent(self, agent_id: str) -> bool:
        """Whether an agent of this id can exist for this principal at all."""
        return self.agent_id is None or self.agent_id == agent_id


def token_for(secret: str) -> Token | None:
    """The token with this secret if it opens anything now, its use noted; else None."""
    now = timezone.now()
    token = next(iter(Token.objects.raw(_BY_DIGEST, [digest(secret)])), None)
    if token is None or token.revoked_at is not None or _has_expired(token, now):
        return None
    if _stale(token.last_used_at, now):
        Token.objects.filter(tenant=token.tenant_id, pk=token.pk).update(last_used_at=now)
    return token


# Written out: every request asks this, and to build it anew took longer than a heartbeat's append.
_BY_DIGEST = "SELECT * FROM events_token WHERE digest = %s"


def _has_expired(token: Token, now: datetime) -> bool:
    return token.expires_at is not None and token.expires_at <= now


def _stale(last_used_at: datetime | None, now: datetime) -> bool:
    return last_used_at is None or now - last_used_at >= LAST_USE_EVERY


def principal_of_token(token: Token, tenant: str) -> Principal | None:
    """Who the token is in this tenant; None in every other, as if the tenant did not exist."""
    if token.tenant_id != tenant:
        return None
    return Principal(actor_of_token(token), tenant, token.role, token.agent_id, token)


def actor_of_token(token: Token) -> str:
    """How the log names whoever uses the token: an agent's is the agent itself."""
    return f"agent:{token.agent_id}" if token.agent_id else f"token:{token.name}"


def principal_of_user(user: AbstractBaseUser | AnonymousUser, tenant: str) -> Principal | None:
    """Who the person is in this tenant; None when it does not exist for them.

    A superuser is an admin of every tenant.
    """
    if not isinstance(user, User) or not user.is_active:
        return None
    actor = f"user:{user.username}"
    if user.is_superuser:
        of_user = Membership.objects.filter(tenant=tenant, user=user, suspended=False)
        tenants = Tenant.objects.filter(slug=tenant).annotate(is_member=Exists(of_user))
        found = tenants.values_list("time_zone", "is_member").first()
        if found is None:
            return None
        zone, is_member = found
        return Principal(actor, tenant, Role.ADMIN, time_zone=zone, looks_in=not is_member)
    memberships = Membership.objects.filter(tenant=tenant, user=user, suspended=False)
    membership = memberships.select_related("tenant").first()
    if membership is None:
        return None
    return Principal(actor, tenant, membership.role, time_zone=membership.tenant.time_zone)


def roles_of_users(users: Iterable[User], tenants: Iterable[str]) -> dict[tuple[str, int], str]:
    """(tenant, user's key) → role, as `principal_of_user` has it, in one question for all.

    The users are active, and the tenants exist.
    """
    asked, slugs = list(users), list(tenants)
    members = Membership.objects.filter(tenant__in=slugs, user__in=asked, suspended=False)
    roles = {
        (tenant, user): role
        for tenant, user, role in members.values_list("tenant_id", "user_id", "role")
    }
    for user in asked:
        if user.is_superuser:
            roles |= {(slug, user.pk): Role.ADMIN.value for slug in slugs}
    return roles


@dataclass(frozen=True, slots=True)
class Enterable:
    """A tenant that a person may enter. role: of the membership; None where there is none, which
    a superuser needs not."""

    slug: str
    name: str
    role: str | None


def enterable_tenants(
    user: AbstractBaseUser | AnonymousUser, *, containing: str = "", after: str = "", limit: int
) -> list[Enterable]:
    """Those the person may enter, in the slugs' order, after a slug; with `containing` those whose
    slug or name contains it, in any case."""
    if not isinstance(user, User) or not user.is_active:
        return []
    of_user = Membership.objects.across_tenants().filter(
        tenant=OuterRef("slug"), user=user, suspended=False
    )
    tenants = Tenant.objects.annotate(role=Subquery(of_user.values("role")[:1]))
    if not user.is_superuser:
        tenants = tenants.filter(role__isnull=False)
    if containing:
        tenants = tenants.filter(Q(slug__icontains=containing) | Q(name__icontains=containing))
    rows = tenants.filter(slug__gt=after).order_by("slug").values_list("slug", "name", "role")
    return [Enterable(*row) for row in rows[:limit]]


def tenants_of_user(user: AbstractBaseUser | AnonymousUser) -> dict[str, str]:
    """slug → role of every tenant the person may enter, in the slugs' order."""
    if not isinstance(user, User) or not user.is_active:
        return {}
    if user.is_superuser:
        return dict.fromkeys(Tenant.objects.values_list("slug", flat=True), Role.ADMIN.value)
    memberships = Membership.objects.across_tenants().filter(user=user, suspended=False)
    return dict(memberships.order_by("tenant").values_list("tenant_id", "role"))


def may_enter_somewhere(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether there is a tenant for this person at all; a superuser comes in before the first."""
    if not isinstance(user, User) or not user.is_active:
        return False
    memberships = Membership.objects.across_tenants().filter(user=user, suspended=False)
    return user.is_superuser or memberships.exists()


def record_superuser_view(principal: Principal, by: Context) -> None:
    """Note in the tenant's log that a superuser who is no member looks in: one an hour a person.

    Raises what recording raises: nobody looks in unseen.
    """
    if not principal.looks_in:
        return
    tenant = principal.tenant
    key = digest(f"viewed:{tenant}:{by.actor}").hex()
    if not seldom.is_first(key, VIEWS_EVERY_SECONDS):
        return
    try:
        fact = TenantViewedBySuperuser(username=principal.actor.removeprefix("user:"))
        record(tenant, fact, by=by)
    except Exception:
        seldom.take_back(key)  # the next look is to be recorded, since this one is none
        raise


def record_denial(principal: Principal, method: str, route: str, by: Context) -> None:
    """Put a refused attempt into the log, once a minute at most per principal and route.

    It is refused whether or not it could be recorded.
    """
    key = f"denied:{principal.tenant}:{principal.actor}:{method}:{route}"
    try:
        if seldom.is_first(digest(key).hex(), DENIALS_EVERY_SECONDS):
            fact = AccessDenied(
                principal=principal.actor, method=method, route=route, role=principal.role
            )
            record(principal.tenant, fact, by=by)
    except Exception:
        logger.exception("A refusal in %s could not be recorded", principal.tenant)
