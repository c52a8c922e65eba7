"""The demo's tenants, people and tokens.

The second start keeps what is there: the file's passwords and tokens stay good, and what the file
has lost is made anew. What the demo did not make it does not touch.
"""

import secrets
from typing import NamedTuple

from django.contrib.auth.models import User

from agentmesh_site.demo.history import week
from agentmesh_site.demo.logins import Logins, TokenLogin, UserLogin
from events import accounts, tenants
from events.bus import event_bus
from events.durable.rebuilding import rebuild
from events.facts import utc_now
from events.log.proposal import Context
from events.models import Event, Membership, Tenant, TenantHead, Token
from events.tenants import Refused
from events.transfer.importing import import_log
from projections.alerts import rule_services
from projections.alerts.models import Kind
from projections.alerts.rules import Rule

BY = Context(actor="system:demo")
TENANTS = {"acme": "Acme", "globex": "Globex"}
LIVED = "acme"  # the one with a past
DAILY = Rule(
    name="completion-in-a-day", kind=Kind.COMPLETION_RATE, threshold=0.975, minutes=24 * 60
)
TOKEN_NAME = "demo {role}"  # noqa: S105 -- a name
AGENT = "my-agent"  # whom the token of the role agent is for: yet to be created by the newcomer


class Person(NamedTuple):
    username: str
    tenant: str
    role: str


PEOPLE = (
    Person("alice", "acme", "admin"),
    Person("bob", "acme", "operator"),
    Person("carol", "acme", "auditor"),
    Person("mallory", "globex", "admin"),
)
TOKENS = (
    ("acme", "admin"),
    ("acme", "operator"),
    ("acme", "auditor"),
    ("acme", "agent"),
    ("globex", "admin"),
)


def settle(url: str, known: Logins, *, with_past: bool = True) -> Logins:
    """Make what is missing of tenants, people and tokens, and return all logins.

    with_past: whether a tenant that is made begins with a week behind it, where it has one.
    Raises Refused when a tenant or an account of these names is there and not the demo's.
    """
    _refuse_what_is_not_ours()
    for slug, name in TENANTS.items():
        if Tenant.objects.filter(slug=slug).exists():
            continue
        if with_past and slug == LIVED:
            _live_through(slug, name)
        else:
            tenants.create_tenant(slug, name)
    return Logins(
        url,
        [_user(person, known.password_of(person.username)) for person in PEOPLE],
        [_token(tenant, role, known.token_of(tenant, role)) for tenant, role in TOKENS],
    )


def _live_through(tenant: str, name: str) -> None:
    """A week, and all that is read of it: the worker would be a minute behind at first."""
    import_log(week.tell(tenant, name, utc_now()))
    rule_services.create_rule(tenant=tenant, rule=DAILY, by=BY)
    for subscription in event_bus.subscriptions.values():
        if subscription.read_model is not None:
            rebuild(subscription, tenant)


def _refuse_what_is_not_ours() -> None:
    for slug in TENANTS:
        head = TenantHead.objects.filter(tenant=slug).first()
        if head is not None and head.seq and not _made_by_us(slug, "seq", 1):
            raise Refused(
                f"The tenant {slug} is not the demo's. Use another database: set DATABASE_URL."
            )
    for person in PEOPLE:
        known = User.objects.filter(username=person.username).exists()
        if known and not _let_in_by_us(person):
            raise Refused(
                f"The account {person.username} is not the demo's. Use another database: set "
                f"DATABASE_URL."
            )


def _made_by_us(tenant: str, column: str, value: object) -> bool:
    return Event.objects.filter(tenant=tenant, actor=BY.actor, **{column: value}).exists()


def _let_in_by_us(person: Person) -> bool:
    added = Event.objects.filter(
        tenant=person.tenant, stream_type=tenants.STREAM, type="MemberAdded", actor=BY.actor
    )
    return added.filter(data__contains=f'"username":"{person.username}"').exists()


def _user(person: Person, password: str | None) -> UserLogin:
    account = User.objects.filter(username=person.username).first()
    password = password or secrets.token_urlsafe(9)
    if account is None:
        accounts.let_in(person.tenant, person.username, person.role, password=password, by=BY)
    else:
        if not account.check_password(password):
            account.set_password(password)
            account.save(update_fields=["password"])
        if not Membership.objects.filter(tenant=person.tenant, user=account).exists():
            tenants.add_member(person.tenant, person.username, person.role, by=BY)
    return UserLogin(person.username, password, person.tenant, person.role)


def _token(tenant: str, role: str, secret: str | None) -> TokenLogin:
    agent_id = AGENT if role == "agent" else None
    name = TOKEN_NAME.format(role=role)
    standing = Token.objects.filter(tenant=tenant, name=name, role=role, revoked_at=None)
    if secret is None or not standing.filter(digest=tenants.digest(secret)).exists():
        for lost in standing:
            tenants.revoke_token(tenant, lost.id, by=BY)
        _, secret = tenants.issue_token(tenant, name, role, agent_id=agent_id, by=BY)
    return TokenLogin(tenant, role, secret, agent_id)
