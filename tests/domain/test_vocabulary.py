"""The facts' constructors, their wire form, the registry and the casters."""

import uuid
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from events import registry
from events.ancestors.agent_task_completed_1_0 import AgentTaskCompletedEventV1
from events.facts import DomainEvent, Envelope, Fact, TenantFact
from events.registry import UnknownFact
from events.tenant_facts import (
    AccessDenied,
    AlertAcknowledged,
    AlertResolved,
    AlertRuleChanged,
    AlertRuleDeleted,
    EventSkipped,
    LogExported,
    MassLossConfirmed,
    MassLossResolved,
    MassLossSuspected,
    MemberAdded,
    MemberChanged,
    MemberRemoved,
    PayloadErased,
    SettingsChanged,
    SignedIn,
    SignInFailed,
    SubscriptionResumed,
    TenantViewedBySuperuser,
    TokenIssued,
    TokenRevoked,
)
from events.vocabulary import (
    AgentCreatedEvent,
    AgentHealthCheckFailedEvent,
    AgentHealthCheckPassedEvent,
    AgentTaskAssignedEvent,
    AgentTaskCompletedEvent,
    AgentTaskFailedEvent,
    Capability,
    Usage,
)
from tests.domain.fleet import NOW
from tests.domain.test_evolve import ONE_OF_EACH

TENANT_FACTS: list[Fact] = [
    MemberAdded("bob", "operator"),
    MemberChanged("bob", "operator", "auditor", False),
    MemberRemoved("bob", "auditor"),
    TokenIssued("k-1", "ci", "agent", "a-1", NOW),
    TokenRevoked("k-1", "ci"),
    SettingsChanged({"keep_days": 30}),
    SignedIn("alice"),
    SignInFailed("alice"),
    AccessDenied("user:carol", "POST", "/agents", "auditor"),
    LogExported("csv", None, 17, {"types": ["SignedIn"]}),
    PayloadErased("a-1", None, "asked for"),
    MassLossSuspected(2, 5, ("a-1", "a-2")),
    MassLossConfirmed("the data centre burnt down"),
    MassLossResolved("1 of 5 agents are silent now."),
    TenantViewedBySuperuser("root"),
    AlertRuleChanged("late", {"threshold": 0.9, "emails": 2}),
    AlertRuleDeleted("late"),
    AlertAcknowledged("id-1", "late", None, "seen"),
    AlertResolved("id-1", "agent-unhealthy", "a-1", "not needed"),
    EventSkipped("pager", "agent", "a-1", "id-1", 42, "It cannot be shown."),
    SubscriptionResumed("pager", 31, 21, "A backup was put back."),
]
FACTS: list[Fact] = [*ONE_OF_EACH, *TENANT_FACTS]


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (
            AgentCreatedEvent("a-1", "acme", (Capability("read", 1),)),
            {"agent_id": "a-1", "tenant_id": "acme", "capabilities": (Capability("read", 1),)},
        ),
        (
            AgentTaskAssignedEvent("a-1", "t-7", NOW),
            {"agent_id": "a-1", "task_id": "t-7", "assigned_at": NOW},
        ),
        (
            AgentTaskCompletedEvent("a-1", "t-7", {"ok": 1}, 250),
            {"task_id": "t-7", "result": {"ok": 1}, "execution_time_ms": 250, "usage": None},
        ),
        (
            AgentTaskFailedEvent("a-1", "t-7", "broke", "E1"),
            {"task_id": "t-7", "error_message": "broke", "error_code": "E1"},
        ),
        (
            AgentHealthCheckPassedEvent("a-1", 0.5, 10, 20, 30),
            {
                "success_rate": 0.5,
                "response_time_ms": 10,
                "cpu_usage_percent": 20,
                "memory_usage_percent": 30,
            },
        ),
        (
            AgentHealthCheckFailedEvent("a-1", "no answer", NOW),
            {"reason": "no answer", "last_seen": NOW},
        ),
    ],
    ids=lambda value: value.type if isinstance(value, Fact) else "",
)
def test_the_constructors_of_the_decision_record_work(
    event: DomainEvent, fields: dict[str, Any]
) -> None:
    assert event.aggregate_id == event.agent_id == "a-1"
    assert event.occurred_at.utcoffset() is not None
    assert {name: getattr(event, name) for name in fields} == fields


def test_only_the_completion_has_outgrown_its_first_version() -> None:
    assert {fact.type for fact in FACTS if fact.version != "1.0"} == {"AgentTaskCompletedEvent"}
    assert AgentTaskCompletedEvent.version == "2.0"


def test_a_fact_refuses_to_change() -> None:
    with pytest.raises(AttributeError):
        ONE_OF_EACH[1].agent_id = "a-2"  # type: ignore[misc]


def test_every_fact_is_registered_under_its_own_name() -> None:
    assert {fact.type for fact in FACTS} == set(registry.types())
    for fact in FACTS:
        assert registry.newest(fact.type) is type(fact)
        assert registry.fact_type(fact.type, fact.version) is type(fact)


def test_there_are_fourteen_domain_events_and_twenty_one_facts_of_the_tenant() -> None:
    assert len(registry.DOMAIN_EVENTS) == 14
    assert all(issubclass(fact, DomainEvent) for fact in registry.DOMAIN_EVENTS)
    assert len(registry.TENANT_FACTS) == 21
    assert all(issubclass(fact, TenantFact) for fact in registry.TENANT_FACTS)


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.type)
def test_the_wire_form_of_every_fact_is_lossless(fact: Fact) -> None:
    stored = msgspec.json.encode(fact)
    read = registry.decoder(fact.type, fact.version)(stored)

    assert read == fact
    assert msgspec.json.encode(read) == stored


def test_numbers_keep_their_kind() -> None:
    stored = b'{"agent_id":"a-1","success_rate":1,"response_time_ms":2.0}'
    read = registry.decoder("AgentHealthCheckPassedEvent", "1.0")(stored)

    assert isinstance(read, AgentHealthCheckPassedEvent)
    assert (type(read.success_rate), type(read.response_time_ms)) == (int, float)


@pytest.mark.parametrize(
    "stored",
    [
        b'{"agent_id":"a-1"',
        b'{"agent_id":"a-1"}',
        b'{"agent_id":"a-1","task_id":"t-7","surprise":1}',
        b'{"agent_id":"a-1","task_id":"t-7","assigned_at":"2026-01-05T09:00:00"}',
    ],
    ids=["cut_off", "incomplete", "too_much", "naive_moment"],
)
def test_what_is_not_the_fact_is_not_decoded(stored: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        registry.decoder("AgentTaskAssignedEvent", "1.0")(stored)


def test_a_completion_of_the_first_version_is_read_as_the_newest() -> None:
    old = AgentTaskCompletedEventV1("a-1", "t-7", {"ok": [1]}, 250, NOW, occurred_at=NOW)
    read = registry.decoder(old.type, old.version)(msgspec.json.encode(old))

    assert (old.type, old.version) == ("AgentTaskCompletedEvent", "1.0")
    assert read == AgentTaskCompletedEvent(
        "a-1", "t-7", {"ok": [1]}, 250, NOW, None, occurred_at=NOW
    )


def test_an_old_completion_that_knows_the_future_is_not_decoded() -> None:
    new = msgspec.json.encode(AgentTaskCompletedEvent("a-1", "t-7", usage=Usage(1, 2)))

    with pytest.raises(msgspec.ValidationError):
        registry.decoder("AgentTaskCompletedEvent", "1.0")(new)


def test_a_completion_is_cast_down_for_an_old_subscriber() -> None:
    new = AgentTaskCompletedEvent("a-1", "t-7", 1, 250, NOW, Usage(1, 2), occurred_at=NOW)
    older = registry.recast(msgspec.json.encode(new), new.type, "2.0", "1.0")

    assert msgspec.json.decode(older, type=AgentTaskCompletedEventV1) == AgentTaskCompletedEventV1(
        "a-1", "t-7", 1, 250, NOW, occurred_at=NOW
    )


def test_a_payload_in_the_wanted_version_is_left_as_it_is() -> None:
    assert registry.recast(" [1.50 ]", "AgentTaskCompletedEvent", "2.0", "2.0") == b" [1.50 ]"


def test_every_version_has_a_caster_to_its_neighbour_and_no_caster_is_idle() -> None:
    neighbours = {
        (name, older, newer)
        for name in registry.types()
        for older, newer in pairwise(registry.versions(name))
    }

    assert {(c.type, c.older, c.newer) for c in registry.CASTERS} == neighbours


@pytest.mark.parametrize(
    ("type", "version"), [("AgentTaskCompletedEvent", "3.0"), ("AgentDancedEvent", "1.0")]
)
def test_an_unknown_type_or_version_is_a_named_error(type: str, version: str) -> None:
    with pytest.raises(UnknownFact) as unknown:
        registry.decoder(type, version)
    with pytest.raises(UnknownFact):
        registry.recast("{}", type, version, version)

    assert (unknown.value.type, unknown.value.version) == (type, version)


def test_an_unknown_type_has_no_newest_version() -> None:
    with pytest.raises(UnknownFact):
        registry.newest("AgentDancedEvent")


def test_an_envelope_is_neither_compared_nor_encoded() -> None:
    bare = SignedIn("alice", occurred_at=NOW)
    placed = SignedIn("alice", occurred_at=NOW).with_envelope(
        Envelope(
            event_id=uuid.UUID(int=1),
            tenant="acme",
            seq=7,
            stream_type="tenant",
            stream_id="acme",
            stream_version=7,
            type="SignedIn",
            schema_version="1.0",
            occurred_at=NOW,
            recorded_at=NOW,
            actor="user:alice",
            hash=b"",
        )
    )

    assert placed == bare
    assert msgspec.json.encode(placed) == msgspec.json.encode(bare)
    assert placed.envelope is not None
    assert placed.envelope.seq == 7
