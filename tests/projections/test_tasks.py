"""The projection "tasks": what the events of agents make of their tasks' rows."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given

from events.vocabulary import (
    AgentTaskAssignedEvent,
    AgentTaskCompletedEvent,
    AgentTaskFailedEvent,
    Usage,
)
from projections.tasks import rows
from projections.tasks.readmodel import TYPES, tasks
from projections.tasks.rows import Task
from tests.domain.fleet import later
from tests.projections.folding import fold, logged
from tests.projections.histories import SEEDS, Fleet, interleaved


def folded(events: Sequence[Any]) -> dict[str, Task]:
    return fold(tasks, TYPES, events).table(Task)


def assigned(agent_id: str, task_id: str = "t-1", seconds: float = 0) -> AgentTaskAssignedEvent:
    return AgentTaskAssignedEvent(
        agent_id, task_id=task_id, assigned_at=later(seconds), input={"password": "hunter2"}
    )


def failed(agent_id: str, message: str = "no", seconds: float = 0) -> AgentTaskFailedEvent:
    return AgentTaskFailedEvent(
        agent_id, task_id="t-1", error_message=message, error_code="E1", failed_at=later(seconds)
    )


def completed(agent_id: str, ms: float = 12, seconds: float = 0) -> AgentTaskCompletedEvent:
    return AgentTaskCompletedEvent(
        agent_id,
        task_id="t-1",
        result={"password": "hunter2"},
        execution_time_ms=ms,
        completed_at=later(seconds),
        usage=Usage(900, 40),
    )


def test_a_task_is_one_row_from_its_assignment_to_its_end() -> None:
    events = logged([assigned("a-1"), completed("a-1", seconds=5)])

    open_task = folded(events[:1])["t-1"]
    row = folded(events)["t-1"]

    assert (open_task.status, open_task.ended_at, open_task.execution_time_ms) == (
        "assigned",
        None,
        None,
    )
    assert row == Task(
        task_id="t-1",
        agent_id="a-1",
        status="completed",
        assigned_at=later(0),
        assigned_seq=1,
        assigned_version=1,
        seq=2,
        ended_at=later(5),
        ended_version=2,
        execution_time_ms="12",
        input_tokens=900,
        output_tokens=40,
    )


def test_a_row_holds_nothing_that_may_be_confidential() -> None:
    row = folded(logged([assigned("a-1"), failed("a-1"), assigned("a-2"), completed("a-2")]))["t-1"]

    assert "hunter2" not in repr(row)


@pytest.mark.parametrize("ms", [0, 12, 12.0, 0.1, 2**63 - 1, 1e18, 5e-324, 1e300])
def test_an_execution_time_reads_back_as_it_was_told(ms: float) -> None:
    row = folded(logged([assigned("a-1"), completed("a-1", ms)]))["t-1"]

    told = rows.execution_time_ms(row)

    assert (told, type(told)) == (ms, type(ms))


def test_another_agent_s_attempt_follows_a_failed_one_and_the_row_tells_both() -> None:
    row = folded(
        logged(
            [assigned("a-1"), failed("a-1", "broke", 2), assigned("a-2", seconds=3)],
        )
    )["t-1"]

    assert (row.agent_id, row.status, row.assigned_at) == ("a-2", "assigned", later(3))
    assert (row.error_code, row.error_message, row.ended_at) == (None, None, None)
    (earlier,) = rows.earlier_attempts(row)
    assert msgspec.structs.asdict(earlier) == {
        "seq": 1,
        "agent_id": "a-1",
        "status": "failed",
        "assigned_at": later(0),
        "ended_at": later(2),
        "execution_time_ms": None,
        "error_code": "E1",
        "error_message": "broke",
    }


def test_the_end_of_an_attempt_that_another_has_followed_goes_to_its_own_agent() -> None:
    a1, a1_failed, a2, a2_done = logged(
        [assigned("a-1"), failed("a-1"), assigned("a-2"), completed("a-2")]
    )

    row = folded([a1, a2, a2_done, a1_failed])["t-1"]

    assert (row.agent_id, row.status, row.error_message) == ("a-2", "completed", None)
    assert [each.status for each in rows.earlier_attempts(row)] == ["failed"]


def test_a_long_error_is_whole_while_it_is_the_newest_and_short_afterwards() -> None:
    events = logged([assigned("a-1"), failed("a-1", "x" * 5_000), assigned("a-2")])

    newest = folded(events[:2])["t-1"]
    (earlier,) = rows.earlier_attempts(folded(events)["t-1"])

    assert newest.error_message == "x" * 5_000
    assert earlier.error_message == "x" * rows.MESSAGE_KEPT


def test_of_many_attempts_the_newest_are_kept() -> None:
    facts = [fact for n in range(30) for fact in (assigned("a-1"), failed("a-1", f"no {n}"))]

    row = folded(logged([*facts, assigned("a-1")]))["t-1"]

    messages = [each.error_message for each in rows.earlier_attempts(row)]
    assert messages == [f"no {n}" for n in range(10, 30)]


def test_an_end_without_an_assignment_makes_no_row() -> None:
    assert folded(logged([completed("a-1"), failed("a-1")])) == {}


def naive(events: Sequence[Any], kept: int) -> dict[str, dict[str, Any]]:
    """A plain loop over a whole log in its order: every attempt in a list."""
    attempts: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        if event.type == "AgentTaskAssignedEvent":
            attempts.setdefault(event.task_id, []).append(
                {
                    "agent_id": event.agent_id,
                    "status": "assigned",
                    "assigned_at": event.assigned_at,
                    "assigned_seq": event.envelope.seq,
                    "assigned_version": event.envelope.stream_version,
                    "seq": event.envelope.seq,
                }
            )
        elif event.type == "AgentTaskCompletedEvent":
            attempts[event.task_id][-1] |= {
                "status": "completed",
                "ended_at": event.completed_at,
                "ended_version": event.envelope.stream_version,
                "execution_time_ms": msgspec.json.encode(event.execution_time_ms).decode(),
                "input_tokens": event.usage.input_tokens if event.usage else None,
                "output_tokens": event.usage.output_tokens if event.usage else None,
                "seq": event.envelope.seq,
            }
        elif event.type == "AgentTaskFailedEvent":
            attempts[event.task_id][-1] |= {
                "status": "failed",
                "ended_at": event.failed_at,
                "ended_version": event.envelope.stream_version,
                "error_code": event.error_code,
                "error_message": event.error_message,
                "seq": event.envelope.seq,
            }
    return {
        task_id: {**told[-1], "task_id": task_id, "earlier": told[:-1][-kept:]}
        for task_id, told in attempts.items()
    }


def assert_tells(row: Task, told: dict[str, Any]) -> None:
    earlier = told.pop("earlier")
    values = msgspec.structs.asdict(row)
    del values["earlier"]
    ms = values.pop("execution_time_ms")
    assert ms is None or msgspec.json.decode(ms) == msgspec.json.decode(told["execution_time_ms"])
    told.pop("execution_time_ms", None)
    assert {name: value for name, value in values.items() if value is not None} == {
        name: value for name, value in told.items() if value is not None
    }
    assert [
        (each.seq, each.agent_id, each.status, each.ended_at, each.error_message)
        for each in rows.earlier_attempts(row)
    ] == [
        (
            each["assigned_seq"],
            each["agent_id"],
            each["status"],
            each.get("ended_at"),
            each.get("error_message", "")[: rows.MESSAGE_KEPT] or None,
        )
        for each in earlier
    ]


@pytest.mark.parametrize("kept", [20, 2])
@given(seed=SEEDS)
def test_rows_equal_a_plain_loop_in_whatever_order_the_streams_come(kept: int, seed: int) -> None:
    events = logged(Fleet(seed).facts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "ATTEMPTS_KEPT", kept)
        in_order = folded(events)
        in_another = folded(interleaved(events, seed))

    told = naive(events, kept)
    assert in_another == in_order
    assert set(in_order) == set(told)
    for task_id, row in in_order.items():
        assert_tells(row, told[task_id])
