"""Nobody's new events wait for another's million, nor an agent's for another's failures."""

import threading
import time
from typing import Any
from unittest import mock

import pytest

from events.bus import EventBus, Subscription
from events.durable import waiting
from events.durable.catching_up import catch_up
from events.log.append import append
from events.worker import reader
from events.worker.bells import Bell
from events.worker.reader import Reader
from tests.durable.sample import checkpoint, make_due, record, take
from tests.durable.tables import count, make_tables
from tests.jobs.conftest import until
from tests.log.sample import heartbeats, proposed

BEHIND = 2_000
SLOW_SECONDS = 0.002
# What is handled in a slice, and in a second one that had begun already; a third is too much.
PATIENCE = 2.5 * reader.SLICE_SECONDS / SLOW_SECONDS


class Reading:
    """A reader on a thread of its own, for as long as the block."""

    def __init__(self, subscription: Subscription) -> None:
        self._over = threading.Event()
        self._bell = Bell()
        self._reader = Reader(subscription, self._bell, "tests", 10, self._over.is_set)
        self._thread = threading.Thread(target=self._reader.run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._bell.silence()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.mark.parametrize("kind", ["reaction", "projection"])
def test_a_new_event_waits_for_no_more_than_a_slice_of_anothers_thousands(
    acme: str, globex: str, bus: EventBus, name: str, kind: str
) -> None:
    make_tables()
    handled: list[str] = []

    def slowly(event: Any) -> None:
        time.sleep(SLOW_SECONDS)
        handled.append(event.envelope.tenant)
        if kind == "projection":
            count(event)

    append(acme, proposed(*heartbeats(BEHIND)))
    subscription = bus.subscribe("Agent*", slowly, name=name, start="beginning")
    if kind == "projection":
        bus.unsubscribe(name)
        subscription = bus.project("Agent*", slowly, name=name)
    only = _only(subscription, acme, globex)

    with only, Reading(subscription):
        until(lambda: len(handled) > 10)
        record(globex, "a-1")
        waited_from = len(handled)
        until(lambda: globex in handled)
        place = handled.index(globex)
        record(globex, "a-1")
        until(lambda: handled.count(globex) == 2)

    assert place - waited_from <= PATIENCE
    assert len(handled) < BEHIND, "it had caught up, so that nothing was proven"


def test_two_that_are_far_behind_take_turns(
    acme: str, globex: str, bus: EventBus, name: str
) -> None:
    handled: list[str] = []

    def slowly(event: Any) -> None:
        time.sleep(SLOW_SECONDS)
        handled.append(event.envelope.tenant)

    for tenant in (acme, globex):
        append(tenant, proposed(*heartbeats(BEHIND)))
    subscription = bus.subscribe("Agent*", slowly, name=name, start="beginning")

    with _only(subscription, acme, globex), Reading(subscription):
        until(lambda: len(set(handled)) == 2 and len(handled) > 1.5 * PATIENCE)

    for tenant in (acme, globex):
        assert handled.count(tenant) > PATIENCE / 10


def test_streams_that_fail_slowly_leave_time_for_those_that_do_not(
    acme: str, bus: EventBus, name: str
) -> None:
    tried: list[str] = []

    def handle(event: Any) -> None:
        tried.append(event.agent_id)
        if event.agent_id.startswith("poisoned"):
            time.sleep(0.1)
            raise RuntimeError("no")

    for number in range(4):
        record(acme, f"poisoned-{number}")
    subscription = bus.subscribe("Agent*", handle, name=name, start="beginning")
    catch_up(subscription, acme)
    record(acme, "well", each=3)
    make_due(acme, name)
    tried.clear()

    turn = take(subscription, acme)
    assert turn is not None
    turn.run(0.1)  # no longer than one of them takes to fail

    assert tried == [tried[0], "well", "well", "well"]
    assert tried[0].startswith("poisoned")


def test_a_page_of_events_that_all_fail_slowly_ends_with_its_time(
    acme: str, bus: EventBus, name: str
) -> None:
    tried: list[int] = []

    def handle(event: Any) -> None:
        tried.append(event.envelope.seq)
        time.sleep(0.05)
        raise ConnectionError("the target is away")

    for number in range(8):
        record(acme, f"a-{number}")
    subscription = bus.subscribe("Agent*", handle, name=name, start="beginning")

    turn = take(subscription, acme)
    assert turn is not None
    turn.run(0.1)

    assert 1 <= len(tried) <= 3
    assert checkpoint(acme, name).seq == len(tried)  # the next turn goes on there


def _only(subscription: Subscription, *tenants: str) -> Any:
    """Read these logs, and not those of all other tests."""
    asked = waiting.due
    return mock.patch.object(waiting, "due", lambda each, _: asked(each, tenants))
