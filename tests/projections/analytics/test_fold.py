"""The fold: rows are what a naive count says, in whatever order the agents' events came."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.vocabulary import AgentTaskFailedEvent, Usage
from projections.analytics.readmodel import (
    AgentType,
    TaskStatistics,
    microseconds,
    project,
    touches,
)
from projections.analytics.sketch import counted, merged, percentile
from tests.projections.analytics.histories import (
    FLEET,
    MONDAY,
    completed,
    count_naively,
    created,
    failed,
    fold,
    histories,
)


@settings(max_examples=50, deadline=None)
@given(histories)
def test_rows_are_what_a_naive_count_says(history: list[Any]) -> None:
    rows = {
        key: row
        for (table, key), row in fold([*FLEET, *history]).items()
        if table is TaskStatistics
    }
    naive = count_naively(history)

    assert rows.keys() == naive.keys()
    for key, row in rows.items():
        expected = naive[key]
        assert (row.completed, row.failed) == (len(expected.us), expected.failed)
        assert row.input_tokens == expected.input_tokens
        assert row.output_tokens == expected.output_tokens
        assert row.execution_total_us == sum(expected.us)
        assert row.execution_min_us == min(expected.us, default=0)
        assert row.execution_max_us == max(expected.us, default=0)
        for percent in (50, 95, 99) if expected.us else ():
            exact = expected.exact(percent)
            found = percentile(merged([counted(row.execution_times)]), percent)
            assert abs(found - exact) <= 0.010_000_001 * exact


@settings(max_examples=50, deadline=None)
@given(histories, st.randoms(use_true_random=False))
def test_the_order_of_different_agents_events_changes_nothing(
    history: list[Any], chance: Any
) -> None:
    # A parked agent is counted later than others; its own events keep their order.
    queues = [[each for each in [*FLEET, *history] if each.agent_id == a.agent_id] for a in FLEET]
    mixed = []
    while queues := [queue for queue in queues if queue]:
        mixed.append(chance.choice(queues).pop(0))

    assert fold(mixed) == fold([*FLEET, *history])


@settings(max_examples=50, deadline=None)
@given(histories, st.lists(st.integers(0, 40), max_size=5))
def test_where_batches_end_changes_nothing(history: list[Any], ends: list[int]) -> None:
    rows = fold(FLEET)
    for begin, end in pairwise([0, *sorted(ends), 40]):
        rows = fold(history[begin:end], rows)

    assert rows == fold([*FLEET, *history])


def test_a_task_counts_in_the_minute_hour_and_day_of_tenant_and_type_but_no_agents_minute() -> None:
    at = MONDAY + timedelta(hours=13, minutes=37, seconds=59, microseconds=999_999)
    rows = fold([created("a-one", "writer"), completed("a-one", at)])

    hour = MONDAY + timedelta(hours=13)
    buckets = [("minute", hour + timedelta(minutes=37)), ("hour", hour), ("day", MONDAY)]
    assert {key for table, key in rows if table is TaskStatistics} == {
        (resolution, kind, bucket, name)
        for resolution, bucket in buckets
        for kind, name in (("tenant", ""), ("type", "writer"), ("agent", "a-one"))
        if (resolution, kind) != ("minute", "agent")
    }


@pytest.mark.parametrize(
    ("ms", "us"),
    [
        (0, 0),
        (0.0, 0),
        (0.000_4, 0),
        (0.000_5, 0),
        (0.001_5, 2),
        (1.234_567, 1_235),
        (1_200, 1_200_000),
        (2**63 - 1, (2**63 - 1) * 1000),
        (4_503_599_627_370_495.5, 4_503_599_627_370_495_500),
        (1e300, int(1e300) * 1000),
    ],
)
def test_times_are_counted_in_whole_microseconds(ms: float, us: int) -> None:
    assert microseconds(ms) == us


def test_huge_times_and_tokens_are_summed_exactly() -> None:
    most = 2**63 - 1
    rows = fold([completed("a-one", MONDAY, most, Usage(most, most)) for _ in range(3)])

    row = rows[TaskStatistics, ("day", "tenant", MONDAY, "")]
    assert row.execution_total_us == 3 * most * 1000
    assert (row.input_tokens, row.output_tokens) == (3 * most, 3 * most)


def test_an_agent_of_no_type_counts_under_the_empty_name() -> None:
    rows = fold([created("a-one"), failed("a-one", MONDAY)])

    assert rows[TaskStatistics, ("day", "type", MONDAY, "")].failed == 1


def test_a_type_longer_than_any_command_may_say_is_cut() -> None:
    rows = fold([created("a-one", "x" * 5_000)])

    assert rows[AgentType, ("a-one",)].agent_type == "x" * 100


def test_what_an_event_touches_is_among_what_it_asks_for() -> None:
    asked: set[Any] = set()

    def known(table: Any, *key: Any) -> None:
        asked.add((table, key))

    event = completed("a-one", MONDAY)
    list(project(event, known))

    touched = set(touches(event))
    assert touched <= asked
    assert len(asked - touched) == 3  # those of the agent's type, which only its row tells
    assert list(touches(created("a-one"))) == []


def test_an_event_outside_a_log_is_refused() -> None:
    with pytest.raises(ValueError, match="in no log yet"):
        fold([AgentTaskFailedEvent("a-one", task_id="t", error_message="no")])
