"""A tenant is made confidential and back; an installation without a key is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError
from pytest_django.fixtures import Settings

from events import checks, tenant_settings, tenants
from events.confidential.keys import kek_id
from events.models import Event, Tenant
from events.tenants import Refused
from tests.api.conftest import Caller
from tests.confidential.conftest import BY, KEK, OTHER_KEK, assign, events_of
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
        tenant_settings.change_settings("no-such-tenant", confidential_payloads=True, by=BY)
    assert refused.value.code == "not_found"


def test_two_who_change_it_at_once_are_one_change(
    mallory: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tenants.record

    def late(*given: Any, **more: Any) -> Any:
        monkeypatch.setattr(tenants, "record", record)
        tenant_settings.change_settings(mallory.tenant, confidential_payloads=True, by=BY)
        return record(*given, **more)

    monkeypatch.setattr(tenants, "record", late)
    with pytest.raises(Refused) as refused:
        tenant_settings.change_settings(mallory.tenant, confidential_payloads=True, by=BY)

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


def test_a_check_names_the_key_that_payloads_are_sealed_under_and_that_is_not_here(
    acme: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "SHOWN", 10_000)

    def found(**given: Any) -> list[Any]:
        warnings = checks.payload_keys_can_be_opened(None, **given)
        return [each for each in warnings if f" {acme} " in each.msg]

    assign(acme)
    assert found(databases=["default"]) == []
    settings.ENCRYPTION_KEYS = (OTHER_KEK,)
    (warning,) = found(databases=["default"])
    assert warning.id == "events.W002"
    assert kek_id(KEK) in warning.msg
    assert found() == found(databases=["other"]) == []
    settings.ENCRYPTION_KEYS = (OTHER_KEK, KEK)
    assert found(databases=["default"]) == []


def test_a_replay_without_a_key_is_refused_before_it_makes_its_fleet(
    acme: str, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "trace.csv"
    file.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,1,1\n")
    before = Event.objects.filter(tenant=acme).count()
    settings.ENCRYPTION_KEYS = ()

    with pytest.raises(CommandError, match="no key encrypts them"):
        manage("replay_trace", str(file), "--tenant", acme, "--speed", "max")

    assert Event.objects.filter(tenant=acme).count() == before
