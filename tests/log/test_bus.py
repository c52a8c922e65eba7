"""The bus: one line adds a subscriber, and no subscriber is ever in the way."""

import gc
import inspect
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from events import bus, checks
from events.ancestors.agent_task_completed_1_0 import AgentTaskCompletedEventV1
from events.bus import InMemoryEventBus, InProcessEventBus, event_bus
from events.log.append import append
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


@pytest.fixture
def live() -> Iterator[InProcessEventBus]:
    made = InProcessEventBus()
    yield made
    for name in tuple(made.subscriptions):
        made.unsubscribe(name)
    bus.events_committed.disconnect(made._hear)


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


@pytest.mark.parametrize("wrong", ["AgentExplodedEvent", "Nothing*", "Agent*Event", "", "agent*"])
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


def test_a_slow_subscriber_delays_no_command(acme: str, live: InProcessEventBus) -> None:
    go_on, heard = threading.Event(), Heard()

    def wait(event: object) -> None:
        assert go_on.wait(10)
        heard.append(event)

    live.subscribe("Agent*", wait, name="slow")
    began = time.monotonic()
    for version in range(5):
        append(acme, proposed(heartbeat(), version=version))
    took = time.monotonic() - began

    assert head(acme)[0] == 5
    assert heard == []  # the first one is still being waited for
    go_on.set()
    live.join()
    assert [event.envelope.seq for event in heard] == [1, 2, 3, 4, 5]
    assert took < 8


def test_in_process_a_failing_subscriber_is_logged_and_harms_nobody(
    acme: str, live: InProcessEventBus, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: object) -> None:
        raise RuntimeError("broken handler")

    heard = Heard()
    live.subscribe("Agent*", fail, name="failing")
    live.subscribe("Agent*", heard.handle, name="heard")

    with caplog.at_level(logging.ERROR, logger="events.bus"):
        append(acme, proposed(heartbeat()))
        append(acme, proposed(heartbeat(), version=1))
        live.join()

    assert len(heard) == 2
    assert "failing failed on AgentHealthCheckPassedEvent" in caplog.text
    assert "broken handler" in caplog.text


def test_in_process_a_full_queue_costs_events_and_no_command(
    acme: str,
    live: InProcessEventBus,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(live._waiting, "maxsize", 1)
    go_on = threading.Event()
    live.subscribe("Agent*", lambda _: go_on.wait(10), name="slow")

    with caplog.at_level(logging.ERROR, logger="events.bus"):
        for version in range(5):
            append(acme, proposed(heartbeat(), version=version))
    go_on.set()
    live.join()

    assert head(acme)[0] == 5
    assert "bus is full" in caplog.text


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
