"""Creating, activating, pausing, resuming, terminating."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from agents.domain import decide
from agents.domain.errors import InvalidCommand, RuleViolated
from agents.domain.evolve import fold
from agents.domain.state import Agent, Health, Intent, Status
from events.vocabulary import (
    AgentActivatedEvent,
    AgentCreatedEvent,
    AgentPausedEvent,
    AgentStatusChangedEvent,
    AgentTaskFailedEvent,
    AgentTerminatedEvent,
    Capability,
)
from tests.domain.fleet import (
    EVERY_STATE,
    NOW,
    available,
    busy,
    creation,
    later,
    names,
    paused,
    registered,
    statuses,
    terminated,
    unhealthy,
)


def states_but(*allowed: str) -> list[str]:
    return [name for name in EVERY_STATE if name not in allowed]


def test_creation_records_what_was_asked_and_no_status_change() -> None:
    facts = creation(
        description="Reads and writes",
        agent_type="translator",
        tags=["eu", "night"],
        metadata={"rack": 7},
        health_check_timeout_seconds=5,
    )

    assert facts == [
        AgentCreatedEvent(
            "a-1",
            "acme",
            (Capability("translate", 3),),
            "Ada",
            "Reads and writes",
            "translator",
            ("eu", "night"),
            {"rack": 7},
            5,
            occurred_at=NOW,
        )
    ]


def test_a_new_agent_is_registered_and_of_unknown_health() -> None:
    agent = registered()

    assert (agent.status, agent.intent, agent.health) == (
        Status.REGISTERED,
        Intent.REGISTERED,
        Health.UNKNOWN,
    )
    assert agent.created_at == NOW
    assert agent.health_check_timeout_seconds == 90


def test_activation_makes_a_registered_agent_available() -> None:
    facts = decide.activate(registered(), now=later(3))
    agent = fold(facts, registered())

    assert facts == [
        AgentActivatedEvent("a-1", later(3), occurred_at=later(3)),
        AgentStatusChangedEvent(
            "a-1", "REGISTERED", "AVAILABLE", None, later(3), occurred_at=later(3)
        ),
    ]
    assert (agent.intent, agent.activated_at) == (Intent.ACTIVE, later(3))


@pytest.mark.parametrize("state", states_but("registered"))
def test_only_a_registered_agent_is_activated(state: str) -> None:
    with pytest.raises(RuleViolated, match="Only a registered agent") as refused:
        decide.activate(EVERY_STATE[state](), now=NOW)

    assert refused.value.rule == "agent_not_registered"


def test_a_pause_keeps_its_reason_and_its_end() -> None:
    facts = decide.pause(available(), reason="upgrade", until=later(60), now=NOW)
    agent = fold(facts, available())

    assert facts[0] == AgentPausedEvent("a-1", "upgrade", later(60), NOW, occurred_at=NOW)
    assert statuses(facts) == ("AVAILABLE", "PAUSED")
    assert (agent.pause_reason, agent.paused_until) == ("upgrade", later(60))


def test_a_status_change_gives_the_reason_of_the_order() -> None:
    change = decide.pause(available(), reason="upgrade", now=NOW)[-1]

    assert change == AgentStatusChangedEvent(
        "a-1", "AVAILABLE", "PAUSED", "upgrade", NOW, occurred_at=NOW
    )


def test_a_paused_busy_agent_keeps_its_task_and_stays_busy() -> None:
    facts = decide.pause(busy(), reason="upgrade", now=NOW)
    agent = fold(facts, busy())

    assert names(facts) == ["Paused"]
    assert (agent.status, agent.intent, agent.current_task_id) == (
        Status.BUSY,
        Intent.PAUSED,
        "t-7",
    )


def test_a_draining_agent_is_paused_once_its_task_has_ended() -> None:
    facts = decide.complete(paused(busy()), task_id="t-7", execution_time_ms=1, now=NOW)

    assert statuses(facts) == ("BUSY", "PAUSED")


def test_an_unhealthy_agent_can_be_paused_and_stays_unhealthy() -> None:
    facts = decide.pause(unhealthy(), reason="upgrade", now=NOW)

    assert names(facts) == ["Paused"]
    assert fold(facts, unhealthy()).status is Status.UNHEALTHY


@pytest.mark.parametrize(
    "state", ["registered", "paused", "paused_busy", "unhealthy_paused", "terminated"]
)
def test_only_an_active_agent_is_paused(state: str) -> None:
    with pytest.raises(RuleViolated, match="Only an active agent") as refused:
        decide.pause(EVERY_STATE[state](), reason="upgrade", now=NOW)

    assert refused.value.rule == "agent_not_active"


@pytest.mark.parametrize(
    "until",
    [
        NOW,
        later(-1),
        datetime(2030, 1, 1),  # noqa: DTZ001 -- naive on purpose
        "2030-01-01",
        datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=14))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    ],
    ids=["now", "past", "naive", "text", "beyond_the_last_year", "before_the_first_year"],
)
def test_a_pause_ends_at_an_aware_moment_to_come(until: datetime) -> None:
    with pytest.raises(InvalidCommand) as refused:
        decide.pause(available(), reason="upgrade", until=until, now=NOW)

    assert refused.value.field == "until"


def test_the_end_of_a_pause_is_recorded_in_utc() -> None:
    in_tokyo = later(60).astimezone(timezone(timedelta(hours=9)))
    agent = paused(until=in_tokyo)

    assert agent.paused_until == later(60)
    assert agent.paused_until is not None
    assert agent.paused_until.tzinfo is UTC


@pytest.mark.parametrize("reason", ["", "  ", "r" * 1001, "a\0b", "\ud800", None, 7])
def test_a_pause_needs_a_reason_of_at_most_a_thousand_characters(reason: str) -> None:
    with pytest.raises(InvalidCommand) as refused:
        decide.pause(available(), reason=reason, now=NOW)

    assert refused.value.field == "reason"


def test_a_resumed_agent_is_available_and_forgets_the_pause() -> None:
    agent = paused(until=later(60))
    facts = decide.resume(agent, reason="done", now=later(1))
    resumed = fold(facts, agent)

    assert names(facts) == ["Resumed", "StatusChanged"]
    assert statuses(facts) == ("PAUSED", "AVAILABLE")
    assert (resumed.intent, resumed.paused_until, resumed.pause_reason) == (
        Intent.ACTIVE,
        None,
        None,
    )


def test_a_busy_agent_resumes_without_a_status_change() -> None:
    assert names(decide.resume(paused(busy()), now=NOW)) == ["Resumed"]


@pytest.mark.parametrize("state", states_but("paused", "paused_busy", "unhealthy_paused"))
def test_only_a_paused_agent_is_resumed(state: str) -> None:
    with pytest.raises(RuleViolated, match="Only a paused agent") as refused:
        decide.resume(EVERY_STATE[state](), now=NOW)

    assert refused.value.rule == "agent_not_paused"


def test_a_reason_to_resume_may_be_missing_but_not_endless() -> None:
    with pytest.raises(InvalidCommand) as refused:
        decide.resume(paused(), reason="r" * 1001, now=NOW)

    assert refused.value.field == "reason"


@pytest.mark.parametrize("state", ["registered", "available", "paused", "unhealthy"])
def test_an_idle_agent_is_terminated_without_force(state: str) -> None:
    agent = EVERY_STATE[state]()
    facts = decide.terminate(agent, reason="retired", now=later(2))
    gone = fold(facts, agent)

    assert names(facts) == ["Terminated", "StatusChanged"]
    assert statuses(facts) == (agent.status, "TERMINATED")
    assert (gone.intent, gone.terminated_at) == (Intent.TERMINATED, later(2))
    assert (gone.paused_until, gone.pause_reason) == (None, None)


@pytest.mark.parametrize("state", ["busy", "paused_busy", "unhealthy_busy"])
def test_an_agent_with_a_task_is_not_terminated_without_force(state: str) -> None:
    with pytest.raises(RuleViolated, match="a-1 works on t-7") as refused:
        decide.terminate(EVERY_STATE[state](), reason="retired", now=NOW)

    assert refused.value.rule == "agent_busy"
    assert refused.value.current_task_id == "t-7"


@pytest.mark.parametrize("state", ["busy", "paused_busy", "unhealthy_busy"])
def test_force_fails_the_task_first_and_counts_it(state: str) -> None:
    agent: Agent = EVERY_STATE[state]()
    facts = decide.terminate(agent, reason="retired", force=True, now=later(2))
    failed, ended, change = facts

    assert failed == AgentTaskFailedEvent(
        "a-1",
        "t-7",
        "a-1 was terminated: retired",
        "AGENT_TERMINATED",
        later(2),
        occurred_at=later(2),
    )
    assert ended == AgentTerminatedEvent("a-1", "retired", 0, 1, later(2), occurred_at=later(2))
    assert statuses(facts) == (agent.status, "TERMINATED")
    assert change.occurred_at == later(2)
    assert fold(facts, agent).current_task_id is None


def test_force_on_an_idle_agent_fails_no_task() -> None:
    facts = decide.terminate(available(), reason="retired", force=True, now=NOW)

    assert facts[0] == AgentTerminatedEvent("a-1", "retired", 0, 0, NOW, occurred_at=NOW)


@pytest.mark.parametrize("force", [False, True])
def test_an_agent_is_terminated_once(force: bool) -> None:
    with pytest.raises(RuleViolated, match="terminated again") as refused:
        decide.terminate(terminated(), reason="retired", force=force, now=NOW)

    assert refused.value.rule == "agent_terminated"


@pytest.mark.parametrize(
    "order",
    [
        lambda agent: decide.pause(agent, reason="", now=NOW),
        lambda agent: decide.terminate(agent, reason="", now=NOW),
        lambda agent: decide.health_failed(agent, reason="", now=NOW),
        lambda agent: decide.assign(agent, task_id="", now=NOW),
        lambda agent: decide.add_capability(agent, name="", proficiency_level=1, now=NOW),
        lambda agent: decide.update(agent, name="", now=NOW),
    ],
)
def test_a_wrong_value_is_named_before_a_broken_rule(order: Callable[[Agent], object]) -> None:
    with pytest.raises(InvalidCommand):
        order(terminated())
