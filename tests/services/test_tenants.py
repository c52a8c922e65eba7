"""Tenants, members and tokens: every change is a fact, and no fact holds a secret."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from events import access, tenants
from events.log import read
from events.log.append import append
from events.log.errors import TenantUnknown, VersionConflict
from events.models import Event, Membership, Tenant, Token
from events.tenants import Refused
from tests.services.conftest import ALICE


@pytest.fixture
def bob(acme: str) -> str:
    """The name of a person who is no member of anything."""
    username = f"bob-{acme}"
    get_user_model().objects.create_user(username)
    return username


def facts(tenant: str) -> list[Any]:
    return list(read.stream_facts(tenant, "tenant", tenant))


def types(tenant: str) -> list[str]:
    return [fact.type for fact in facts(tenant)]


def test_a_new_tenant_has_an_empty_log(acme: str) -> None:
    end = read.head(acme)

    assert end is not None
    assert end.seq == 0
    assert facts(acme) == []
    assert read.head("no-such-tenant") is None


@pytest.mark.parametrize(
    "slug",
    ["", "-a", "a-", "A", "ä", "a_b", "a b", "a" * 64, "a\n", "a/b", "a\x00", "\ud800"],
)
def test_a_bad_slug_is_refused(committed_db: None, slug: str) -> None:
    with pytest.raises(Refused, match="no slug") as refused:
        tenants.create_tenant(slug)

    assert (refused.value.code, refused.value.field) == ("invalid", "slug")


def test_a_slug_is_given_once_and_keeps_its_log(acme: str) -> None:
    before = Tenant.objects.get(slug=acme).log_id

    with pytest.raises(Refused) as refused:
        tenants.create_tenant(acme)

    assert refused.value.code == "already_exists"
    assert Tenant.objects.get(slug=acme).log_id == before


def test_a_member_comes_changes_and_goes_as_facts(acme: str, bob: str) -> None:
    tenants.add_member(acme, bob, "operator", by=ALICE)
    tenants.change_member(acme, bob, role="auditor", by=ALICE)
    tenants.change_member(acme, bob, suspended=True, by=ALICE)
    tenants.change_member(acme, bob, suspended=True, by=ALICE)  # nothing new
    tenants.remove_member(acme, bob, by=ALICE)

    assert types(acme) == ["MemberAdded", "MemberChanged", "MemberChanged", "MemberRemoved"]
    added, moved, suspended, removed = facts(acme)
    assert (added.username, added.role) == (bob, "operator")
    assert (moved.from_role, moved.to_role, moved.suspended) == ("operator", "auditor", False)
    assert (suspended.from_role, suspended.to_role) == ("auditor", "auditor")
    assert suspended.suspended
    assert removed.role == "auditor"
    assert not Membership.objects.filter(tenant=acme).exists()
    actors = Event.objects.filter(tenant=acme).values_list("actor", flat=True)
    assert set(actors) == {"user:alice"}


def test_a_member_is_added_once(acme: str, bob: str) -> None:
    tenants.add_member(acme, bob, "operator", by=ALICE)

    with pytest.raises(Refused) as refused:
        tenants.add_member(acme, bob, "admin", by=ALICE)

    assert refused.value.code == "already_exists"
    assert types(acme) == ["MemberAdded"]
    assert Membership.objects.get(tenant=acme).role == "operator"


@pytest.mark.parametrize("role", ["agent", "owner", "", "ADMIN"])
def test_a_role_that_no_member_has_is_refused(acme: str, bob: str, role: str) -> None:
    with pytest.raises(Refused) as refused:
        tenants.add_member(acme, bob, role, by=ALICE)

    assert refused.value.field == "role"
    assert types(acme) == []


@pytest.fixture
def carol(acme: str) -> str:
    username = f"carol-{acme}"
    get_user_model().objects.create_user(username)
    return username


def remove(tenant: str, username: str) -> None:
    tenants.remove_member(tenant, username, by=ALICE)


def suspend(tenant: str, username: str) -> None:
    tenants.change_member(tenant, username, suspended=True, by=ALICE)


def demote(tenant: str, username: str) -> None:
    tenants.change_member(tenant, username, role="operator", by=ALICE)


@pytest.mark.parametrize("let_out", [remove, suspend, demote])
@pytest.mark.parametrize("other", ["none", "suspended", "inactive"])
def test_a_tenant_keeps_an_admin_who_can_enter(
    acme: str, bob: str, carol: str, let_out: Callable[[str, str], None], other: str
) -> None:
    tenants.add_member(acme, bob, "admin", by=ALICE)
    if other != "none":
        tenants.add_member(acme, carol, "admin", by=ALICE)
    if other == "suspended":
        suspend(acme, carol)
    get_user_model().objects.filter(username=carol).update(is_active=other != "inactive")
    before = types(acme)

    with pytest.raises(Refused, match=f"{bob} is the only admin") as refused:
        let_out(acme, bob)

    assert (refused.value.code, refused.value.rule) == ("rule_violated", "last_admin")
    assert types(acme) == before
    standing = Membership.objects.get(tenant=acme, user__username=bob)
    assert (standing.role, standing.suspended) == ("admin", False)


@pytest.mark.parametrize("let_out", [remove, suspend, demote])
def test_of_two_admins_who_let_each_other_out_at_once_one_stays(
    acme: str,
    bob: str,
    carol: str,
    let_out: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tenants.add_member(acme, bob, "admin", by=ALICE)
    tenants.add_member(acme, carol, "admin", by=ALICE)

    def late(*given: Any, **more: Any) -> Any:
        monkeypatch.setattr(tenants, "append", append)
        let_out(acme, carol)
        return append(*given, **more)

    monkeypatch.setattr(tenants, "append", late)
    with pytest.raises(Refused, match=f"{bob} is the only admin"):
        let_out(acme, bob)

    able = Membership.objects.filter(tenant=acme, role="admin", suspended=False)
    assert [each.user.username for each in able.select_related("user")] == [bob]


def test_a_change_that_is_overtaken_every_time_is_refused_and_not_a_fault(
    acme: str, bob: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(*_: Any, **__: Any) -> Any:
        raise VersionConflict(acme, acme, 0)

    monkeypatch.setattr(tenants, "append", overtaken)

    with pytest.raises(Refused, match="Try again") as refused:
        tenants.add_member(acme, bob, "operator", by=ALICE)

    assert refused.value.code == "conflict"


def test_nobody_and_nowhere_are_refused(acme: str, bob: str) -> None:
    with pytest.raises(Refused) as refused:
        tenants.add_member(acme, "nobody-at-all", "admin", by=ALICE)
    assert refused.value.code == "not_found"
    with pytest.raises(TenantUnknown):
        tenants.add_member("no-such-tenant", bob, "admin", by=ALICE)
    for change in (tenants.remove_member, tenants.change_member):
        with pytest.raises(Refused) as refused:
            change(acme, bob, by=ALICE)
        assert refused.value.code == "not_found"

    assert not Membership.objects.across_tenants().filter(user__username=bob).exists()


def test_mallorys_membership_is_no_membership_here(acme: str, globex: str, bob: str) -> None:
    tenants.add_member(globex, bob, "admin", by=ALICE)
    user = get_user_model().objects.get(username=bob)

    with pytest.raises(Refused) as refused:
        tenants.remove_member(acme, bob, by=ALICE)
    assert refused.value.code == "not_found"
    assert access.principal_of_user(user, acme) is None
    assert access.principal_of_user(user, "no-such-tenant") is None
    assert access.tenants_of_user(user) == {globex: "admin"}


def test_a_token_is_kept_as_a_digest_and_shown_once(acme: str) -> None:
    token, secret = tenants.issue_token(acme, "ci", "operator", by=ALICE)

    assert secret.startswith("am_")
    stored = Token.objects.get(tenant=acme)
    assert secret.encode() not in bytes(stored.digest)
    assert all(secret not in row.data for row in Event.objects.filter(tenant=acme))
    (fact,) = facts(acme)
    assert (fact.token_id, fact.name, fact.role) == (str(token.id), "ci", "operator")
    opened = access.token_for(secret)
    assert opened is not None
    assert opened.pk == token.pk
    assert access.token_for(secret + "x") is None


def test_a_revoked_token_opens_nothing_and_is_revoked_once(acme: str) -> None:
    token, secret = tenants.issue_token(acme, "ci", "operator", by=ALICE)

    tenants.revoke_token(acme, token.id, by=ALICE)
    tenants.revoke_token(acme, token.id, by=ALICE)

    assert access.token_for(secret) is None
    assert types(acme) == ["TokenIssued", "TokenRevoked"]


def test_a_token_that_another_revokes_meanwhile_is_no_second_fact(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, _ = tenants.issue_token(acme, "ci", "operator", by=ALICE)
    record: Callable[..., Any] = tenants.record

    def late(*given: Any, **more: Any) -> Any:
        monkeypatch.setattr(tenants, "record", record)
        tenants.revoke_token(acme, token.id, by=ALICE)
        return record(*given, **more)

    monkeypatch.setattr(tenants, "record", late)
    tenants.revoke_token(acme, token.id, by=ALICE)

    assert types(acme) == ["TokenIssued", "TokenRevoked"]


def test_an_expired_token_opens_nothing(acme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    _, secret = tenants.issue_token(acme, "ci", "operator", expires_at=soon, by=ALICE)
    assert access.token_for(secret) is not None

    monkeypatch.setattr(timezone, "now", lambda: soon)
    assert access.token_for(secret) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"name": "a\nb"},
        {"role": "owner"},
        {"role": "agent"},
        {"role": "agent", "agent_id": "a b"},
        {"agent_id": "a-1"},
        {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)},
    ],
    ids=str,
)
def test_a_token_that_does_not_fit_is_refused(acme: str, wrong: dict[str, Any]) -> None:
    given: dict[str, Any] = {"name": "ci", "role": "auditor", "by": ALICE} | wrong

    with pytest.raises(Refused) as refused:
        tenants.issue_token(acme, **given)

    assert refused.value.field is not None
    assert types(acme) == []


def test_mallory_cannot_revoke_what_is_not_hers(acme: str, globex: str) -> None:
    token, secret = tenants.issue_token(acme, "ci", "operator", by=ALICE)

    with pytest.raises(Refused) as theirs:
        tenants.revoke_token(globex, token.id, by=ALICE)
    nowhere = uuid.uuid4()
    with pytest.raises(Refused) as nobodys:
        tenants.revoke_token(globex, nowhere, by=ALICE)

    assert str(theirs.value) == str(nobodys.value).replace(str(nowhere), str(token.id))
    opened = access.token_for(secret)
    assert opened is not None
    assert access.principal_of_token(opened, globex) is None
    principal = access.principal_of_token(opened, acme)
    assert principal is not None
    assert principal.actor == "token:ci"
