"""The demo's tenants, people and tokens, and the file in which a newcomer finds the logins.

The second start keeps what is there: the file's passwords and tokens stay good, and what the file
has lost is made anew. What the demo did not make it does not touch.
"""

import json
import os
import secrets
from pathlib import Path
from typing import NamedTuple

import msgspec
from django.contrib.auth.models import User

from events import accounts, tenants
from events.log.proposal import Context
from events.models import Event, Membership, Tenant, TenantHead, Token
from events.tenants import Refused

BY = Context(actor="system:demo")
TENANTS = {"acme": "Acme", "globex": "Globex"}
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


class UserLogin(msgspec.Struct):
    username: str
    password: str
    tenant: str
    role: str


class TokenLogin(msgspec.Struct, omit_defaults=True):
    tenant: str
    role: str
    token: str
    agent_id: str | None = None


class Logins(msgspec.Struct):
    """What the file holds; others read it too, so its form stays."""

    url: str = ""
    users: list[UserLogin] = []
    tokens: list[TokenLogin] = []

    def password_of(self, username: str) -> str | None:
        return next((each.password for each in self.users if each.username == username), None)

    def token_of(self, tenant: str, role: str) -> str | None:
        found = (each.token for each in self.tokens if (each.tenant, each.role) == (tenant, role))
        return next(found, None)


def read(path: Path) -> Logins:
    """The file's logins; none when it is lost or spoilt."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Logins)
    except (OSError, msgspec.MsgspecError):
        return Logins()


def write(path: Path, logins: Logins) -> None:
    """Replace the file as a whole; nobody else may read it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(msgspec.to_builtins(logins), file, indent=2)
        file.write("\n")
    draft.replace(path)


def settle(url: str, known: Logins) -> Logins:
    """Make what is missing of tenants, people and tokens, and return all logins.

    Raises Refused when a tenant or an account of these names is there and not the demo's.
    """
    _refuse_what_is_not_ours()
    for slug, name in TENANTS.items():
        if not Tenant.objects.filter(slug=slug).exists():
            tenants.create_tenant(slug, name)
    return Logins(
        url,
        [_user(person, known.password_of(person.username)) for person in PEOPLE],
        [_token(tenant, role, known.token_of(tenant, role)) for tenant, role in TOKENS],
    )


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
