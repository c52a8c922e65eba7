"""A tenant's settings, as whoever runs the installation changes them."""

import json
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.db import IntegrityError

from events import tenant_settings, tenants
from events.models import Event, Tenant
from events.tenants import Refused
from tests.jobs.conftest import ALICE, manage


def told(tenant: str) -> list[Any]:
    rows = Event.objects.filter(tenant=tenant, type="SettingsChanged").order_by("seq")
    return [json.loads(row.data)["changed"] for row in rows]


def test_a_tenant_has_a_name_and_a_time_zone_and_a_fact_tells_of_each_change(acme: str) -> None:
    assert Tenant.objects.get(slug=acme).time_zone == "UTC"

    said = manage("configure_tenant", acme, "--name", "Acme Ltd", "--time-zone", "Europe/Berlin")

    assert said.out == f"{acme}: its name is Acme Ltd, its time zone is Europe/Berlin.\n"
    standing = Tenant.objects.get(slug=acme)
    assert (standing.name, standing.time_zone) == ("Acme Ltd", "Europe/Berlin")
    assert told(acme) == [{"name": "Acme Ltd", "time_zone": "Europe/Berlin"}]


def test_the_fact_holds_what_changed_alone_and_there_is_none_where_nothing_did(acme: str) -> None:
    tenant_settings.change_settings(acme, time_zone="Asia/Tokyo", by=ALICE)

    changed = tenant_settings.change_settings(acme, name="A", time_zone="Asia/Tokyo", by=ALICE)
    same = tenant_settings.change_settings(acme, name="A", time_zone="Asia/Tokyo", by=ALICE)

    assert (changed, same) == ({"name": "A"}, {})
    assert told(acme) == [{"time_zone": "Asia/Tokyo"}, {"name": "A"}]


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--time-zone", "Mars/Olympus", "There is no time zone 'Mars/Olympus'"),
        ("--time-zone", "", "There is no time zone"),
        ("--time-zone", "Europe", "There is no time zone"),
        ("--time-zone", "../../etc/passwd", "There is no time zone"),
        ("--time-zone", "localtime", "There is no time zone"),
        ("--time-zone", "Europe/Berlin\0", "There is no time zone"),
        ("--time-zone", "x" * 5000, "There is no time zone"),
        ("--name", "", "1 to 256 printable characters"),
        ("--name", "  ", "1 to 256 printable characters"),
        ("--name", "x" * 257, "1 to 256 printable characters"),
        ("--name", "a\0b", "1 to 256 printable characters"),
    ],
)
def test_what_cannot_be_set_is_refused_in_one_line(
    acme: str, option: str, value: str, why: str
) -> None:
    with pytest.raises(CommandError, match=why) as refused:
        manage("configure_tenant", acme, f"{option}={value}")

    assert "\n" not in str(refused.value)
    assert told(acme) == []


def test_one_unfit_setting_leaves_all_as_they_were(acme: str) -> None:
    with pytest.raises(Refused) as refused:
        tenant_settings.change_settings(acme, name="Acme Ltd", time_zone="Nowhere", by=ALICE)

    assert (refused.value.code, refused.value.field) == ("invalid", "time_zone")
    assert Tenant.objects.get(slug=acme).name == acme


def test_settings_are_given_or_the_command_says_that_none_was(acme: str) -> None:
    with pytest.raises(CommandError, match="Nothing to change was given"):
        manage("configure_tenant", acme)


def test_two_who_change_one_setting_at_once_are_one_change(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tenants.record

    def late(*given: Any, **more: Any) -> Any:
        monkeypatch.setattr(tenants, "record", record)
        tenant_settings.change_settings(acme, time_zone="Asia/Tokyo", by=ALICE)
        return record(*given, **more)

    monkeypatch.setattr(tenants, "record", late)
    with pytest.raises(Refused, match="changed by somebody else"):
        tenant_settings.change_settings(acme, time_zone="Europe/Paris", by=ALICE)

    assert Tenant.objects.get(slug=acme).time_zone == "Asia/Tokyo"
    assert told(acme) == [{"time_zone": "Asia/Tokyo"}]


def test_for_how_long_things_are_kept_is_set_and_unset(acme: str) -> None:
    options = ("--minute-statistics-days", "30", "--ended-alerts-days", "90")

    said = manage("configure_tenant", acme, *options)
    again = manage("configure_tenant", acme, "--ended-alerts-days", "for-ever")

    assert said.out == (
        f"{acme}: statistics by minute are kept for 30 days, "
        f"alerts that are over are kept for 90 days.\n"
    )
    assert again.out == f"{acme}: alerts that are over are kept for ever.\n"
    assert told(acme) == [
        {"minute_statistics_days": 30, "ended_alerts_days": 90},
        {"ended_alerts_days": None},
    ]
    with pytest.raises(CommandError, match="neither a number of whole days nor for-ever"):
        manage("configure_tenant", acme, "--ended-alerts-days", "x")


@pytest.mark.parametrize("days", [6, 0, -1, 36_501, 2**70, True, 7.5, "30"])
def test_what_is_derived_is_kept_for_whole_days_within_bounds(acme: str, days: Any) -> None:
    with pytest.raises(Refused, match="Kept for 7 to 36,500 days") as refused:
        tenant_settings.change_settings(acme, ended_alerts_days=days, by=ALICE)

    assert refused.value.field == "ended_alerts_days"
    assert told(acme) == []


def test_statistics_by_longer_buckets_are_kept_at_least_as_long(acme: str) -> None:
    tenant_settings.change_settings(acme, minute_statistics_days=30, by=ALICE)

    for days in (
        {"hour_statistics_days": 29},
        {"day_statistics_days": 29},
        {"minute_statistics_days": None, "hour_statistics_days": 400},
        {"hour_statistics_days": 60, "day_statistics_days": 59},
    ):
        with pytest.raises(Refused, match="no longer than those by"):
            tenant_settings.change_settings(acme, **days, by=ALICE)

    tenant_settings.change_settings(acme, hour_statistics_days=30, by=ALICE)
    assert told(acme) == [{"minute_statistics_days": 30}, {"hour_statistics_days": 30}]


def test_two_who_change_for_how_long_statistics_are_kept_do_not_pass_each_other(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either would be allowed alone."""
    kept = {"minute_statistics_days": 7, "hour_statistics_days": 30}
    tenant_settings.change_settings(acme, **kept, by=ALICE)  # type: ignore[arg-type]
    check = tenant_settings._check_order

    def meanwhile(days: Any) -> None:
        check(days)
        monkeypatch.undo()
        tenant_settings.change_settings(acme, minute_statistics_days=30, by=ALICE)

    monkeypatch.setattr(tenant_settings, "_check_order", meanwhile)
    with pytest.raises(Refused, match="changed by somebody else") as refused:
        tenant_settings.change_settings(acme, hour_statistics_days=10, by=ALICE)

    assert refused.value.code == "conflict"
    assert Tenant.objects.get(slug=acme).hour_statistics_days == 30


@pytest.mark.parametrize(
    "kept",
    [
        {"hour_statistics_days": 30},
        {"minute_statistics_days": 31, "hour_statistics_days": 30},
        {"minute_statistics_days": 7, "hour_statistics_days": 31, "day_statistics_days": 30},
    ],
)
def test_the_database_itself_keeps_no_longer_bucket_for_less_time(
    acme: str, kept: dict[str, int]
) -> None:
    with pytest.raises(IntegrityError):
        Tenant.objects.filter(slug=acme).update(**kept)
