"""A log with rows of an older version, as an import leaves it, reads as the newest everywhere;
whoever pinned the older version gets it, of new rows too; what is stored and hashed stays."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from agents import current, services, tasks
from agents.rebuild import rebuild
from events import registry, tenants
from events.ancestors.agent_task_completed_1_0 import AgentTaskCompletedEventV1
from events.bus import InMemoryEventBus, events_committed
from events.cloudevents import cloud_event
from events.facts import Fact
from events.log import read
from events.log.append import append
from events.log.proposal import Context, Proposal
from events.log.verify import verify
from events.models import Event
from events.vocabulary import (
    AgentStatusChangedEvent,
    AgentTaskAssignedEvent,
    AgentTaskCompletedEvent,
    Capability,
    Usage,
)
from tests.jobs.conftest import manage

BY = Context(actor="user:alice")
RESULT = {"score": 1.0, "zero": -0.0, "count": 1, "big": 2**63 - 1, "text": "Zoë ☃"}
COMPLETED = "AgentTaskCompletedEvent"


@pytest.fixture
def acme(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    """A tenant whose agent a-1 completed t-1 in 1.0 and t-2 in 2.0."""
    tenant = tenants.create_tenant(fresh_slug("acme")).slug
    services.create_agent(
        tenant=tenant,
        agent_id="a-1",
        name="First",
        capabilities=[Capability("python", 3)],
        by=BY,
    )
    services.activate_agent(tenant=tenant, agent_id="a-1", by=BY)
    record_old_completion(tenant, "a-1", "t-1")
    rebuild(tenant)
    services.assign_task(tenant=tenant, agent_id="a-1", task_id="t-2", by=BY)
    services.complete_task(
        tenant=tenant,
        agent_id="a-1",
        task_id="t-2",
        execution_time_ms=7,
        result=RESULT,
        usage=Usage(3, 4),
        by=BY,
    )
    return tenant


def record_old_completion(tenant: str, agent_id: str, task_id: str) -> Any:
    """What a release before 2.0 has recorded: the events alone, without today's rows."""
    version = current.load(tenant, agent_id).version
    facts: list[Fact] = [
        AgentTaskAssignedEvent(agent_id, task_id=task_id),
        AgentTaskCompletedEventV1(agent_id, task_id=task_id, result=RESULT, execution_time_ms=5),
    ]
    changes = [("AVAILABLE", "BUSY"), ("BUSY", "AVAILABLE")]
    told = [
        each
        for fact, (before, after) in zip(facts, changes, strict=True)
        for each in (
            fact,
            AgentStatusChangedEvent(agent_id, from_status=before, to_status=after),
        )
    ]
    return append(tenant, Proposal(current.STREAM, agent_id, version, told, BY))


def rows(tenant: str) -> list[Event]:
    """The two completions as they are stored: 1.0, then 2.0."""
    found = list(Event.objects.filter(tenant=tenant, type=COMPLETED).order_by("seq"))
    assert [row.schema_version for row in found] == ["1.0", "2.0"]
    return found


def test_every_way_of_reading_gives_the_newest_version(acme: str) -> None:
    by_row = [read.fact(row) for row in rows(acme)]
    by_stream = [
        fact for fact in read.stream_facts(acme, "agent", "a-1") if fact.wire_type() == COMPLETED
    ]

    assert by_row == by_stream
    assert all(isinstance(fact, AgentTaskCompletedEvent) for fact in by_row)
    assert [fact.usage for fact in by_row] == [None, Usage(3, 4)]  # type: ignore[attr-defined]
    for fact in by_row:
        assert repr(fact.result) == repr(RESULT)  # type: ignore[attr-defined]


def test_the_envelope_says_what_is_stored(acme: str) -> None:
    envelopes = [read.fact(row).envelope for row in rows(acme)]

    assert [each.schema_version for each in envelopes if each] == ["1.0", "2.0"]


def test_agents_and_tasks_are_told_as_ever(acme: str) -> None:
    task = tasks.find(acme, "t-1")

    assert (task.status, task.execution_time_ms, task.usage) == ("completed", 5, None)
    assert repr(task.result) == repr(RESULT)
    replayed = current.rebuild_agent(acme, "a-1")
    loaded = current.load(acme, "a-1")
    assert (replayed.agent, replayed.version) == (loaded.agent, loaded.version)
    assert replayed.agent.tasks_completed == 2
    manage("rebuild", "--all", "--tenant", acme, "--check")


def test_the_chain_covers_what_is_stored(acme: str) -> None:
    before = [(row.data, bytes(row.hash)) for row in rows(acme)]
    rebuild(acme)

    assert [(row.data, bytes(row.hash)) for row in rows(acme)] == before
    assert verify(acme).seq == Event.objects.filter(tenant=acme).count()


@pytest.mark.parametrize(
    ("schema", "versions"),
    [(None, ["2.0", "2.0"]), ("2.0", ["2.0", "2.0"]), ("1.0", ["1.0", "1.0"]),
     ("stored", ["1.0", "2.0"])],
)  # fmt: skip
def test_on_the_wire_each_gets_the_version_asked_for(
    acme: str, schema: str | None, versions: list[str]
) -> None:
    for row, version in zip(rows(acme), versions, strict=True):
        event = cloud_event(row, schema=schema, show_origin=True)
        told = msgspec.json.decode(event)
        data = event[event.index(b'"data":') + len(b'"data":') : -1]

        assert told["schemaversion"] == version
        assert told["dataschema"].endswith(f"/{COMPLETED}/{version}")
        assert told["hash"] == bytes(row.hash).hex()
        assert ("usage" in told["data"]) == (version == "2.0")
        if version == row.schema_version:
            assert data == row.data.encode()
        # The task's own text, to the byte, whatever was cast around it.
        assert msgspec.json.encode(RESULT) in data


class Heard(list[Any]):
    def handle(self, event: Any) -> None:
        self.append(event)


def handler_of_1_0(event: AgentTaskCompletedEventV1) -> tuple[str, str, Any]:
    """As somebody wrote it before there was a 2.0."""
    assert set(event.__struct_fields__) == {
        *("agent_id", "task_id", "result", "execution_time_ms", "completed_at", "occurred_at")
    }
    return event.version, event.task_id, event.execution_time_ms


def test_a_handler_for_1_0_keeps_working_beside_one_for_2_0(acme: str) -> None:
    bus, told, newest = InMemoryEventBus(), Heard(), Heard()
    bus.subscribe(COMPLETED, lambda event: told.append(handler_of_1_0(event)), name="old",
                  version="1.0")  # fmt: skip
    bus.subscribe(COMPLETED, newest.handle, name="new")
    everything = Heard()
    bus.subscribe("AgentTask*", everything.handle, name="all", version="1.0")

    record_old_completion(acme, "a-1", "t-3")
    rebuild(acme)
    services.assign_task(tenant=acme, agent_id="a-1", task_id="t-4", by=BY)
    services.complete_task(
        tenant=acme, agent_id="a-1", task_id="t-4", execution_time_ms=8, usage=Usage(1, 1), by=BY
    )

    assert bus.failures == []
    assert told == [("1.0", "t-3", 5), ("1.0", "t-4", 8)]
    assert [(event.version, event.usage) for event in newest] == [
        ("2.0", None),
        ("2.0", Usage(1, 1)),
    ]
    assert [event.envelope.schema_version for event in newest] == ["1.0", "2.0"]
    assert [event.type for event in everything] == [
        *("AgentTaskAssignedEvent", COMPLETED, "AgentTaskAssignedEvent", COMPLETED)
    ]


def test_who_replays_the_log_to_a_pinned_subscriber_gives_it_1_0(acme: str) -> None:
    bus, told = InMemoryEventBus(), Heard()
    bus.subscribe(COMPLETED, lambda event: told.append(handler_of_1_0(event)), name="old",
                  version="1.0")  # fmt: skip

    bus.publish(*(read.fact(row) for row in rows(acme)))

    assert bus.failures == []
    assert told == [("1.0", "t-1", 5), ("1.0", "t-2", 7)]


def test_the_second_moment_hears_of_old_facts_as_readers_do(acme: str) -> None:
    heard: list[Fact] = []

    def hear(events: tuple[Fact, ...], **_: object) -> None:
        heard.extend(events)

    events_committed.connect(hear)
    try:
        record_old_completion(acme, "a-1", "t-5")
    finally:
        events_committed.disconnect(hear)

    assert [type(event) for event in heard[::2]] == [
        AgentTaskAssignedEvent,
        AgentTaskCompletedEvent,
    ]
    assert heard == list(read.stream_facts(acme, "agent", "a-1"))[-4:]


def test_every_reader_of_tasks_goes_through_the_registry(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stored payload is read by its version's decoder, and never by its keys."""
    asked: list[tuple[str, str]] = []

    def decoder(type: str, version: str) -> Callable[[bytes | str], Fact]:
        asked.append((type, version))
        return registry.decoder(type, version)

    monkeypatch.setattr(tasks, "decoder", decoder)

    tasks.find(acme, "t-1")

    assert asked == [("AgentTaskAssignedEvent", "1.0")]
