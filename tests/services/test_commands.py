"""Every command records the right facts, says who gave it, and answers a race by name."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents import command, current, services
from agents.command import AlreadyExists, Outcome, RaceLost, Request, VersionMismatch
from agents.current import AgentNotFound
from agents.domain.errors import InvalidCommand, RuleViolated
from events.log import append as log
from events.log.errors import TenantUnknown, VersionConflict
from events.log.proposal import Context, Proposal
from events.models import Event
from events.vocabulary import AgentHealthCheckPassedEvent, Capability, Usage
from tests.services.conftest import ALICE, create

BOB = Context(
    actor="user:bob",
    reason="As agreed",
    correlation_id="corr-1",
    causation_id="cause-1",
    traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    origin='{"address":"127.0.0.1"}',
)
HEARTBEAT: dict[str, Any] = {
    "success_rate": 1,
    "response_time_ms": 12,
    "cpu_usage_percent": 5.5,
    "memory_usage_percent": 40,
}

Order = Callable[..., Outcome]


def paused(to: dict[str, Any]) -> None:
    services.pause_agent(reason="lunch", by=ALICE, **to)


def busy(to: dict[str, Any]) -> None:
    services.assign_task(task_id="t-1", by=ALICE, **to)


def unhealthy(to: dict[str, Any]) -> None:
    services.record_health_failure(reason="silent", by=ALICE, **to)


def available(to: dict[str, Any]) -> None:
    pass


Case = tuple[Callable[[dict[str, Any]], None], Order, dict[str, Any], list[str], list[str]]
STATUS = "AgentStatusChangedEvent"
CASES: dict[str, Case] = {
    "update": (
        available,
        services.update_agent,
        {"name": "Interpreter", "tags": ["eu"]},
        ["AgentDetailsChangedEvent"],
        [],
    ),
    "pause": (
        available,
        services.pause_agent,
        {"reason": "lunch"},
        ["AgentPausedEvent", STATUS],
        ["AVAILABLE", "PAUSED"],
    ),
    "pause a busy one": (
        busy,
        services.pause_agent,
        {"reason": "lunch", "until": datetime(2999, 1, 1, tzinfo=UTC)},
        ["AgentPausedEvent"],
        [],
    ),
    "resume": (
        paused,
        services.resume_agent,
        {},
        ["AgentResumedEvent", STATUS],
        ["PAUSED", "AVAILABLE"],
    ),
    "assign": (
        available,
        services.assign_task,
        {"task_id": "t-7", "input": {"text": "hello"}},
        ["AgentTaskAssignedEvent", STATUS],
        ["AVAILABLE", "BUSY"],
    ),
    "complete": (
        busy,
        services.complete_task,
        {"task_id": "t-1", "execution_time_ms": 1.5, "usage": Usage(1, 2)},
        ["AgentTaskCompletedEvent", STATUS],
        ["BUSY", "AVAILABLE"],
    ),
    "fail": (
        busy,
        services.fail_task,
        {"task_id": "t-1", "error_message": "no", "error_code": "E1"},
        ["AgentTaskFailedEvent", STATUS],
        ["BUSY", "AVAILABLE"],
    ),
    "heartbeat": (
        available,
        services.record_heartbeat,
        HEARTBEAT,
        ["AgentHealthCheckPassedEvent"],
        [],
    ),
    "heartbeat after an outage": (
        unhealthy,
        services.record_heartbeat,
        HEARTBEAT,
        ["AgentHealthCheckPassedEvent", STATUS],
        ["UNHEALTHY", "AVAILABLE"],
    ),
    "health failure": (
        available,
        services.record_health_failure,
        {"reason": "silent"},
        ["AgentHealthCheckFailedEvent", STATUS],
        ["AVAILABLE", "UNHEALTHY"],
    ),
    "add a capability": (
        available,
        services.add_capability,
        {"name": "sum", "proficiency_level": 1},
        ["AgentCapabilityAddedEvent"],
        [],
    ),
    "upgrade a capability": (
        available,
        services.upgrade_capability,
        {"name": "translate", "proficiency_level": 5},
        ["AgentCapabilityUpgradedEvent"],
        [],
    ),
    "terminate": (
        available,
        services.terminate_agent,
        {"reason": "old"},
        ["AgentTerminatedEvent", STATUS],
        ["AVAILABLE", "TERMINATED"],
    ),
    "terminate a busy one": (
        busy,
        services.terminate_agent,
        {"reason": "old", "force": True},
        ["AgentTaskFailedEvent", "AgentTerminatedEvent", STATUS],
        ["BUSY", "TERMINATED"],
    ),
}


def rows(tenant: str) -> list[Event]:
    return list(Event.objects.filter(tenant=tenant).order_by("seq"))


@pytest.mark.parametrize("name", CASES)
def test_a_command_records_its_facts_and_who_gave_it(acme: str, a1: str, name: str) -> None:
    prepare, order, values, types, status = CASES[name]
    to = {"tenant": acme, "agent_id": a1}
    prepare(to)
    before = len(rows(acme))

    outcome = order(by=BOB, **values, **to)

    recorded = rows(acme)[before:]
    assert [row.type for row in recorded] == [fact.type for fact in outcome.facts] == types
    for row in recorded:
        assert (row.actor, row.reason, row.origin) == (BOB.actor, BOB.reason, BOB.origin)
        assert (row.correlation_id, row.causation_id) == (BOB.correlation_id, BOB.causation_id)
        assert row.traceparent == BOB.traceparent
        assert (row.stream_type, row.stream_id) == ("agent", a1)
    assert (outcome.version, outcome.seq) == (recorded[-1].version, recorded[-1].seq)
    changes = [fact for fact in outcome.facts if fact.type == STATUS]
    assert [s for fact in changes for s in (fact.from_status, fact.to_status)] == status  # type: ignore[attr-defined]
    assert current.load(acme, a1).agent == outcome.agent == current.rebuild_agent(acme, a1).agent


def test_creation_and_activation_record_their_facts(acme: str) -> None:
    created = services.create_agent(
        tenant=acme,
        agent_id="a-1",
        name="Zoë",
        capabilities=[Capability("translate", 2)],
        metadata={"ratio": 1.0},
        by=BOB,
    )
    activated = services.activate_agent(tenant=acme, agent_id="a-1", by=ALICE)

    assert [fact.type for fact in created.facts] == ["AgentCreatedEvent"]
    assert [fact.type for fact in activated.facts] == ["AgentActivatedEvent", STATUS]
    assert [row.actor for row in rows(acme)] == ["user:bob", "user:alice", "user:alice"]
    assert [row.version for row in rows(acme)] == [1, 2, 3]


def test_an_agent_without_an_id_gets_one(acme: str) -> None:
    made = [
        services.create_agent(
            tenant=acme, name="x", capabilities=[Capability("translate", 1)], by=ALICE
        ).agent.agent_id
        for _ in range(2)
    ]
    assert made[0] != made[1]
    assert current.load(acme, made[0]).version == 1


def test_an_id_that_is_taken_is_refused(acme: str, a1: str) -> None:
    with pytest.raises(AlreadyExists, match=a1):
        create(acme, a1)

    assert current.load(acme, a1).version == 3


def test_another_tenants_agent_is_no_agent(acme: str, a1: str, globex: str) -> None:
    with pytest.raises(AgentNotFound) as theirs:
        services.pause_agent(tenant=globex, agent_id=a1, reason="x", by=ALICE)
    with pytest.raises(AgentNotFound) as nobodys:
        services.pause_agent(tenant=globex, agent_id="a-9", reason="x", by=ALICE)

    assert str(theirs.value).replace(a1, "a-9") == str(nobodys.value)
    create(globex, a1)  # the id is free there
    assert current.load(acme, a1).version == 3


def test_an_unknown_tenant_is_named(committed_db: None) -> None:
    with pytest.raises(TenantUnknown):
        create("no-such-tenant")


def test_a_command_that_changes_nothing_records_nothing(acme: str, a1: str) -> None:
    before = len(rows(acme))

    outcome = services.update_agent(tenant=acme, agent_id=a1, name="Translator", by=ALICE)

    assert (outcome.facts, outcome.version, outcome.seq) == ((), 3, before)
    assert len(rows(acme)) == before


def test_a_refused_command_records_nothing(acme: str, a1: str) -> None:
    before = len(rows(acme))
    with pytest.raises(RuleViolated):
        services.resume_agent(tenant=acme, agent_id=a1, by=ALICE)
    with pytest.raises(InvalidCommand):
        services.pause_agent(tenant=acme, agent_id=a1, reason="\x00", by=ALICE)

    assert len(rows(acme)) == before


@pytest.mark.parametrize("wrong", [1, 2, 4, 99, 0, -1])
def test_a_named_version_must_be_the_agents(acme: str, a1: str, wrong: int) -> None:
    with pytest.raises(VersionMismatch) as mismatch:
        services.pause_agent(
            tenant=acme, agent_id=a1, reason="x", by=ALICE, request=Request(if_version=wrong)
        )

    assert mismatch.value.version == 3
    assert current.load(acme, a1).version == 3


def test_the_right_version_passes(acme: str, a1: str) -> None:
    outcome = services.pause_agent(
        tenant=acme, agent_id=a1, reason="x", by=ALICE, request=Request(if_version=3)
    )
    assert outcome.version == 5


HEARTBEAT = {
    "success_rate": 1,
    "response_time_ms": 1,
    "cpu_usage_percent": 1,
    "memory_usage_percent": 1,
}


class Overtaken:
    """Lets another command be first, the given number of times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tenant: str, times: int) -> None:
        self.times = times

        def append(slug: str, *proposals: Proposal, **more: Any) -> Any:
            if self.times:
                self.times -= 1
                (own,) = proposals
                fact = AgentHealthCheckPassedEvent(own.stream_id)
                version = current.rebuild_agent(tenant, own.stream_id).version
                log.append(tenant, Proposal("agent", own.stream_id, version, [fact], ALICE))
            return log.append(slug, *proposals, **more)

        monkeypatch.setattr(command, "append", append)


@pytest.mark.parametrize("times", [1, 3, 8])
def test_a_lost_race_is_decided_again(
    acme: str, a1: str, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    Overtaken(monkeypatch, acme, times)

    outcome = services.pause_agent(tenant=acme, agent_id=a1, reason="x", by=ALICE)

    assert outcome.version == 3 + times + 2
    assert current.load(acme, a1).agent == current.rebuild_agent(acme, a1).agent


def test_a_lost_race_costs_no_replay_however_often_it_is_lost(
    acme: str, a1: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = iter(range(command.TRIES - 1))

    def append(slug: str, *proposals: Proposal, **more: Any) -> Any:
        monkeypatch.setattr(command, "append", log.append)
        if next(first, None) is not None:
            services.record_heartbeat(tenant=acme, agent_id=a1, by=ALICE, **HEARTBEAT)
            monkeypatch.setattr(command, "append", append)
        return log.append(slug, *proposals, **more)

    monkeypatch.setattr(command, "append", append)
    monkeypatch.setattr(current, "rebuild_agent", None)

    outcome = services.pause_agent(tenant=acme, agent_id=a1, reason="x", by=ALICE)

    assert outcome.agent.pause_reason == "x"


def test_a_race_that_is_lost_every_time_ends_by_name(
    acme: str, a1: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Overtaken(monkeypatch, acme, 1_000)

    with pytest.raises(RaceLost, match=a1):
        services.pause_agent(tenant=acme, agent_id=a1, reason="x", by=ALICE)

    assert "AgentPausedEvent" not in [row.type for row in rows(acme)]


def test_a_lost_race_with_a_named_version_is_not_decided_again(
    acme: str, a1: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Overtaken(monkeypatch, acme, 1)
    standing = Request(if_version=3)

    # What wrote past the current row is found out when the row's version is doubted.
    with pytest.raises((VersionMismatch, RaceLost, VersionConflict)):
        services.pause_agent(tenant=acme, agent_id=a1, reason="x", by=ALICE, request=standing)

    assert "AgentPausedEvent" not in [row.type for row in rows(acme)]


def test_time_that_passes_records_an_outage_and_then_a_lost_task(acme: str, a1: str) -> None:
    services.assign_task(tenant=acme, agent_id=a1, task_id="t-1", by=ALICE)
    late = datetime.now(UTC) + timedelta(seconds=200)

    outcome = services.let_time_pass(tenant=acme, agent_id=a1, by=ALICE, now=late)

    assert [fact.type for fact in outcome.facts] == [
        "AgentHealthCheckFailedEvent",
        "AgentTaskFailedEvent",
        STATUS,
    ]
    assert services.let_time_pass(tenant=acme, agent_id=a1, by=ALICE, now=late).facts == ()
