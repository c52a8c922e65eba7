"""The aggregate as the decision record speaks of it."""

import pytest

from agents.domain.aggregate import AgentAggregate
from agents.domain.errors import AgentNotCreated, InvalidCommand, RuleViolated
from agents.domain.state import Status
from events.facts import utc_now
from events.vocabulary import Capability, Usage
from tests.domain.fleet import NOW, later, names


def ada() -> AgentAggregate:
    return AgentAggregate.create("a-1", "acme", [Capability("read", 1)], name="Ada", now=NOW)


def test_a_working_life_leaves_its_facts_pending_in_order() -> None:
    agent = ada()
    agent.activate(now=NOW)
    agent.pass_health_check(1, 5, 10, 20, now=NOW)
    agent.assign_task("t-7", {"page": 1}, now=NOW)
    agent.complete_task("t-7", {"ok": True}, 12.5, Usage(3, 4), NOW)
    agent.terminate("retired", now=NOW)

    assert names(agent.pending_events) == [
        "Created",
        "Activated",
        "StatusChanged",
        "HealthCheckPassed",
        "TaskAssigned",
        "StatusChanged",
        "TaskCompleted",
        "StatusChanged",
        "Terminated",
        "StatusChanged",
    ]
    assert agent.state.status is Status.TERMINATED


def test_each_order_returns_the_facts_it_added() -> None:
    agent = ada()

    assert names(agent.activate(now=NOW)) == ["Activated", "StatusChanged"]
    assert agent.update(name="Ada", now=NOW) == []


def test_a_refused_order_leaves_nothing() -> None:
    agent = ada()
    state, pending = agent.state, agent.pending_events

    with pytest.raises(RuleViolated):
        agent.resume(now=NOW)
    with pytest.raises(InvalidCommand):
        agent.pause("", now=NOW)

    assert (agent.state, agent.pending_events) == (state, pending)


def test_taken_events_are_pending_no_more() -> None:
    agent = ada()

    assert names(agent.take_pending_events()) == ["Created"]
    assert agent.pending_events == ()


def test_a_rebuilt_agent_is_the_live_one_and_has_nothing_pending() -> None:
    agent = ada()
    agent.activate(now=NOW)
    agent.pause("upgrade", later(60), now=NOW)
    agent.let_time_pass(now=later(60))
    rebuilt = AgentAggregate.rebuild(agent.pending_events)

    assert rebuilt.state == agent.state
    assert rebuilt.pending_events == ()


def test_nothing_is_rebuilt_from_nothing() -> None:
    with pytest.raises(AgentNotCreated):
        AgentAggregate.rebuild([])


def test_without_a_moment_it_is_the_present_one() -> None:
    before = utc_now()
    agent = AgentAggregate.create("a-1", "acme", [Capability("read", 1)], name="Ada")

    assert before <= agent.state.created_at <= utc_now()
