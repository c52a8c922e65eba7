"""The settings and keys of an installation: turned on and off, checked, and changed."""

import json
from typing import Any

import pytest
from django.core.management.base import CommandError
from pytest_django.fixtures import Settings

from events import checks, tenants
from events.confidential import erase as erasing
from events.confidential import form, rewrap
from events.confidential import keys as kept
from events.models import PayloadKey, Tenant
from events.tenants import Refused
from tests.api.conftest import Caller
from tests.confidential.conftest import (
    BY,
    INPUT,
    KEK,
    OTHER_KEK,
    RESULT,
    assign,
    complete,
    events_of,
    keys,
    read,
    stored,
    why,
)
from tests.jobs.conftest import manage


def changes(tenant: str) -> list[Any]:
    return [json.loads(row.data)["changed"] for row in events_of(tenant, "SettingsChanged")]


def configure(tenant: str, value: str) -> str:
    return manage("configure_tenant", tenant, "--confidential-payloads", value).out


def test_a_tenant_is_made_confidential_and_back_with_a_fact_each(mallory: Caller) -> None:
    tenant = mallory.tenant

    assert configure(tenant, "off") == (
        f"{tenant}: confidential payloads are off already; nothing was changed.\n"
    )
    assert configure(tenant, "on") == f"{tenant}: confidential payloads are on.\n"
    assert Tenant.objects.get(slug=tenant).confidential_payloads
    assert "already" in configure(tenant, "on")
    configure(tenant, "off")

    assert changes(tenant) == [{"confidential_payloads": True}, {"confidential_payloads": False}]
    actors = {row.actor for row in events_of(tenant, "SettingsChanged")}
    assert actors == {"system:manage"}


def test_it_is_refused_while_there_is_no_key(mallory: Caller, settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = ()

    with pytest.raises(CommandError, match="Set AGENTMESH_ENCRYPTION_KEYS"):
        configure(mallory.tenant, "on")

    assert changes(mallory.tenant) == []


def test_it_can_be_turned_off_without_a_key(acme: str, settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = ()
    configure(acme, "off")

    assert changes(acme)[-1] == {"confidential_payloads": False}


@pytest.mark.usefixtures("committed_db")
def test_a_tenant_that_is_not_there_is_refused() -> None:
    with pytest.raises(CommandError, match="There is no tenant"):
        configure("no-such-tenant", "on")
    with pytest.raises(Refused) as refused:
        tenants.change_settings("no-such-tenant", confidential_payloads=True, by=BY)
    assert refused.value.code == "not_found"


def test_two_who_change_it_at_once_are_one_change(
    mallory: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tenants.record

    def late(*given: Any, **more: Any) -> Any:
        monkeypatch.setattr(tenants, "record", record)
        tenants.change_settings(mallory.tenant, confidential_payloads=True, by=BY)
        return record(*given, **more)

    monkeypatch.setattr(tenants, "record", late)
    with pytest.raises(Refused) as refused:
        tenants.change_settings(mallory.tenant, confidential_payloads=True, by=BY)

    assert refused.value.code == "conflict"
    assert len(changes(mallory.tenant)) == 1


def test_a_check_names_confidential_tenants_without_a_key(
    acme: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "SHOWN", 10_000)  # other tests' tenants stand there too

    def found(**given: Any) -> list[Any]:
        return checks.confidential_tenants_have_a_key(None, **given)

    assert found(databases=["default"]) == []
    settings.ENCRYPTION_KEYS = ()
    (error,) = found(databases=["default"])
    assert (error.id, acme in error.msg) == ("events.E006", True)
    assert "AGENTMESH_ENCRYPTION_KEYS" in error.hint
    assert found() == found(databases=["other"]) == []
    configure(acme, "off")
    assert all(acme not in each.msg for each in found(databases=["default"]))


# --- the key that wraps is changed --------------------------------------------------------------


def test_a_new_first_key_wraps_what_is_new_and_the_old_one_opens_the_rest(
    acme: str, settings: Settings
) -> None:
    assign(acme, "t-1")
    settings.ENCRYPTION_KEYS = (OTHER_KEK, KEK)
    complete(acme, "t-1")
    assign(acme, "t-2")

    assert [key.kek for key in keys(acme)] == [kept.kek_id(KEK), kept.kek_id(OTHER_KEK)]
    assert read(acme) == [INPUT, RESULT, INPUT]


def test_keys_are_wrapped_anew_and_the_old_one_can_go(
    acme: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrap, "AT_ONCE", 2)
    for number in range(5):
        assign(acme, f"t-{number}")
        complete(acme, f"t-{number}")
    erasing.erase(acme, task_id="t-0", reason="x", by=BY)
    before, in_the_log = read(acme), stored(acme)
    settings.ENCRYPTION_KEYS = (OTHER_KEK, KEK)

    first, again = rewrap.rewrap(acme), rewrap.rewrap(acme)

    assert (first.kek, first.done, first.left) == (kept.kek_id(OTHER_KEK), 4, 0)
    assert (again.done, again.left) == (0, 0)
    settings.ENCRYPTION_KEYS = (OTHER_KEK,)
    assert read(acme) == before
    assert before[:2] == [why("erased")] * 2
    assert stored(acme) == in_the_log
    assert [key.wrapped is None for key in keys(acme)] == [True, False, False, False, False]


def test_what_cannot_be_unwrapped_is_left_as_it_is_and_counted(
    acme: str, settings: Settings
) -> None:
    assign(acme, "t-1")
    complete(acme, "t-1")
    assign(acme, "t-2")
    PayloadKey.objects.filter(tenant=acme, task_id="t-2").update(wrapped=b"x" * 40)
    settings.ENCRYPTION_KEYS = (bytes(32),)
    assert rewrap.rewrap(acme).left == 2
    settings.ENCRYPTION_KEYS = (OTHER_KEK, KEK)

    done = rewrap.rewrap(acme)

    assert (done.done, done.left) == (1, 1)
    assert read(acme) == [INPUT, RESULT, why("unreadable")]


def test_an_erasure_while_keys_are_wrapped_anew_stays_one(
    acme: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assign(acme)
    settings.ENCRYPTION_KEYS = (OTHER_KEK, KEK)
    found = rewrap._batch

    def erase_after_finding(*given: Any) -> list[str]:
        batch = found(*given)
        if batch:
            erasing.erase(acme, task_id="t-1", reason="x", by=BY)
        return batch

    monkeypatch.setattr(rewrap, "_batch", erase_after_finding)
    rewrap.rewrap(acme)

    assert read(acme) == [why("erased")]


class TestTheCommand:
    """In a database of its own: it is for all tenants, also those of other tests."""

    @pytest.fixture
    def two(self, in_scratch_database: None, fresh_slug: Any) -> list[str]:
        PayloadKey.objects.across_tenants().delete()
        slugs = [tenants.create_tenant(fresh_slug(name)).slug for name in ("acme", "globex")]
        for slug in slugs:
            PayloadKey.objects.create(
                key_id=slug[-12:],
                tenant_id=slug,
                task_id="t-1",
                agent_id="a-1",
                wrapped=form.wrap(b"k" * 32, KEK),
                kek=kept.kek_id(KEK),
                seq=1,
                created_at="2026-01-01T00:00:00Z",
            )
        return slugs

    def test_goes_through_all_tenants(self, two: list[str], settings: Settings) -> None:
        settings.ENCRYPTION_KEYS = (OTHER_KEK, KEK)

        said = manage("rewrap_keys")

        assert said.out == f"2 keys wrapped anew with {kept.kek_id(OTHER_KEK)}.\n"
        keks = PayloadKey.objects.filter(tenant__in=two).values_list("kek", flat=True)
        assert set(keks) == {kept.kek_id(OTHER_KEK)}

    def test_says_what_is_left(self, two: list[str], settings: Settings) -> None:
        settings.ENCRYPTION_KEYS = (OTHER_KEK,)

        with pytest.raises(CommandError, match="2 could not be unwrapped"):
            manage("rewrap_keys")

    @pytest.mark.usefixtures("two")
    def test_needs_a_key(self, settings: Settings) -> None:
        settings.ENCRYPTION_KEYS = ()

        with pytest.raises(CommandError, match="Set AGENTMESH_ENCRYPTION_KEYS"):
            manage("rewrap_keys")
