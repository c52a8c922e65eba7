"""Statistics that are kept for a time only: what is gone is said to be gone, and stays so."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events import duties
from events.bus import event_bus
from events.durable import differing, rebuilding
from events.durable.catching_up import catch_up
from events.tenant_settings import change_settings
from projections import retention
from projections.analytics import keeping
from projections.analytics.buckets import Resolution, floor
from projections.analytics.queries import (
    BadRange,
    completion_rate,
    task_series,
    task_statistics,
)
from projections.models import StatisticsKept, TaskStatisticsRow
from tests.projections.analytics.histories import FLEET, completed, fold, store
from tests.projections.analytics.test_following import create, work
from tests.services.conftest import ALICE

ANALYTICS = event_bus.subscriptions["analytics"]
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def buckets(tenant: str, resolution: Resolution) -> Sequence[datetime]:
    rows = TaskStatisticsRow.objects.filter(tenant=tenant, resolution=resolution, kind="tenant")
    return sorted(rows.values_list("bucket", flat=True))


def days_ago(days: float) -> datetime:
    return floor(timezone.now() - days * DAY, "hour")


@pytest.fixture
def old(acme: str) -> str:
    """One task each was completed 40, 20 and 8 days ago, and one an hour ago."""
    ended = [completed("a-one", days_ago(ago)) for ago in (40, 20, 8, 1 / 24)]
    store(acme, fold([*FLEET, *ended]), 1)
    return acme


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let the settings be looked at so many days from now."""
    wanted = keeping.wanted

    def pass_by(days: float) -> None:
        monkeypatch.setattr(keeping, "wanted", lambda tenant, now: wanted(tenant, now + days * DAY))

    return pass_by


def test_without_a_setting_everything_is_kept(old: str) -> None:
    retention.sweep()

    assert len(buckets(old, "minute")) == len(buckets(old, "day")) == 4
    assert not StatisticsKept.objects.filter(tenant=old).exists()


def test_each_resolution_is_kept_for_its_own_time_from_a_midnight_on(old: str) -> None:
    change_settings(old, minute_statistics_days=7, hour_statistics_days=30, by=ALICE)

    retention.sweep()

    assert len(buckets(old, "minute")) == 1
    assert len(buckets(old, "hour")) == 3
    assert len(buckets(old, "day")) == 4
    kinds = TaskStatisticsRow.objects.filter(tenant=old, resolution="hour").values_list("kind")
    assert sorted(kinds) == sorted([("tenant",), ("type",), ("agent",)] * 3)
    assert keeping.live_since(old) == {
        "minute": floor(timezone.now() - 7 * DAY, "day"),
        "hour": floor(timezone.now() - 30 * DAY, "day"),
    }


def test_a_run_deletes_so_many_at_the_most_and_the_next_goes_on(
    old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "AT_ONCE", 2)
    change_settings(old, minute_statistics_days=7, by=ALICE)
    keeping.move(old, timezone.now())

    assert keeping.delete(old, 2) == 2
    assert [keeping.delete(old, 100), keeping.delete(old, 100)] == [4, 0]
    assert len(buckets(old, "minute")) == 1


def test_a_range_that_reaches_back_further_begins_where_what_is_kept_begins(old: str) -> None:
    change_settings(old, hour_statistics_days=30, minute_statistics_days=30, by=ALICE)
    retention.sweep()
    first = floor(timezone.now() - 30 * DAY, "day")

    found = task_statistics(old, days_ago(50), timezone.now(), "hour")
    by_day = task_statistics(old, days_ago(50), timezone.now(), "day")
    rate = completion_rate(old, 50 * 24 * 60)

    assert (found.since, found.buckets[0].since, found.total.completed) == (first, first, 3)
    assert found.agents.since == found.types.since == first
    assert (found.agents.items[0].completed, found.types.items[0].completed) == (3, 3)
    assert (by_day.since, by_day.total.completed) == (floor(days_ago(50), "day"), 4)
    assert (rate.since, rate.completed) == (first, 3)


def test_a_range_of_which_nothing_is_kept_is_refused_and_says_since_when_it_is(old: str) -> None:
    change_settings(old, minute_statistics_days=7, by=ALICE)
    retention.sweep()

    with pytest.raises(BadRange, match=r"until must be after 20.*by minute are not kept"):
        task_series(old, days_ago(20), days_ago(20) + HOUR, "minute")


def test_what_does_not_count_is_not_read_before_it_is_deleted(old: str) -> None:
    change_settings(old, hour_statistics_days=30, minute_statistics_days=7, by=ALICE)
    keeping.move(old, timezone.now())

    assert len(buckets(old, "hour")) == 4
    assert task_series(old, days_ago(50), timezone.now(), "hour").total.completed == 3


def test_the_last_days_cost_no_question_about_it(old: str) -> None:
    with CaptureQueriesContext(connection) as asked:
        completion_rate(old, 15)

    assert not [each for each in asked.captured_queries if "statisticskept" in each["sql"]]


def test_kept_for_ever_again_what_is_gone_stays_gone_until_it_is_made_anew(old: str) -> None:
    change_settings(
        old,
        minute_statistics_days=7,
        hour_statistics_days=7,
        day_statistics_days=7,
        by=ALICE,
    )
    retention.sweep()
    change_settings(
        old,
        minute_statistics_days=None,
        hour_statistics_days=None,
        day_statistics_days=None,
        by=ALICE,
    )
    retention.sweep()

    assert task_series(old, days_ago(50), timezone.now(), "day").since > days_ago(9)

    rebuilding.rebuild(ANALYTICS, old)  # of an empty log: the rows were made up
    assert task_series(old, days_ago(50), timezone.now(), "day").since < days_ago(49)


def test_another_tenants_rows_are_nobodys_business(old: str, globex: str) -> None:
    store(globex, fold([*FLEET, completed("a-one", days_ago(40))]), 1)
    change_settings(old, minute_statistics_days=7, by=ALICE)

    retention.sweep()

    assert len(buckets(globex, "minute")) == 1


class TestOfARealLog:
    """A fleet's log, whose events are all of now; so the settings are looked at a month later."""

    @pytest.fixture
    def followed(self, acme: str) -> str:
        create(acme, "a-one", "writer")
        for number in range(4):
            work(acme, "a-one", number)
        catch_up(ANALYTICS, acme)
        change_settings(acme, minute_statistics_days=7, by=ALICE)
        return acme

    def test_live_rows_equal_rebuilt_rows_whatever_is_gone(
        self, followed: str, later: Callable[[float], None]
    ) -> None:
        _, before = rebuilding.check(ANALYTICS, followed)
        later(30)
        keeping.move(followed, timezone.now())
        _, moved = rebuilding.check(ANALYTICS, followed)
        keeping.delete(followed, 1)
        _, half_gone = rebuilding.check(ANALYTICS, followed)
        retention.sweep()
        _, gone = rebuilding.check(ANALYTICS, followed)

        assert [list(each) for each in (before, moved, half_gone, gone)] == [[], [], [], []]
        assert buckets(followed, "minute") == []
        assert len(buckets(followed, "hour")) >= 1

    def test_a_difference_in_what_is_kept_is_still_found(
        self, followed: str, later: Callable[[float], None]
    ) -> None:
        later(30)
        retention.sweep()
        hours = TaskStatisticsRow.objects.filter(tenant=followed, resolution="hour", kind="agent")
        hours.update(completed=99)

        _, found = rebuilding.check(ANALYTICS, followed)

        assert found
        assert {each.key[:2] for each in found} == {("hour", "agent")}

    def test_a_rebuild_does_not_bring_back_what_was_forgotten(
        self, followed: str, later: Callable[[float], None]
    ) -> None:
        later(30)
        retention.sweep()

        rebuilding.rebuild(ANALYTICS, followed)

        assert buckets(followed, "minute") == []
        assert "minute" in keeping.live_since(followed)
        assert list(rebuilding.check(ANALYTICS, followed)[1]) == []
        assert StatisticsKept.objects.filter(tenant=followed).count() == 1

    def test_a_rebuild_brings_back_what_is_to_be_kept_again(
        self, followed: str, later: Callable[[float], None]
    ) -> None:
        minutes = buckets(followed, "minute")
        later(30)
        retention.sweep()
        change_settings(followed, minute_statistics_days=None, by=ALICE)

        rebuilding.rebuild(ANALYTICS, followed)

        assert buckets(followed, "minute") == minutes
        assert keeping.live_since(followed) == {}

    def test_what_comes_late_for_a_bucket_that_is_gone_makes_no_difference_and_goes_too(
        self, followed: str, later: Callable[[float], None]
    ) -> None:
        later(30)
        retention.sweep()
        work(followed, "a-one", 7)
        catch_up(ANALYTICS, followed)

        assert len(buckets(followed, "minute")) >= 1
        assert list(rebuilding.check(ANALYTICS, followed)[1]) == []
        retention.sweep()
        assert buckets(followed, "minute") == []

    def test_rows_that_go_while_they_are_compared_are_no_difference(
        self,
        followed: str,
        later: Callable[[float], None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        compare = differing._only_in

        def meanwhile(*given: object) -> object:
            retention.sweep()
            return compare(*given)  # type: ignore[arg-type]

        later(30)
        monkeypatch.setattr(differing, "_only_in", meanwhile)

        assert list(rebuilding.check(ANALYTICS, followed)[1]) == []
        assert buckets(followed, "minute") == []


def test_the_worker_forgets() -> None:
    assert duties.sweeps["retention"].run is retention.sweep
