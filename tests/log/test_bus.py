"""The bus: one line adds a subscriber, and no subscriber is ever in the way."""

import gc
import inspect
import logging
from typing import Any
from uuid import uuid4

import pytest

from events import bus, checks
from events.ancestors.agent_task_completed_1_0 import AgentTaskCompletedEventV1
from events.bus import EventBus, InMemoryEventBus, event_bus, projection
from events.log.append import append
from events.models import Token
from events.vocabulary import (
    AgentHealthCheckFailedEvent,
    AgentTaskCompletedEvent,
    AgentTaskFailedEvent,
    Usage,
)
from tests.log.sample import head, heartbeat, heartbeats, proposed

OUTAGE = AgentHealthCheckFailedEvent("a-1", reason="silent")
COMPLETED = AgentTaskCompletedEvent(
    "a-1", task_id="t-1", result={"ok": True}, usage=Usage(input_tokens=3, output_tokens=5)
)
FAILED = AgentTaskFailedEvent("a-1", task_id="t-1", error_message="no")


@pytest.fixture
def memory() -> InMemoryEventBus:
    return InMemoryEventBus()


class Heard(list[Any]):
    """A handler that remembers what it was given."""

    def handle(self, event: Any) -> None:
        self.append(event)


def test_the_line_of_the_decision_record_subscribes() -> None:
    def handle_unhealthy_agent(event: AgentHealthCheckFailedEvent) -> None:
        pass

    subscription = event_bus.subscribe("AgentHealthCheckFailedEvent", handle_unhealthy_agent)
    try:
        assert subscription.start == "now"
        assert subscription.wants(OUTAGE)
        assert not subscription.wants(heartbeat())
    finally:
        event_bus.unsubscribe(subscription.name)


def test_in_memory_a_subscriber_has_run_when_the_append_returns(
    acme: str, memory: InMemoryEventBus
) -> None:
    heard = Heard()
    memory.subscribe("AgentHealthCheckFailedEvent", heard.handle, name="heard")

    append(acme, proposed(heartbeat(), OUTAGE))

    (event,) = heard
    assert event == OUTAGE
    assert event.envelope.seq == 2
    assert event.envelope.tenant == acme
    assert (event.aggregate_id, event.version, event.reason) == ("a-1", "1.0", "silent")


def test_in_memory_events_need_no_log(memory: InMemoryEventBus) -> None:
    heard = Heard()
    memory.subscribe("AgentHealthCheckFailedEvent", heard.handle, name="heard")

    memory.publish(OUTAGE, COMPLETED)

    assert heard == [OUTAGE]


@pytest.mark.parametrize("size", [1, 6])
def test_subscribers_get_events_in_the_order_of_the_log(
    acme: str, memory: InMemoryEventBus, size: int
) -> None:
    heard = Heard()
    memory.subscribe("Agent*", heard.handle, name="heard")

    append(acme, proposed(*heartbeats(size)))
    append(acme, proposed(*heartbeats(size), version=size))

    assert [event.envelope.seq for event in heard] == list(range(1, 2 * size + 1))


def test_a_failing_subscriber_harms_neither_the_command_nor_another_subscriber(
    acme: str, memory: InMemoryEventBus
) -> None:
    def fail(event: object) -> None:
        raise RuntimeError("no")

    heard = Heard()
    failing = memory.subscribe("Agent*", fail, name="failing")
    memory.subscribe("Agent*", heard.handle, name="heard")

    appended = append(acme, proposed(heartbeat(), OUTAGE))

    assert appended.seq == head(acme)[0] == 2
    assert len(heard) == 2
    assert [(each[0], str(each[2])) for each in memory.failures] == [(failing, "no")] * 2


def test_a_handler_that_pinned_version_1_gets_it_beside_one_that_did_not(
    acme: str, memory: InMemoryEventBus
) -> None:
    old, new = Heard(), Heard()
    memory.subscribe("AgentTaskCompletedEvent", old.handle, name="old", version="1.0")
    memory.subscribe("AgentTaskCompletedEvent", new.handle, name="new")

    append(acme, proposed(COMPLETED))

    assert isinstance(old[0], AgentTaskCompletedEventV1)
    assert (old[0].version, old[0].type) == ("1.0", "AgentTaskCompletedEvent")
    assert not hasattr(old[0], "usage")
    assert old[0].result == {"ok": True}
    assert (new[0].version, new[0].usage) == ("2.0", COMPLETED.usage)
    assert old[0].envelope == new[0].envelope


def test_a_pattern_hears_every_type_with_its_prefix(memory: InMemoryEventBus) -> None:
    tasks, everything = Heard(), Heard()
    memory.subscribe("AgentTask*", tasks.handle, name="tasks")
    memory.subscribe("*", everything.handle, name="everything")

    memory.publish(heartbeat(), COMPLETED, OUTAGE, FAILED)

    assert tasks == [COMPLETED, FAILED]
    assert everything == [heartbeat(), COMPLETED, OUTAGE, FAILED]


def test_alternatives_stand_between_commas(memory: InMemoryEventBus) -> None:
    heard = Heard()
    memory.subscribe("AgentTaskFailedEvent,AgentHealth*", heard.handle, name="heard")

    memory.publish(heartbeat(), COMPLETED, OUTAGE, FAILED)

    assert heard == [heartbeat(), OUTAGE, FAILED]


@pytest.mark.parametrize(
    "wrong",
    ["AgentExplodedEvent", "Nothing*", "Agent*Event", "", "agent*", "Agent*,", "Agent*,Nothing*"],
)
def test_a_type_that_does_not_exist_is_refused(memory: InMemoryEventBus, wrong: str) -> None:
    with pytest.raises(ValueError, match="No event type matches"):
        memory.subscribe(wrong, print)

    assert memory.subscriptions == {}


def test_a_wrong_start_is_refused(memory: InMemoryEventBus) -> None:
    with pytest.raises(ValueError, match="beginning"):
        memory.subscribe("Agent*", print, start="yesterday")  # type: ignore[arg-type]


def test_a_version_that_no_event_has_is_refused(memory: InMemoryEventBus) -> None:
    with pytest.raises(ValueError, match=r"No event has version '7\.0'. Pin one of 1\.0, 2\.0"):
        memory.subscribe("Agent*", print, version="7.0")

    assert memory.subscriptions == {}


def test_what_cannot_be_called_is_no_handler(memory: InMemoryEventBus) -> None:
    with pytest.raises(TypeError, match="None cannot be"):
        memory.subscribe("Agent*", None)  # type: ignore[arg-type]


def test_a_coroutine_function_is_no_handler_since_nobody_would_wait_for_it(
    memory: InMemoryEventBus,
) -> None:
    async def handler(event: object) -> None:
        pass

    with pytest.raises(TypeError, match="async_to_sync"):
        memory.subscribe("Agent*", handler, name="mine")


@pytest.mark.parametrize(
    "other", [{"start": "beginning"}, {"version": "1.0"}, {"type_or_pattern": "Agent*"}]
)
def test_the_same_handler_with_other_wishes_is_another_subscription(
    memory: InMemoryEventBus, other: dict[str, Any]
) -> None:
    wishes: dict[str, Any] = {"type_or_pattern": "AgentTask*", "handler": print, "name": "mine"}
    memory.subscribe(**wishes)

    with pytest.raises(ValueError, match="'mine' exists"):
        memory.subscribe(**wishes | other)


def test_a_projection_begins_at_the_first_event_and_writes_in_a_transaction(
    acme: str, memory: InMemoryEventBus
) -> None:
    def write(event: Any) -> None:
        Token.objects.create(tenant_id=acme, name="x", role="auditor", digest=uuid4().bytes)
        if event.envelope.seq == 1:
            raise RuntimeError("half done")

    made = memory.project("AgentHealth*", write, name="rows", models=[Token])
    append(acme, proposed(heartbeat(), heartbeat()))

    assert (made.is_projection, made.start, made.models) == (True, "beginning", (Token,))
    assert Token.objects.filter(tenant=acme).count() == 1
    assert [str(each[2]) for each in memory.failures] == ["half done"]


def test_a_decorated_function_is_a_projection_of_the_house_and_stays_a_function() -> None:
    @projection("AgentTask*,AgentHealth*", name="decorated")
    def write(event: Any) -> str:
        return "written"

    try:
        made = event_bus.subscriptions["decorated"]
        assert (made.is_projection, made.types) == (True, "AgentTask*,AgentHealth*")
        assert write(OUTAGE) == "written"
        with pytest.raises(ValueError, match="'decorated' exists"):
            event_bus.subscribe("AgentTask*,AgentHealth*", write, name="decorated")
    finally:
        event_bus.unsubscribe("decorated")


def test_every_bus_shows_what_subscribe_takes() -> None:
    shown = inspect.signature(event_bus.subscribe)

    assert list(shown.parameters) == ["type_or_pattern", "handler", "name", "version", "start"]
    assert shown == inspect.signature(InMemoryEventBus().subscribe)


def test_a_name_belongs_to_one_subscription(memory: InMemoryEventBus) -> None:
    heard = Heard()
    memory.subscribe("AgentTask*", print, name="mine")

    with pytest.raises(ValueError, match="'mine' exists"):
        memory.subscribe("AgentTask*", heard.handle, name="mine")
    with pytest.raises(ValueError, match="'mine' exists"):
        memory.subscribe("Agent*", print, name="mine")


def test_subscribing_the_same_again_changes_nothing(memory: InMemoryEventBus) -> None:
    def handler(event: object) -> None:
        heard.append(event)

    heard: list[object] = []
    first = memory.subscribe("AgentTask*", handler)

    assert memory.subscribe("AgentTask*", handler) is first
    memory.publish(FAILED)
    assert heard == [FAILED]


def test_who_unsubscribes_hears_no_more(memory: InMemoryEventBus) -> None:
    heard = Heard()
    memory.subscribe("Agent*", heard.handle, name="heard")
    memory.unsubscribe("heard")

    memory.publish(OUTAGE)

    assert heard == []
    with pytest.raises(KeyError):
        memory.unsubscribe("heard")


def test_a_subscription_of_a_collected_bus_is_never_taken_for_another() -> None:
    # Signals tell senders apart by id(), which is used again once a sender is collected.
    for number in range(15):
        heard = Heard()
        memory = InMemoryEventBus()
        memory.subscribe("Agent*", heard.handle, name="heard")
        memory.publish(OUTAGE)
        assert heard == [OUTAGE], number
        del memory
        gc.collect()


def test_a_collected_bus_hears_no_more(acme: str) -> None:
    heard = Heard()
    memory = InMemoryEventBus()
    memory.subscribe("Agent*", heard.handle, name="heard")
    del memory
    gc.collect()

    append(acme, proposed(heartbeat()))

    assert heard == []


def test_no_subscriber_of_the_house_runs_in_a_command(acme: str) -> None:
    heard = Heard()
    subscription = event_bus.subscribe("Agent*", heard.handle, name="heard")
    try:
        append(acme, proposed(heartbeat()))
    finally:
        event_bus.unsubscribe(subscription.name)

    assert heard == []  # the worker tells it


def test_delivered_directly_a_failing_subscriber_is_logged_and_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(event: object) -> None:
        raise RuntimeError("broken handler")

    heard, direct = Heard(), EventBus()
    direct.subscribe("Agent*", fail, name="failing")
    direct.subscribe("Agent*", heard.handle, name="heard")

    with caplog.at_level(logging.ERROR, logger="events.bus"):
        direct.deliver([heartbeat(), OUTAGE])

    assert heard == [heartbeat(), OUTAGE]
    assert "failing failed on AgentHealthCheckPassedEvent" in caplog.text
    assert "broken handler" in caplog.text


def test_a_subscriber_may_append_itself(acme: str, memory: InMemoryEventBus) -> None:
    def answer(event: AgentHealthCheckFailedEvent) -> None:
        append(acme, proposed(heartbeat("a-2"), agent_id="a-2"))

    memory.subscribe("AgentHealthCheckFailedEvent", answer, name="answer")

    append(acme, proposed(OUTAGE))

    assert memory.failures == []
    assert head(acme)[0] == 2


def test_a_subscription_without_a_name_is_warned_of() -> None:
    def nameless(event: object) -> None:
        pass

    unnamed = event_bus.subscribe("Agent*", nameless)
    named = event_bus.subscribe("Agent*", print, name="named")
    try:
        found = checks.subscriptions_have_names(None)
    finally:
        event_bus.unsubscribe(unnamed.name)
        event_bus.unsubscribe(named.name)

    (warning,) = [each for each in found if "nameless" in each.msg or "named " in each.msg]
    assert warning.id == "events.W001"
    assert "name=" in (warning.hint or "")
    assert checks.subscriptions_have_names(None) == []


def test_without_a_listener_no_event_is_built(acme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listeners = bus.events_committed.receivers
    monkeypatch.setattr(bus.events_committed, "receivers", [])
    bus.events_committed.sender_receivers_cache.clear()
    try:
        appended = append(acme, proposed(heartbeat()))
    finally:
        monkeypatch.setattr(bus.events_committed, "receivers", listeners)
        bus.events_committed.sender_receivers_cache.clear()

    assert "events" not in vars(appended)
