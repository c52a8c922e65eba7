"""A process's worker: it starts what there is, goes on whatever happens, and stops in time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError

from events import duties, tenants
from events.bus import EventBus
from events.durable import reading, registration, waiting
from events.durable.catching_up import holder
from events.duties import Beside
from events.models import KnownSubscription
from events.worker import reader, runner
from events.worker.runner import Worker
from tests.durable.sample import Ledger, checkpoint, record
from tests.durable.tables import count, counted, tallied, tallies
from tests.jobs.conftest import until

pytestmark = pytest.mark.usefixtures("scratch", "no_duties")


@pytest.fixture
def tenant(scratch: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("acme")).slug


@contextmanager
def working(bus: EventBus, lease_seconds: float = 10) -> Iterator[list[bool]]:
    """A worker while the block lasts, and then whether it stopped in time."""
    worker, ended = Worker(bus, lease_seconds=lease_seconds), list[bool]()
    thread = threading.Thread(target=lambda: ended.append(worker.run()))
    thread.start()
    try:
        yield ended
    finally:
        worker.stop()
        thread.join(10)
    assert not thread.is_alive()


def test_it_handles_what_comes_and_leaves_nothing_held_when_it_stops(
    tenant: str, bus: EventBus, ledger: Ledger, name: str
) -> None:
    bus.subscribe("Agent*", ledger.handle, name=name)
    bus.project("Agent*", count, name=f"{name} counts")
    bus.project("Agent*", tallies(f"{name} tallies"))
    record(tenant, "a-1")  # before it met anybody

    with working(bus) as ended:
        until(lambda: counted(tenant) == {"a-1": (1, 1)})
        until(lambda: tallied(tenant) == {"a-1": (1, 1)})
        record(tenant, "a-1")
        until(lambda: ledger.heard == [2])
        until(lambda: counted(tenant) == {"a-1": (2, 3)})
        until(lambda: tallied(tenant) == {"a-1": (2, 2)})
        began = time.monotonic()

    assert ended == [True]
    assert time.monotonic() - began < 5
    assert checkpoint(tenant, name).leased_until is None


def test_two_workers_share_the_work_and_count_nothing_twice(
    tenant: str, bus: EventBus, name: str
) -> None:
    bus.project("Agent*", count, name=name)

    with working(bus), working(bus):
        for _ in range(30):
            record(tenant, "a-1", "a-2")
        until(lambda: sum(events for events, _ in counted(tenant).values()) == 60)
        time.sleep(0.2)

    assert sum(events for events, _ in counted(tenant).values()) == 60


def test_it_stops_in_the_middle_of_much_work_and_another_goes_on_from_there(
    tenant: str, bus: EventBus, ledger: Ledger, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "SLICE_SECONDS", 60.0)

    def slowly(event: Any) -> None:
        time.sleep(0.01)
        ledger.handle(event)

    bus.subscribe("Agent*", slowly, name=name)
    registration.meet(bus.subscriptions.values())
    record(tenant, "a-1", each=150)
    with working(bus) as ended:
        until(lambda: len(ledger.heard) > 5)
        began = time.monotonic()
    stopped_after = time.monotonic() - began

    assert ended == [True]
    assert stopped_after < 4
    assert len(ledger.heard) < 150
    assert checkpoint(tenant, name).seq == len(ledger.heard)
    with working(bus):
        until(lambda: len(ledger.heard) == 150)
    assert ledger.heard == list(range(1, 151))


def test_a_handler_that_hangs_does_not_keep_it_from_ending(
    tenant: str, bus: EventBus, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "STOPS_WITHIN_SECONDS", 0.3)
    hangs, go_on = threading.Event(), threading.Event()

    def hang(event: Any) -> None:
        hangs.set()
        go_on.wait(30)

    bus.subscribe("Agent*", hang, name=name)
    registration.meet(bus.subscriptions.values())
    record(tenant, "a-1")
    with working(bus) as ended:
        assert hangs.wait(10)
    assert ended == [False]
    assert checkpoint(tenant, name).seq == 0  # its event comes again

    go_on.set()
    for thread in threading.enumerate():
        if name in thread.name:
            thread.join(10)


def test_a_handler_may_take_longer_than_a_lease(
    tenant: str, bus: EventBus, ledger: Ledger, name: str
) -> None:
    def slowly(event: Any) -> None:
        time.sleep(1.2)
        ledger.handle(event)

    bus.subscribe("Agent*", slowly, name=name)
    registration.meet(bus.subscriptions.values())
    record(tenant, "a-1")

    with working(bus, lease_seconds=0.5), working(bus, lease_seconds=0.5):
        until(lambda: checkpoint(tenant, name).seq == 1)

    assert ledger.heard == [1]


def test_a_database_that_is_away_at_the_start_is_waited_for(
    tenant: str, bus: EventBus, ledger: Ledger, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "REST_SECONDS", 0.05)
    meet, answers = registration.meet, iter([OperationalError("away"), DatabaseError("still")])

    def met(subscriptions: Any) -> None:
        if error := next(answers, None):
            raise error
        meet(subscriptions)

    monkeypatch.setattr(registration, "meet", met)
    bus.subscribe("Agent*", ledger.handle, name=name)
    with working(bus):
        until(lambda: KnownSubscription.objects.filter(name=name).exists())
        record(tenant, "a-1")
        until(lambda: ledger.heard == [1])


@pytest.mark.parametrize("error", [OperationalError("away"), KeyError("unforeseen")])
def test_a_reader_goes_on_after_whatever_went_wrong(
    tenant: str,
    bus: EventBus,
    ledger: Ledger,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    monkeypatch.setattr(reader, "REST_SECONDS", 0.05)
    due, answers = waiting.due, iter([error, error])

    def sometimes(*arguments: Any) -> Any:
        if failure := next(answers, None):
            raise failure
        return due(*arguments)

    monkeypatch.setattr(waiting, "due", sometimes)
    bus.subscribe("Agent*", ledger.handle, name=name)
    with working(bus):
        until(lambda: KnownSubscription.objects.filter(name=name).exists())
        record(tenant, "a-1")
        until(lambda: ledger.heard == [1])


def test_what_goes_wrong_with_one_log_keeps_no_other_waiting(
    tenant: str,
    fresh_slug: Callable[[str], str],
    bus: EventBus,
    ledger: Ledger,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = tenants.create_tenant(fresh_slug("globex")).slug
    following = reading.following

    def broken(subscription: Any, slug: str, *arguments: Any, **more: Any) -> Any:
        if slug == other:
            raise DatabaseError("column does not exist")
        return following(subscription, slug, *arguments, **more)

    bus.subscribe("Agent*", ledger.handle, name=name)
    registration.meet(bus.subscriptions.values())
    monkeypatch.setattr(reading, "following", broken)
    record(other, "b-1")
    with working(bus):
        until(lambda: checkpoint(other, name).failures > 0)
        record(tenant, "a-1")
        until(lambda: ledger.by_stream == {"a-1": [1]})

    assert checkpoint(other, name).last_error == "DatabaseError: column does not exist"
    assert checkpoint(other, name).leased_until is None


def test_a_companion_runs_beside_hears_of_growth_and_begins_again_when_it_failed(
    tenant: str, bus: EventBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "REST_SECONDS", 0.05)
    began, heard = [], set[str]()

    def accompany(beside: Beside) -> None:
        began.append(1)
        if len(began) == 1:
            raise RuntimeError("stumbles once")
        while not beside.stop.is_set():
            heard.update(beside.ear.wait(10))

    duties.companion("tests", accompany)
    with working(bus) as ended:
        until(lambda: len(began) == 2)
        record(tenant, "a-1")
        until(lambda: tenant in heard)

    assert ended == [True]
    assert len(began) == 2


def test_a_sweep_runs_in_it(bus: EventBus) -> None:
    swept = threading.Event()

    def sweep() -> int:
        swept.set()
        return 0

    duties.sweep(f"tests {holder()}", every_seconds=60, run=sweep)
    with working(bus):
        assert swept.wait(10)


def test_once_is_until_nothing_is_due(
    tenant: str, bus: EventBus, ledger: Ledger, name: str
) -> None:
    left = [3, 2, 0]

    def answer(event: Any) -> None:
        ledger.handle(event)
        if event.envelope.seq < 3:
            record(tenant, "a-1")

    bus.subscribe("Agent*", answer, name=name)
    duties.sweep(f"tests {name}", every_seconds=60, run=lambda: left.pop(0) if left else 0)
    registration.meet(bus.subscriptions.values())
    record(tenant, "a-1")

    assert Worker(bus).run_once() == 3 + 3 + 2
    assert ledger.heard == [1, 2, 3]
    assert Worker(bus).run_once() == 0


def test_who_is_told_to_stop_before_it_runs_does_nothing(bus: EventBus, name: str) -> None:
    worker = Worker(bus)
    worker.stop()

    assert worker.run() is True
