"""Heartbeats, outages, and what time alone demands."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.domain import decide
from agents.domain.deadlines import due_at, silent_at
from agents.domain.errors import InvalidCommand, RuleViolated
from agents.domain.evolve import fold
from agents.domain.state import Agent, Health, Status
from events.vocabulary import (
    AgentHealthCheckFailedEvent,
    AgentHealthCheckPassedEvent,
    AgentResumedEvent,
    AgentTaskFailedEvent,
)
from tests.domain.fleet import (
    EVERY_STATE,
    HEARTBEAT,
    NOW,
    TIMEOUT_SECONDS,
    available,
    busy,
    later,
    names,
    paused,
    registered,
    seen,
    statuses,
    terminated,
    unhealthy,
)

INSTANT = timedelta(microseconds=1)


def after_time(agent: Agent, now: datetime) -> Agent:
    return fold(decide.time_passes(agent, now=now), agent)


def test_a_heartbeat_is_remembered() -> None:
    facts = decide.health_passed(available(), **HEARTBEAT, now=later(4))
    agent = fold(facts, available())

    assert facts == [
        AgentHealthCheckPassedEvent("a-1", 0.5, 12, 40.5, 100, later(4), occurred_at=later(4))
    ]
    assert (agent.health, agent.last_seen) == (Health.HEALTHY, later(4))
    assert (
        agent.success_rate,
        agent.response_time_ms,
        agent.cpu_usage_percent,
        agent.memory_usage_percent,
    ) == (0.5, 12, 40.5, 100)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("unhealthy", "AVAILABLE"),
        ("unhealthy_busy", "BUSY"),
        ("unhealthy_paused", "PAUSED"),
    ],
)
def test_a_heartbeat_ends_an_outage(state: str, status: str) -> None:
    facts = decide.health_passed(EVERY_STATE[state](), **HEARTBEAT, now=NOW)

    assert names(facts) == ["HealthCheckPassed", "StatusChanged"]
    assert statuses(facts) == ("UNHEALTHY", status)


@pytest.mark.parametrize("agent", [registered(), terminated()], ids=["registered", "terminated"])
def test_only_an_agent_in_service_is_watched(agent: Agent) -> None:
    with pytest.raises(RuleViolated) as passed:
        decide.health_passed(agent, **HEARTBEAT, now=NOW)
    with pytest.raises(RuleViolated) as failed:
        decide.health_failed(agent, reason="no answer", now=NOW)

    assert passed.value.rule == failed.value.rule == "agent_not_in_service"


@pytest.mark.parametrize("edge", [0, 0.0, 1, 1.0])
def test_a_success_rate_goes_from_0_to_1(edge: float) -> None:
    assert decide.health_passed(available(), **(HEARTBEAT | {"success_rate": edge}), now=NOW)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("success_rate", 1.0001),
        ("success_rate", -0.0001),
        ("success_rate", True),
        ("success_rate", float("nan")),
        ("success_rate", "1"),
        ("success_rate", None),
        ("response_time_ms", -1),
        ("response_time_ms", float("inf")),
        ("response_time_ms", False),
        ("cpu_usage_percent", 100.1),
        ("cpu_usage_percent", -1),
        ("memory_usage_percent", 101),
        ("memory_usage_percent", float("nan")),
    ],
)
def test_a_heartbeat_out_of_range_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidCommand) as refused:
        decide.health_passed(available(), **(HEARTBEAT | {field: value}), now=NOW)

    assert refused.value.field == field


def test_a_failed_check_tells_when_the_agent_was_last_seen() -> None:
    agent = seen(available(), later(10))
    facts = decide.health_failed(agent, reason="no answer", now=later(20))

    assert facts[0] == AgentHealthCheckFailedEvent(
        "a-1", "no answer", later(10), TIMEOUT_SECONDS, later(20), occurred_at=later(20)
    )
    assert statuses(facts) == ("AVAILABLE", "UNHEALTHY")
    assert fold(facts, agent).last_seen == later(10)


def test_a_failed_check_needs_a_reason() -> None:
    with pytest.raises(InvalidCommand) as refused:
        decide.health_failed(available(), reason=" ", now=NOW)

    assert refused.value.field == "reason"


def test_a_failed_check_leaves_the_task_and_the_persons_reason() -> None:
    agent = unhealthy(paused(busy()))

    assert agent.status is Status.UNHEALTHY
    assert (agent.current_task_id, agent.pause_reason) == ("t-7", "upgrade")


def test_one_outage_is_recorded_once() -> None:
    assert decide.health_failed(unhealthy(), reason="still no answer", now=later(5)) == []


def test_a_second_outage_is_recorded_again() -> None:
    recovered = seen(unhealthy())

    assert decide.health_failed(recovered, reason="again", now=later(5)) != []


def test_an_agent_is_unhealthy_only_when_its_timeout_is_exceeded() -> None:
    agent = seen(available(), later(10))
    edge = later(10 + TIMEOUT_SECONDS)

    assert decide.time_passes(agent, now=edge) == []
    facts = decide.time_passes(agent, now=edge + INSTANT)

    assert names(facts) == ["HealthCheckFailed", "StatusChanged"]
    assert facts[0] == AgentHealthCheckFailedEvent(
        "a-1",
        "No heartbeat for more than 90 s.",
        later(10),
        TIMEOUT_SECONDS,
        edge + INSTANT,
        occurred_at=edge + INSTANT,
    )


def test_an_agent_never_seen_counts_from_its_activation() -> None:
    edge = later(TIMEOUT_SECONDS)

    assert decide.time_passes(available(), now=edge) == []
    failed = decide.time_passes(available(), now=edge + INSTANT)[0]

    assert isinstance(failed, AgentHealthCheckFailedEvent)
    assert failed.last_seen is None


@pytest.mark.parametrize("state", list(EVERY_STATE))
def test_what_time_demands_it_demands_once(state: str) -> None:
    agent = after_time(EVERY_STATE[state](), later(10_000))

    assert decide.time_passes(agent, now=later(10_000)) == []
    assert decide.time_passes(agent, now=later(20_000)) == []


@pytest.mark.parametrize("agent", [registered(), terminated()], ids=["registered", "terminated"])
def test_time_demands_nothing_of_an_agent_out_of_service(agent: Agent) -> None:
    assert decide.time_passes(agent, now=later(1_000_000)) == []


def test_the_task_of_an_unhealthy_agent_is_lost_at_twice_the_timeout() -> None:
    agent = after_time(busy(seen(available())), later(TIMEOUT_SECONDS + 1))
    edge = later(2 * TIMEOUT_SECONDS)

    assert decide.time_passes(agent, now=edge - INSTANT) == []
    assert decide.time_passes(agent, now=edge) == [
        AgentTaskFailedEvent(
            "a-1",
            "t-7",
            "a-1 sent no heartbeat for 180 s; its task is lost.",
            "AGENT_LOST",
            edge,
            occurred_at=edge,
        )
    ]


def test_a_task_reported_dead_by_a_monitor_still_waits_for_twice_the_timeout() -> None:
    agent = unhealthy(busy(seen(available(), later(50))))

    assert decide.time_passes(agent, now=later(50 + 2 * TIMEOUT_SECONDS) - INSTANT) == []
    assert names(decide.time_passes(agent, now=later(50 + 2 * TIMEOUT_SECONDS))) == ["TaskFailed"]


def test_a_late_sweep_records_outage_and_loss_together() -> None:
    facts = decide.time_passes(busy(), now=later(2 * TIMEOUT_SECONDS))

    assert names(facts) == ["HealthCheckFailed", "TaskFailed", "StatusChanged"]
    assert statuses(facts) == ("BUSY", "UNHEALTHY")


def test_a_heartbeat_in_time_saves_the_task() -> None:
    agent = seen(after_time(busy(), later(100)), later(150))

    assert decide.time_passes(agent, now=later(2 * TIMEOUT_SECONDS)) == []
    assert agent.current_task_id == "t-7"


def test_a_lost_task_counts_as_failed() -> None:
    assert after_time(busy(), later(1000)).tasks_failed == 1


def test_a_pause_ends_by_itself_at_its_until() -> None:
    agent = paused(seen(available()), until=later(60))

    assert decide.time_passes(agent, now=later(60) - INSTANT) == []
    facts = decide.time_passes(agent, now=later(60))

    assert facts[0] == AgentResumedEvent(
        "a-1", "The pause ended at its time.", later(60), occurred_at=later(60)
    )
    assert statuses(facts) == ("PAUSED", "AVAILABLE")


def test_a_pause_without_until_does_not_end_by_itself() -> None:
    agent = seen(paused(), later(1_000_000))

    assert decide.time_passes(agent, now=later(1_000_001)) == []


def test_a_paused_agent_becomes_unhealthy_too() -> None:
    facts = decide.time_passes(paused(), now=later(1000))

    assert statuses(facts) == ("PAUSED", "UNHEALTHY")


def test_a_pause_that_ends_during_silence_gives_one_status_change() -> None:
    facts = decide.time_passes(paused(busy(), until=later(60)), now=later(1000))

    assert names(facts) == ["Resumed", "HealthCheckFailed", "TaskFailed", "StatusChanged"]
    assert statuses(facts) == ("BUSY", "UNHEALTHY")


def test_silence_before_we_heard_again_proves_nothing() -> None:
    agent = busy(seen(available()))
    heard_since = later(1_000)
    edge = later(1_000 + TIMEOUT_SECONDS)

    assert decide.time_passes(agent, now=heard_since, heard_since=heard_since) == []
    assert decide.time_passes(agent, now=edge, heard_since=heard_since) == []
    facts = decide.time_passes(agent, now=edge + INSTANT, heard_since=heard_since)

    assert names(facts) == ["HealthCheckFailed", "StatusChanged"]


def test_who_was_seen_since_we_heard_again_has_its_own_timeout() -> None:
    agent = seen(available(), later(50))
    silent = later(50 + TIMEOUT_SECONDS) + INSTANT

    assert decide.time_passes(agent, now=silent, heard_since=later(20)) != []


def test_an_outage_that_is_known_costs_the_task_whether_or_not_we_heard() -> None:
    agent = unhealthy(busy(seen(available())))
    now = later(2 * TIMEOUT_SECONDS)

    assert names(decide.time_passes(agent, now=now, heard_since=now)) == ["TaskFailed"]


def test_a_pause_ends_whether_or_not_we_heard() -> None:
    now = later(1_000)
    facts = decide.time_passes(paused(until=later(60)), now=now, heard_since=now)

    assert names(facts) == ["Resumed", "StatusChanged"]


def test_a_deadline_beyond_the_calendar_never_comes() -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)

    assert (silent_at(seen(busy(), last)), due_at(seen(busy(), last))) == (None, None)
