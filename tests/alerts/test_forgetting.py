"""Alerts that are over are kept for as long as the tenant wants."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from events.log import cursor
from events.models import HeldStream, SubscriptionCheckpoint
from events.tenant_settings import change_settings
from projections import retention
from projections.alerts import forgetting
from projections.alerts.models import Alert, State
from tests.alerts.fleet import ALICE, stand

DAY = timedelta(days=1)


def ended(tenant: str, subject: str, days_ago: float, **more: Any) -> Alert:
    """An alert that was resolved so many days ago."""
    alert = stand(tenant, subject=subject)
    at = timezone.now() - days_ago * DAY
    values: dict[str, Any] = {
        "state": State.RESOLVED,
        "opened_at": at,
        "resolved_at": at,
        "id": _id_at(at),
    } | more
    Alert.objects.filter(tenant=tenant, pk=alert.pk).update(**values)
    return Alert.objects.get(tenant=tenant, pk=values["id"])


def _id_at(moment: datetime) -> UUID:
    _id_at.number += 1  # type: ignore[attr-defined]
    return UUID(int=(int(moment.timestamp() * 1000) << 80) + _id_at.number)  # type: ignore[attr-defined]


_id_at.number = 0  # type: ignore[attr-defined]


def subjects(tenant: str) -> set[str]:
    return set(Alert.objects.filter(tenant=tenant).values_list("subject", flat=True))


@pytest.fixture
def read_to_the_end(acme: str) -> Callable[[], None]:
    """Say that the reaction has read the log."""

    def say() -> None:
        end = cursor.head(acme)
        SubscriptionCheckpoint.objects.update_or_create(
            tenant_id=acme,
            subscription="alerts",
            defaults={"seq": end.seq, "hash": end.hash, "updated_at": timezone.now()},
        )

    return say


def test_ended_alerts_go_when_their_time_is_over_and_others_stay(
    acme: str, read_to_the_end: Callable[[], None]
) -> None:
    ended(acme, "long-ago", 31)
    ended(acme, "lately", 29)
    ended(acme, "stands", 60, state=State.OPEN, resolved_at=None)
    change_settings(acme, ended_alerts_days=30, by=ALICE)
    read_to_the_end()

    retention.sweep()

    assert subjects(acme) == {"lately", "stands"}


def test_they_are_kept_for_ever_where_nothing_else_is_set(
    acme: str, globex: str, read_to_the_end: Callable[[], None]
) -> None:
    ended(acme, "a-1", 4_000)
    ended(globex, "a-1", 4_000)
    change_settings(acme, minute_statistics_days=30, by=ALICE)
    read_to_the_end()

    retention.sweep()

    assert subjects(acme) == subjects(globex) == {"a-1"}


def test_one_whose_events_may_come_again_stays(
    acme: str, read_to_the_end: Callable[[], None]
) -> None:
    ended(acme, "not-read", 31, last_seq=10**6)
    held = ended(acme, "held", 31)
    change_settings(acme, ended_alerts_days=30, by=ALICE)
    read_to_the_end()
    HeldStream.objects.create(
        tenant_id=acme,
        subscription="alerts",
        stream_type="agent",
        stream_id=held.subject,
        version=1,
        seq=1,
        attempts=1,
        last_error="",
    )

    assert forgetting.delete(acme, timezone.now(), 100) == 0

    HeldStream.objects.filter(tenant=acme).delete()
    assert forgetting.delete(acme, timezone.now(), 100) == 1
    assert subjects(acme) == {"not-read"}


def test_where_nobody_has_read_the_log_yet_nothing_goes(acme: str) -> None:
    ended(acme, "a-1", 31)
    change_settings(acme, ended_alerts_days=30, by=ALICE)

    assert forgetting.delete(acme, timezone.now(), 100) == 0


def test_a_run_deletes_so_many_at_the_most(
    acme: str, read_to_the_end: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 2)
    for number in range(5):
        ended(acme, f"a-{number}", 31 + number)
    change_settings(acme, ended_alerts_days=30, by=ALICE)
    read_to_the_end()

    gone = [forgetting.delete(acme, timezone.now(), 2) for _ in range(4)]

    assert gone == [2, 2, 1, 0]
