"""The projection "fleet": what an agent's events make of its row."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from agents.domain.evolve import fold as fold_agent
from agents.domain.state import Agent
from events import registry
from events.facts import DomainEvent
from events.vocabulary import (
    AgentHealthCheckFailedEvent,
    AgentHealthCheckPassedEvent,
    AgentStatusChangedEvent,
    AgentTaskCompletedEvent,
    AgentTaskFailedEvent,
    AgentTerminatedEvent,
)
from projections.fleet.project import _CHANGES
from projections.fleet.readmodel import TYPES, fleet
from projections.fleet.rows import FleetAgent
from tests.domain.fleet import creation, later
from tests.projections.folding import fold, logged
from tests.projections.histories import SEEDS, Fleet, interleaved


def folded(events: Sequence[Any]) -> dict[str, FleetAgent]:
    return fold(fleet, TYPES, events).table(FleetAgent)


def ada(*facts: DomainEvent) -> FleetAgent:
    return folded(logged([*creation(tags=["eu"], agent_type="llm"), *facts]))["a-1"]


def found_unhealthy(seconds: float, reason: str = "no answer") -> AgentHealthCheckFailedEvent:
    return AgentHealthCheckFailedEvent("a-1", reason=reason, checked_at=later(seconds))


def seen(seconds: float) -> AgentHealthCheckPassedEvent:
    return AgentHealthCheckPassedEvent("a-1", checked_at=later(seconds), response_time_ms=12)


def test_a_new_agent_is_registered_and_nobody_knows_how_it_is() -> None:
    row = ada()

    assert (row.name, row.agent_type, row.tag_names) == ("Ada", "llm", ["eu"])
    assert (row.status, row.health, row.last_seen) == ("REGISTERED", "unknown", None)
    assert (row.version, row.seq) == (1, 1)


def test_an_outage_lasts_from_the_check_that_failed_to_the_heartbeat_that_ends_it() -> None:
    during = ada(seen(0), found_unhealthy(90, "gone"))
    after = ada(seen(0), found_unhealthy(90, "gone"), seen(100.0015))

    assert (during.health, during.unhealthy_since, during.outages) == ("unhealthy", later(90), 1)
    assert (during.last_seen, during.downtime_ms) == (later(0), 0)
    assert (after.health, after.unhealthy_since, after.downtime_ms) == ("healthy", None, 10_001)
    assert (after.last_outage_reason, after.outages) == ("gone", 1)


def test_outages_add_up_and_a_second_failed_check_begins_no_second_one() -> None:
    row = ada(found_unhealthy(10), found_unhealthy(11), seen(20), found_unhealthy(30), seen(31))

    assert (row.outages, row.downtime_ms) == (2, 11_000)


def test_an_outage_ends_with_the_agent() -> None:
    row = ada(found_unhealthy(10), AgentTerminatedEvent("a-1", reason="", terminated_at=later(15)))

    assert (row.unhealthy_since, row.downtime_ms) == (None, 5_000)


def test_a_clock_that_went_back_takes_no_downtime_away() -> None:
    assert ada(found_unhealthy(10), seen(5)).downtime_ms == 0


def test_failures_in_a_row_are_counted_until_a_task_is_completed() -> None:
    failed = AgentTaskFailedEvent("a-1", task_id="t-1", error_message="no")
    completed = AgentTaskCompletedEvent("a-1", task_id="t-2")

    row = ada(failed, failed)
    recovered = ada(failed, failed, completed, failed)

    assert (row.consecutive_failures, row.tasks_failed) == (2, 2)
    assert (recovered.consecutive_failures, recovered.tasks_failed) == (1, 3)
    assert recovered.tasks_completed == 1


def test_a_status_is_what_the_last_change_of_it_said() -> None:
    row = ada(AgentStatusChangedEvent("a-1", from_status="REGISTERED", to_status="AVAILABLE"))

    assert row.status == "AVAILABLE"


def test_an_agent_without_a_creation_has_no_row() -> None:
    assert folded(logged([seen(0)])) == {}


def test_every_domain_event_has_its_place() -> None:
    types = {each.wire_type() for each in (*_CHANGES, type(creation()[0]))}

    assert types == {each.wire_type() for each in registry.DOMAIN_EVENTS}


def naive_outages(agent: Agent, events: Sequence[Any]) -> dict[str, Any]:
    outages: list[list[Any]] = []
    for event in events:
        open_one = bool(outages) and outages[-1][1] is None
        if event.type == "AgentHealthCheckFailedEvent" and not open_one:
            outages.append([event.checked_at, None, event.reason])
        elif event.type == "AgentHealthCheckPassedEvent" and open_one:
            outages[-1][1] = event.checked_at
        elif event.type == "AgentTerminatedEvent" and open_one:
            outages[-1][1] = event.terminated_at
    return {
        "outages": len(outages),
        "unhealthy_since": outages[-1][0] if outages and outages[-1][1] is None else None,
        "last_outage_reason": outages[-1][2] if outages else None,
        "downtime_ms": sum(
            (end - begin) // timedelta(milliseconds=1) for begin, end, _ in outages if end
        ),
    }


def ended_badly_in_a_row(events: Sequence[Any]) -> int:
    endings = [
        e.type for e in events if e.type.startswith("AgentTask") and "Assigned" not in e.type
    ]
    return next(
        (n for n, each in enumerate(reversed(endings)) if each == "AgentTaskCompletedEvent"),
        len(endings),
    )


@given(seed=SEEDS)
def test_rows_say_what_the_aggregate_says_in_whatever_order_the_streams_come(seed: int) -> None:
    events = logged(Fleet(seed).facts)

    rows = folded(interleaved(events, seed))

    for agent_id, row in rows.items():
        own = [event for event in events if event.agent_id == agent_id]
        agent = fold_agent(own)
        assert_is(row, agent)
        for name, value in naive_outages(agent, own).items():
            assert getattr(row, name) == value, name
        assert row.consecutive_failures == ended_badly_in_a_row(own)
        assert (row.version, row.seq) == (len(own), own[-1].envelope.seq)
    assert set(rows) == {event.agent_id for event in events}


SHARED = (
    "name",
    "agent_type",
    "last_seen",
    "success_rate",
    "cpu_usage_percent",
    "memory_usage_percent",
    "current_task_id",
    "tasks_completed",
    "tasks_failed",
    "paused_until",
)


def assert_is(row: FleetAgent, agent: Agent) -> None:
    """The row says of the agent what its aggregate says."""
    for name in SHARED:
        assert getattr(row, name) == getattr(agent, name), name
    assert (row.status, row.health) == (agent.status, agent.health)
    assert row.tag_names == list(agent.tags)
    if agent.response_time_ms is not None:
        assert row.response_time_ms == pytest.approx(float(agent.response_time_ms))
