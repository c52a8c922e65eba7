"""Assigning, completing and failing tasks."""

from typing import Any

import pytest

from agents.domain import decide
from agents.domain.errors import InvalidCommand, RuleViolated
from agents.domain.evolve import fold
from agents.domain.state import Agent, Status
from events.vocabulary import (
    AgentTaskAssignedEvent,
    AgentTaskCompletedEvent,
    AgentTaskFailedEvent,
    Usage,
)
from tests.domain.fleet import EVERY_STATE, NOW, available, busy, later, names, seen, statuses


def complete(agent: Agent, **values: Any) -> Any:
    order: dict[str, Any] = {"task_id": "t-7", "execution_time_ms": 250, "now": NOW}
    return decide.complete(agent, **(order | values))


def fail(agent: Agent, **values: Any) -> Any:
    order: dict[str, Any] = {"task_id": "t-7", "error_message": "out of paper", "now": NOW}
    return decide.fail(agent, **(order | values))


def test_an_available_agent_takes_a_task_and_is_busy() -> None:
    facts = decide.assign(available(), task_id="t-7", input={"pages": [1, 2]}, now=later(1))
    agent = fold(facts, available())

    assert facts[0] == AgentTaskAssignedEvent(
        "a-1", "t-7", later(1), {"pages": [1, 2]}, occurred_at=later(1)
    )
    assert names(facts) == ["TaskAssigned", "StatusChanged"]
    assert statuses(facts) == ("AVAILABLE", "BUSY")
    assert (agent.current_task_id, agent.current_task_assigned_at) == ("t-7", later(1))
    assert agent.tasks_assigned == 1


def test_an_agent_that_was_seen_takes_a_task_too() -> None:
    assert statuses(decide.assign(seen(available()), task_id="t-7", now=NOW))[1] == "BUSY"


@pytest.mark.parametrize("state", [name for name in EVERY_STATE if name != "available"])
def test_only_an_available_agent_takes_a_task(state: str) -> None:
    agent = EVERY_STATE[state]()

    with pytest.raises(RuleViolated) as refused:
        decide.assign(agent, task_id="t-8", now=NOW)

    assert refused.value.rule == "agent_not_available"
    assert refused.value.current_task_id == agent.current_task_id


def test_a_busy_agent_says_what_it_works_on() -> None:
    with pytest.raises(RuleViolated, match="a-1 works on t-7"):
        decide.assign(busy(), task_id="t-8", now=NOW)


def test_a_completed_task_is_counted_and_frees_the_agent() -> None:
    facts = complete(busy(), result=["done"], usage=Usage(10, 20), now=later(5))
    agent = fold(facts, busy())

    assert facts[0] == AgentTaskCompletedEvent(
        "a-1", "t-7", ["done"], 250, later(5), Usage(10, 20), occurred_at=later(5)
    )
    assert names(facts) == ["TaskCompleted", "StatusChanged"]
    assert statuses(facts) == ("BUSY", "AVAILABLE")
    assert (agent.current_task_id, agent.current_task_assigned_at) == (None, None)
    assert (agent.tasks_assigned, agent.tasks_completed, agent.tasks_failed) == (1, 1, 0)


def test_a_failed_task_is_counted_and_frees_the_agent() -> None:
    facts = fail(busy(), error_code="E_PAPER", now=later(5))
    agent = fold(facts, busy())

    assert facts[0] == AgentTaskFailedEvent(
        "a-1", "t-7", "out of paper", "E_PAPER", later(5), occurred_at=later(5)
    )
    assert statuses(facts) == ("BUSY", "AVAILABLE")
    assert (agent.current_task_id, agent.current_task_assigned_at) == (None, None)
    assert (agent.tasks_assigned, agent.tasks_completed, agent.tasks_failed) == (1, 0, 1)


@pytest.mark.parametrize("end", [complete, fail])
@pytest.mark.parametrize("state", ["busy", "paused_busy", "unhealthy_busy"])
def test_the_current_task_ends_whatever_intent_and_health(state: str, end: Any) -> None:
    agent = fold(end(EVERY_STATE[state]()), EVERY_STATE[state]())

    assert agent.current_task_id is None


def test_an_unhealthy_agent_that_ends_its_task_stays_unhealthy() -> None:
    agent = EVERY_STATE["unhealthy_busy"]()
    facts = complete(agent)

    assert names(facts) == ["TaskCompleted"]
    assert fold(facts, agent).status is Status.UNHEALTHY


@pytest.mark.parametrize("end", [complete, fail])
def test_a_foreign_task_is_refused_and_the_refusal_names_the_current_one(end: Any) -> None:
    with pytest.raises(RuleViolated) as refused:
        end(busy(), task_id="t-9")

    assert str(refused.value) == "Task t-9 is not current; a-1 works on t-7."
    assert refused.value.rule == "task_not_current"
    assert refused.value.current_task_id == "t-7"


@pytest.mark.parametrize("end", [complete, fail])
@pytest.mark.parametrize("state", ["registered", "available", "paused", "unhealthy", "terminated"])
def test_a_late_end_is_refused_by_an_agent_without_a_task(state: str, end: Any) -> None:
    with pytest.raises(RuleViolated, match="a-1 has no task") as refused:
        end(EVERY_STATE[state]())

    assert refused.value.rule == "task_not_current"
    assert refused.value.current_task_id is None


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"execution_time_ms": -1}, "execution_time_ms"),
        ({"execution_time_ms": float("nan")}, "execution_time_ms"),
        ({"execution_time_ms": float("inf")}, "execution_time_ms"),
        ({"execution_time_ms": 2**63}, "execution_time_ms"),
        ({"execution_time_ms": True}, "execution_time_ms"),
        ({"execution_time_ms": "1"}, "execution_time_ms"),
        ({"usage": Usage(-1, 0)}, "usage/input_tokens"),
        ({"usage": Usage(0, 2**63)}, "usage/output_tokens"),
        ({"usage": Usage(True, 0)}, "usage/input_tokens"),
        ({"usage": Usage(0, 1.0)}, "usage/output_tokens"),  # type: ignore[arg-type]
        ({"result": float("nan")}, "result"),
        ({"task_id": "t 7"}, "task_id"),
    ],
)
def test_a_completion_with_a_wrong_value_is_refused(values: Any, field: str) -> None:
    with pytest.raises(InvalidCommand) as refused:
        complete(busy(), **values)

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"error_message": ""}, "error_message"),
        ({"error_message": "m" * 10_001}, "error_message"),
        ({"error_code": "c" * 101}, "error_code"),
        ({"error_code": 7}, "error_code"),
        ({"task_id": ""}, "task_id"),
    ],
)
def test_a_failure_with_a_wrong_value_is_refused(values: Any, field: str) -> None:
    with pytest.raises(InvalidCommand) as refused:
        fail(busy(), **values)

    assert refused.value.field == field


@pytest.mark.parametrize(
    "values",
    [
        {"execution_time_ms": 0},
        {"execution_time_ms": 0.25},
        {"execution_time_ms": 2**63 - 1},
        {"usage": Usage(0, 2**63 - 1)},
    ],
)
def test_a_completion_may_go_to_the_limits(values: Any) -> None:
    assert complete(busy(), **values)
