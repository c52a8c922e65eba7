"""What facts make of an agent, in whatever order they come."""

import itertools
import subprocess
import sys

import msgspec
import pytest

from agents.domain.errors import AgentNotCreated
from agents.domain.evolve import evolve, fold
from agents.domain.state import Agent, Health, Intent, Status
from events import registry
from events.facts import DomainEvent
from events.vocabulary import (
    AgentActivatedEvent,
    AgentCapabilityAddedEvent,
    AgentCapabilityUpgradedEvent,
    AgentCreatedEvent,
    AgentDetailsChangedEvent,
    AgentHealthCheckFailedEvent,
    AgentHealthCheckPassedEvent,
    AgentPausedEvent,
    AgentResumedEvent,
    AgentStatusChangedEvent,
    AgentTaskAssignedEvent,
    AgentTaskCompletedEvent,
    AgentTaskFailedEvent,
    AgentTerminatedEvent,
    Capability,
)
from tests.domain.fleet import EVERY_STATE, available, busy, creation, registered

ONE_OF_EACH: list[DomainEvent] = [
    AgentCreatedEvent("a-1", "globex", (Capability("spy", 5),)),
    AgentActivatedEvent("a-1"),
    AgentCapabilityAddedEvent("a-1", "translate", 4),
    AgentCapabilityUpgradedEvent("a-1", "unheard-of", 1, 2),
    AgentTaskAssignedEvent("a-1", "t-8"),
    AgentTaskCompletedEvent("a-1", "t-9"),
    AgentTaskFailedEvent("a-1", "t-9", "broke"),
    AgentStatusChangedEvent("a-1", "BUSY", "PAUSED"),
    AgentHealthCheckPassedEvent("a-1"),
    AgentHealthCheckFailedEvent("a-1", "no answer"),
    AgentPausedEvent("a-1", "upgrade"),
    AgentResumedEvent("a-1"),
    AgentTerminatedEvent("a-1", "retired"),
    AgentDetailsChangedEvent("a-1", {"name": "Bea"}),
]


def test_every_domain_event_is_tried_here() -> None:
    assert {type(event) for event in ONE_OF_EACH} == set(registry.DOMAIN_EVENTS)


@pytest.mark.parametrize("state", list(EVERY_STATE))
def test_every_event_after_every_other_gives_an_agent(state: str) -> None:
    for first, second in itertools.product(ONE_OF_EACH, repeat=2):
        agent = evolve(evolve(EVERY_STATE[state](), first), second)

        assert agent.tenant_id == "acme"
        assert agent.status in Status


def test_a_status_change_changes_nothing() -> None:
    agent = busy()

    assert evolve(agent, AgentStatusChangedEvent("a-1", "BUSY", "PAUSED")) is agent


def test_a_second_creation_changes_nothing() -> None:
    agent = busy()

    assert evolve(agent, ONE_OF_EACH[0]) is agent


@pytest.mark.parametrize("event", ONE_OF_EACH[1:], ids=lambda event: event.type)
def test_a_history_without_a_creation_is_refused(event: DomainEvent) -> None:
    with pytest.raises(AgentNotCreated, match=event.type):
        evolve(None, event)


def test_an_empty_history_is_refused() -> None:
    with pytest.raises(AgentNotCreated, match="no event at all"):
        fold([])


def test_the_old_agent_is_left_as_it_was() -> None:
    agent = available()
    evolve(agent, AgentTaskAssignedEvent("a-1", "t-8"))

    assert agent == available()


def test_folding_in_two_parts_is_folding_at_once() -> None:
    events = [*creation(), *ONE_OF_EACH]

    assert fold(events[5:], fold(events[:5])) == fold(events)


@pytest.mark.parametrize(
    ("intent", "health", "task", "status"),
    [
        (Intent.TERMINATED, Health.UNHEALTHY, "t-7", Status.TERMINATED),
        (Intent.REGISTERED, Health.UNHEALTHY, "t-7", Status.REGISTERED),
        (Intent.PAUSED, Health.UNHEALTHY, "t-7", Status.UNHEALTHY),
        (Intent.PAUSED, Health.HEALTHY, "t-7", Status.BUSY),
        (Intent.PAUSED, Health.HEALTHY, None, Status.PAUSED),
        (Intent.ACTIVE, Health.HEALTHY, None, Status.AVAILABLE),
        (Intent.ACTIVE, Health.UNKNOWN, None, Status.AVAILABLE),
    ],
)
def test_of_several_statuses_the_first_that_fits_wins(
    intent: Intent, health: Health, task: str | None, status: Status
) -> None:
    agent = msgspec.structs.replace(
        registered(), intent=intent, health=health, current_task_id=task
    )

    assert agent.status is status


@pytest.mark.parametrize("state", list(EVERY_STATE))
def test_the_json_form_of_an_agent_is_lossless(state: str) -> None:
    agent = EVERY_STATE[state]()

    assert msgspec.json.decode(msgspec.json.encode(agent), type=Agent) == agent


def test_the_domain_needs_no_django() -> None:
    program = (
        "import sys; import agents.domain.aggregate, events.registry;"
        "sys.exit(any(name.partition('.')[0] == 'django' for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
