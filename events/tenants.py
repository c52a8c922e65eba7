"""Tenants, their members and tokens. Every change is a fact on the tenant's own stream.

`by` is the Context of whoever acts, `tenant` a slug. Roles are the values of `events.models.Role`.
"""

import hashlib
import re
import secrets
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from events.facts import TenantFact
from events.idempotency import AnsweredBefore, Receipt
from events.log import chain, read
from events.log.append import append
from events.log.errors import RowRefused, VersionConflict
from events.log.proposal import Context, Proposal
from events.log.result import Appended
from events.log.rows import Put
from events.models import MEMBER_ROLES, SLUG, Event, Membership, Role, Tenant, TenantHead, Token
from events.tenant_facts import (
    MemberAdded,
    MemberChanged,
    MemberRemoved,
    TokenIssued,
    TokenRevoked,
)

STREAM = "tenant"
TOKEN_PREFIX = "am_"  # noqa: S105 -- what every token begins with
TRIES = 12
TOKEN_NAME_LENGTH = 100
TENANT_NAME_LENGTH = 256
AGENT_ID = re.compile(r"\A[A-Za-z0-9_-]{3,256}\Z")


class Refused(ValueError):
    """What was asked cannot be done; the message says why and what to do. `code` is for programs:
    `invalid`, `already_exists`, `conflict`, `not_found` or `rule_violated`, which names its `rule`.
    """

    def __init__(
        self,
        message: str,
        code: str = "invalid",
        field: str | None = None,
        rule: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.rule = rule


def is_slug(text: str) -> bool:
    """Whether the text can be a tenant's slug."""
    try:
        SLUG(text)
    except ValidationError:
        return False
    return True


def check_name(name: str) -> None:
    """Raises Refused where no tenant can be named so."""
    if not 1 <= len(name) <= TENANT_NAME_LENGTH or not name.isprintable() or name.isspace():
        raise Refused(
            f"A tenant's name has 1 to {TENANT_NAME_LENGTH} printable characters.", field="name"
        )


class _RevokedAlready(Exception):
    """Somebody else revoked the token at the same moment."""


def create_tenant(slug: str, name: str = "") -> Tenant:
    """A new tenant with an empty log. Raises Refused for a bad or a taken slug."""
    if not is_slug(slug):
        raise Refused(f"{slug!r} is no slug. {SLUG.message}", field="slug")
    check_name(name or slug)
    tenant = Tenant(slug=slug, name=name or slug)
    start = chain.genesis(tenant.log_id)
    try:
        with transaction.atomic():
            tenant.save(force_insert=True)
            TenantHead.objects.create(
                tenant=tenant, recorded_at=tenant.created_at, hash=start, prior_hash=start
            )
    except IntegrityError:
        raise Refused(
            f"Tenant {slug} exists already. Choose another slug.", "already_exists", "slug"
        ) from None
    return tenant


def add_member(
    tenant: str,
    username: str,
    role: str,
    *,
    by: Context,
    account: User | None = None,
    receipt: Receipt | None = None,
) -> Membership:
    """Let a person in. Raises Refused when there is no such person, or a membership already.

    `account` is one that is not stored yet: it is stored with the membership, or not at all.
    """
    _check_member_role(role)
    user = _user(username) if account is None else account
    taken = Refused(
        f"{username} is a member of {tenant} already. Change the role instead.",
        "already_exists",
        "username",
    )

    def write() -> None:
        if account is not None:
            account.save(force_insert=True)
        elif Membership.objects.filter(tenant=tenant, user=user).exists():
            raise taken
        Membership.objects.create(tenant_id=tenant, user=user, role=role)

    fact = MemberAdded(username=username, role=role)
    membership = Membership(tenant_id=tenant, user=user, role=role)
    try:
        record(tenant, fact, by=by, within=write, receipt=receipt, thing=membership)
    except IntegrityError:  # somebody else did the same at the same moment
        if account is not None:
            raise
        raise taken from None
    return Membership.objects.get(tenant=tenant, user=user)


def change_member(
    tenant: str,
    username: str,
    *,
    role: str | None = None,
    suspended: bool | None = None,
    by: Context,
    receipt: Receipt | None = None,
) -> Membership:
    """Give a member another role, suspend one, or let one in again; or nothing, if none differs.

    Raises Refused, also where the tenant would lose its last admin.
    """
    if role is not None:
        _check_member_role(role)
    membership = _membership(tenant, username)
    new_role = membership.role if role is None else role
    new_suspended = membership.suspended if suspended is None else suspended
    if (new_role, new_suspended) == (membership.role, membership.suspended):
        _unchanged(tenant, receipt, membership)
        return membership
    fact = MemberChanged(
        username=username, from_role=membership.role, to_role=new_role, suspended=new_suspended
    )
    standing, was_admin = _standing(membership), _is_able_admin(membership)

    def write() -> None:
        if not standing.update(role=new_role, suspended=new_suspended):
            raise _changed_meanwhile(username)
        if was_admin:
            _refuse_loss_of_last_admin(tenant, username)

    membership.role, membership.suspended = new_role, new_suspended
    record(tenant, fact, by=by, within=write, receipt=receipt, thing=membership)
    return membership


def remove_member(
    tenant: str, username: str, *, by: Context, receipt: Receipt | None = None
) -> None:
    """Let a person out. The person's account and facts stay.

    Raises Refused, also where the tenant would lose its last admin.
    """
    membership = _membership(tenant, username)

    def write() -> None:
        if not _standing(membership).delete()[0]:
            raise _changed_meanwhile(username)
        if _is_able_admin(membership):
            _refuse_loss_of_last_admin(tenant, username)

    fact = MemberRemoved(username=username, role=membership.role)
    record(tenant, fact, by=by, within=write, receipt=receipt, thing=membership)


def issue_token(
    tenant: str,
    name: str,
    role: str,
    *,
    agent_id: str | None = None,
    expires_at: datetime | None = None,
    token_id: uuid.UUID | None = None,
    by: Context,
    receipt: Receipt | None = None,
) -> tuple[Token, str]:
    """A new token and its secret, which is kept nowhere. Raises Refused for unfit values.

    `token_id` is for who may ask twice for the same token: the second time is refused.
    """
    _check_token(name, role, agent_id, expires_at)
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = Token(
        id=token_id or uuid.uuid4(),
        tenant_id=tenant,
        name=name,
        role=role,
        agent_id=agent_id,
        digest=digest(secret),
        expires_at=expires_at,
    )
    fact = TokenIssued(
        token_id=str(token.id), name=name, role=role, agent_id=agent_id, expires_at=expires_at
    )
    try:
        record(
            tenant,
            fact,
            by=by,
            within=lambda: token.save(force_insert=True),
            receipt=receipt,
            thing=token,
        )
    except IntegrityError:
        if token_id is None:
            raise
        raise Refused(
            "This was sent before: the token was issued then, and its secret shown. If nobody "
            "kept it, revoke that token and issue another.",
            "already_exists",
        ) from None
    return token, secret


def revoke_token(
    tenant: str, token_id: uuid.UUID, *, by: Context, receipt: Receipt | None = None
) -> None:
    """The token opens nothing any more. Revoking it again is no error and no fact."""
    token = Token.objects.filter(tenant=tenant, pk=token_id).first()
    if token is None:
        raise Refused(f"There is no token {token_id} in {tenant}.", "not_found")
    if token.revoked_at is not None:
        _unchanged(tenant, receipt, token)
        return
    standing = Token.objects.filter(tenant=tenant, pk=token_id, revoked_at=None)

    def write() -> None:
        if not standing.update(revoked_at=timezone.now()):
            raise _RevokedAlready

    fact = TokenRevoked(token_id=str(token.id), name=token.name)
    try:
        record(tenant, fact, by=by, within=write, receipt=receipt, thing=token)
    except _RevokedAlready:
        _unchanged(tenant, receipt, token)


def digest(secret: str) -> bytes:
    """What is kept of a token. The secret has 256 random bits, so one SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).digest()


def record(
    tenant: str,
    fact: TenantFact,
    *,
    by: Context,
    within: Callable[[], object] | None = None,
    rows: Sequence[Put] = (),
    receipt: Receipt | None = None,
    thing: object = None,
) -> Appended:
    """Append one fact to the tenant's own stream, together with `rows` and what `within` writes.

    `receipt` gets its answer, made from `thing`. Raises AnsweredBefore when its key's request was
    recorded meanwhile, RowRefused for one of `rows`, Refused (conflict) when others were first
    every time.
    """
    for attempt in range(TRIES):
        newest = (
            Event.objects.filter(tenant=tenant, stream_type=STREAM, stream_id=tenant)
            .order_by("-version")
            .values_list("version", flat=True)
            .first()
        )
        kept = receipt.rows(thing, fact.occurred_at) if receipt else ()
        proposal = Proposal(STREAM, tenant, newest or 0, (fact,), by, (*rows, *kept))
        try:
            appended = append(tenant, proposal, within=within)
        except VersionConflict as lost:
            if attempt == TRIES - 1:
                raise Refused(
                    f"Others changed {tenant} first, {TRIES} times over. Try again.", "conflict"
                ) from lost
        except RowRefused as refused:
            if refused.row in rows:
                raise
            raise AnsweredBefore from refused  # the only other row is the key's
        else:
            if receipt:
                receipt.written(appended.seq)
            return appended
    raise AssertionError("unreachable: the last attempt returns or raises")


def _unchanged(tenant: str, receipt: Receipt | None, thing: object) -> None:
    if receipt:
        head = read.head(tenant)
        receipt.unchanged(thing, head.seq if head else 0)


def _user(username: str) -> User:
    user = User.objects.filter(username=username).first()
    if user is None:
        raise Refused(
            f"There is no person named {username!r}. Use create_member, which makes the account.",
            "not_found",
            "username",
        )
    return user


def _membership(tenant: str, username: str) -> Membership:
    members = Membership.objects.filter(tenant=tenant, user__username=username)
    membership = members.select_related("user").first()
    if membership is None:
        raise Refused(f"{username} is no member of {tenant}.", "not_found", "username")
    return membership


def _standing(membership: Membership) -> QuerySet[Membership]:
    """The membership's row while it is as it was read."""
    return Membership.objects.filter(
        tenant=membership.tenant_id,
        pk=membership.pk,
        role=membership.role,
        suspended=membership.suspended,
    )


def _changed_meanwhile(username: str) -> Refused:
    return Refused(
        f"{username} was changed by somebody else. Look again and decide again.", "conflict"
    )


def _is_able_admin(membership: Membership) -> bool:
    user: User = membership.user
    return membership.role == Role.ADMIN and not membership.suspended and user.is_active


def _refuse_loss_of_last_admin(tenant: str, username: str) -> None:
    """A tenant keeps an admin who can enter. To be called in the transaction, after the change.

    Of two admins who let each other out at the same moment both find the other still there; but
    each records it as the same version of the tenant's stream, so one is decided again.
    """
    admins = Membership.objects.filter(tenant=tenant, role=Role.ADMIN, suspended=False)
    if not admins.filter(user__is_active=True).exists():
        raise Refused(
            f"{username} is the only admin of {tenant} who can enter. "
            f"Make somebody else an admin first.",
            "rule_violated",
            rule="last_admin",
        )


def _check_member_role(role: str) -> None:
    if role not in MEMBER_ROLES:
        allowed = ", ".join(MEMBER_ROLES)
        raise Refused(f"A member's role is one of {allowed}, not {role!r}.", field="role")


def _check_token(name: str, role: str, agent_id: str | None, expires_at: datetime | None) -> None:
    if not 1 <= len(name) <= TOKEN_NAME_LENGTH or not name.isprintable():
        raise Refused("A token's name has 1 to 100 printable characters.", field="name")
    if role not in Role.values:
        allowed = ", ".join(Role.values)
        raise Refused(f"A token's role is one of {allowed}, not {role!r}.", field="role")
    if role == Role.AGENT and (agent_id is None or not AGENT_ID.match(agent_id)):
        raise Refused(
            "A token for an agent names it: 3 to 256 letters, digits, _ and -.", field="agent_id"
        )
    if role != Role.AGENT and agent_id is not None:
        raise Refused("Only a token of the role agent names an agent.", field="agent_id")
    if expires_at is not None and expires_at <= timezone.now():
        raise Refused("A token expires in the future, or never.", field="expires_at")
