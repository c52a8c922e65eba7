"""The statistics of a range: exact where they say so, in whole buckets, of one tenant."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events.models import SubscriptionCheckpoint
from events.vocabulary import Usage
from projections.analytics.buckets import LENGTH, Resolution, ceil, floor
from projections.analytics.measure import ExecutionTime, Measured
from projections.analytics.queries import BadRange, task_series, task_statistics
from projections.models import AgentTypeRow, TaskStatisticsRow
from tests.projections.analytics.histories import (
    FLEET,
    MONDAY,
    TYPES,
    Naive,
    completed,
    count_one,
    created,
    failed,
    fold,
    store,
    stored,
)

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def three_days(seed: int) -> list[Any]:
    """200 ends of tasks in three days."""
    chance = random.Random(seed)
    history: list[Any] = []
    for _ in range(200):
        at = MONDAY + timedelta(microseconds=chance.randrange(3 * 24 * 3600 * 1_000_000))
        agent = chance.choice(sorted(TYPES))
        if chance.random() < 0.2:
            history.append(failed(agent, at))
            continue
        usage = Usage(chance.randrange(9_000), chance.randrange(900)) if at.minute % 3 else None
        history.append(completed(agent, at, chance.lognormvariate(7, 2), usage))
    return history


def keep(tenant: str, history: Sequence[Any], generation: int = 1) -> None:
    store(tenant, fold([*FLEET, *history]), generation)


def naively(history: Sequence[Any], since: datetime, until: datetime) -> Naive:
    naive = Naive()
    for event in history:
        if since <= event.envelope.recorded_at < until:
            count_one(naive, event)
    return naive


def assert_says(measured: Measured, naive: Naive, over: timedelta) -> None:
    done, ended = len(naive.us), len(naive.us) + naive.failed
    assert (measured.completed, measured.failed) == (done, naive.failed)
    assert measured.completion_rate == (done / ended if ended else None)
    assert measured.throughput_per_minute == pytest.approx(done / (over / MINUTE))
    tokens = measured.tokens
    assert (tokens.input_tokens, tokens.output_tokens) == (naive.input_tokens, naive.output_tokens)
    times = measured.execution_time_ms
    if not done:
        assert times == ExecutionTime()
        return
    assert (times.min, times.max) == (min(naive.us) / 1000, max(naive.us) / 1000)
    assert times.mean == pytest.approx(sum(naive.us) / done / 1000)
    for found, percent in ((times.p50, 50), (times.p95, 95), (times.p99, 99)):
        assert found == pytest.approx(naive.exact(percent) / 1000, rel=0.010_000_001)


@pytest.mark.parametrize(
    ("bucket", "since", "until"),
    [
        ("day", MONDAY, MONDAY + 72 * HOUR),
        ("day", MONDAY + 5 * HOUR, MONDAY + 30 * HOUR),
        ("hour", MONDAY + 22.5 * HOUR, MONDAY + 55.2 * HOUR),
        ("minute", MONDAY + 22.99 * HOUR, MONDAY + 26.01 * HOUR),
        ("minute", MONDAY + 7.4 * HOUR, MONDAY + 7.41 * HOUR),
    ],
)
def test_the_statistics_of_a_range_are_what_a_naive_count_says(
    acme: str, bucket: Resolution, since: datetime, until: datetime
) -> None:
    history = three_days(seed=7)
    keep(acme, history)
    found = task_statistics(acme, since, until, bucket)
    first, end = floor(since, bucket), ceil(until, bucket)

    assert (found.since, found.until) == (first, end)
    assert_says(found.total, naively(history, first, end), end - first)
    assert found.buckets[0].since == first
    assert found.buckets[-1].since == end - LENGTH[bucket]
    assert all(b.since - a.since == LENGTH[bucket] for a, b in pairwise(found.buckets))
    for each in found.buckets:
        after = each.since + LENGTH[bucket]
        assert_says(each, naively(history, each.since, after), LENGTH[bucket])
    for breakdown, name_of in (
        (found.agents, lambda event: event.agent_id),
        (found.types, lambda event: TYPES[event.agent_id]),
    ):
        # Whole hours, which for types are the very range where they need not be.
        begin, over = (
            (floor(first, "hour"), ceil(end, "hour")) if breakdown is found.agents else (first, end)
        )
        assert (breakdown.since, breakdown.until) == (begin, over)
        ended = [event for event in history if begin <= event.envelope.recorded_at < over]
        assert {each.name for each in breakdown.items} == {name_of(event) for event in ended}
        for named in breakdown.items:
            own = [event for event in ended if name_of(event) == named.name]
            assert_says(named, naively(own, begin, over), over - begin)
        assert breakdown.rest.number == 0


def test_one_agents_series_is_its_own(acme: str) -> None:
    history = three_days(seed=8)
    keep(acme, history)
    until = MONDAY + 48 * HOUR

    found = task_series(acme, MONDAY, until, "hour", kind="agent", name="a-two")

    own = [event for event in history if event.agent_id == "a-two"]
    assert_says(found.total, naively(own, MONDAY, until), 48 * HOUR)
    for each in found.buckets:
        assert_says(each, naively(own, each.since, each.since + HOUR), HOUR)


def test_one_types_series_has_minutes(acme: str) -> None:
    keep(acme, [completed("a-one", MONDAY + MINUTE), completed("a-three", MONDAY)])

    found = task_series(acme, MONDAY, MONDAY + 2 * MINUTE, "minute", kind="type", name="writer")

    assert [each.completed for each in found.buckets] == [0, 1]


def test_one_agents_minutes_are_refused(acme: str) -> None:
    with pytest.raises(BadRange, match="bucket must be hour or day: no minutes of agents are kept"):
        task_series(acme, MONDAY, MONDAY + MINUTE, "minute", kind="agent", name="a-one")


def test_empty_buckets_are_given_and_say_nothing_of_times(acme: str) -> None:
    keep(acme, [completed("a-one", MONDAY + HOUR)])

    found = task_statistics(acme, MONDAY, MONDAY + 3 * HOUR, "hour")

    assert [each.completed for each in found.buckets] == [0, 1, 0]
    assert found.buckets[0].completion_rate is None
    assert found.buckets[0].execution_time_ms == ExecutionTime()


def test_where_only_failures_ended_the_rate_is_zero_and_there_are_no_times(acme: str) -> None:
    keep(acme, [failed("a-one", MONDAY)])

    total = task_statistics(acme, MONDAY, MONDAY + HOUR, "hour").total

    assert (total.completion_rate, total.failed) == (0, 1)
    assert total.execution_time_ms == ExecutionTime()


def test_a_tenant_without_rows_gets_zeros(acme: str) -> None:
    found = task_statistics(acme, MONDAY, MONDAY + HOUR, "minute")

    assert (found.seq, found.total.completed, len(found.buckets)) == (0, 0, 60)
    assert found.agents.items == found.types.items == ()


def test_zero_and_the_longest_time_come_out_as_they_went_in(acme: str) -> None:
    most = 2**63 - 1
    times = [0, 0.0, most]
    keep(acme, [completed("a-one", MONDAY, ms, Usage(most, most)) for ms in times])

    total = task_statistics(acme, MONDAY, MONDAY + HOUR, "hour").total

    assert total.tokens.input_tokens == 3 * most
    said = total.execution_time_ms
    assert (said.min, said.p50, said.max) == (0, 0, most)
    assert said.p99 == pytest.approx(most, rel=0.01)


def test_the_busiest_are_named_and_the_rest_is_said(acme: str) -> None:
    fleet = [created(f"a-{n}", f"type-{n}") for n in range(5)]
    history = [completed(f"a-{n}", MONDAY) for n in range(5) for _ in range(n)]
    history += [failed("a-1", MONDAY), failed("a-0", MONDAY)]
    store(acme, fold([*fleet, *history]))

    found = task_statistics(acme, MONDAY, MONDAY + HOUR, "hour", most=3)

    assert [each.name for each in found.agents.items] == ["a-4", "a-3", "a-1"]
    rest = found.agents.rest
    assert (rest.number, rest.completed, rest.failed) == (2, 2, 1)
    assert [each.name for each in found.types.items] == ["type-4", "type-3", "type-1"]
    assert found.types.rest == rest


def test_names_of_equal_weight_stand_in_the_order_of_their_characters(acme: str) -> None:
    names = ["a-b", "aBc", "a_c", "abc"]
    # Each in another piece of the range, the last one first.
    ends = [MONDAY + HOUR * each for each in (48, 30, 23, 22)]
    store(acme, fold(completed(name, at) for name, at in zip(names, ends, strict=True)))

    found = task_statistics(acme, MONDAY + 22 * HOUR, MONDAY + 49 * HOUR, "hour")

    assert [each.name for each in found.agents.items] == sorted(names)


def test_mallory_sees_what_she_would_see_if_acme_were_not_there(acme: str, globex: str) -> None:
    keep(acme, three_days(seed=9))
    before = task_statistics(globex, MONDAY, MONDAY + 72 * HOUR, "day")
    keep(globex, [completed("a-one", MONDAY, 5)])

    after = task_statistics(globex, MONDAY, MONDAY + 72 * HOUR, "day")

    assert (before.total.completed, before.total.failed, before.agents.items) == (0, 0, ())
    assert (after.total.completed, after.total.execution_time_ms.max) == (1, 5)
    assert [each.name for each in after.agents.items] == ["a-one"]
    assert [each.name for each in after.types.items] == ["writer"]


def test_only_the_generation_that_counts_is_told(acme: str) -> None:
    keep(acme, [completed("a-one", MONDAY)], generation=1)
    keep(acme, [completed("a-one", MONDAY)] * 3, generation=2)
    checkpoint = SubscriptionCheckpoint.objects.create(
        subscription="analytics", tenant_id=acme, seq=41, hash=b"", updated_at=timezone.now()
    )

    first = task_statistics(acme, MONDAY, MONDAY + HOUR, "hour")
    checkpoint.generation = 2
    checkpoint.save()
    second = task_statistics(acme, MONDAY, MONDAY + HOUR, "hour")

    assert (first.seq, first.total.completed, second.total.completed) == (41, 1, 3)
    assert (first.agents.items[0].completed, second.agents.items[0].completed) == (1, 3)


def test_a_batch_that_goes_on_from_stored_rows_gives_the_same_rows(acme: str) -> None:
    history = three_days(seed=10)[:60]
    for start in range(0, 60, 20):
        store(acme, fold([*FLEET, *history[start : start + 20]], stored(acme)))

    assert stored(acme) == fold([*FLEET, *history])


@pytest.mark.parametrize(
    ("since", "until", "bucket", "said"),
    [
        (MONDAY, MONDAY, "hour", "since must be before until"),
        (MONDAY + HOUR, MONDAY, "hour", "since must be before until"),
        (MONDAY, MONDAY + HOUR, "week", "bucket must be one of minute, hour, day"),
        (
            MONDAY,
            MONDAY + 1500 * HOUR + MINUTE,
            "hour",
            "since is 1501 hours before until, and at most 1500",
        ),
        (MONDAY, datetime(9999, 12, 31, 23, tzinfo=UTC), "day", "end of the year 9999"),
        (
            datetime(9999, 12, 31, 23, 10, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 20, tzinfo=UTC),
            "minute",
            "end of the year 9999",
        ),
    ],
)
def test_a_range_that_cannot_be_told_is_refused(
    acme: str, since: datetime, until: datetime, bucket: Any, said: str
) -> None:
    with pytest.raises(BadRange, match=said):
        task_statistics(acme, since, until, bucket)


def test_as_many_buckets_as_are_allowed_are_given(acme: str) -> None:
    found = task_statistics(acme, MONDAY + MINUTE, MONDAY + 1500 * HOUR, "hour")

    assert len(found.buckets) == 1500


def test_the_number_of_queries_does_not_grow_with_the_range(acme: str) -> None:
    keep(acme, three_days(seed=11))

    with CaptureQueriesContext(connection) as queries:
        task_statistics(acme, MONDAY - 700 * HOUR, MONDAY + 60.5 * HOUR, "hour")

    # One for the seq, one for since when buckets are kept, one for the series, and two for each
    # piece of agents and of types.
    assert len(queries) == 1 + 1 + 1 + 2 * 2 * 3


def test_what_a_row_is_called_says_what_it_is_of(acme: str) -> None:
    keep(acme, [completed("a-one", MONDAY)])

    row = TaskStatisticsRow.objects.get(tenant=acme, resolution="day", kind="agent")
    assert str(row) == f"{acme} day 2026-03-02 00:00:00+00:00 agent a-one"
    assert {str(each) for each in AgentTypeRow.objects.filter(tenant=acme)} >= {
        f"{acme}/a-one is writer",
        f"{acme}/a-four is of no type",
    }
