"""Read models: folded in memory, written together, and no batch lets one event spoil the others."""

import enum
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from django.db import OperationalError

from events.bus import EventBus, InMemoryEventBus
from events.durable import handling, rebuilding, rows
from events.durable.catching_up import catch_up
from events.durable.rows import Rows
from events.generations import live
from events.log.append import append
from events.readmodels import Known
from events.vocabulary import AgentTaskCompletedEvent
from tests.durable.sample import (
    checkpoint,
    held,
    make_due,
    record,
    record_failed_task,
    retry_at_once,
    take,
    take_over,
)
from tests.durable.tables import Tally, TallyRow, tallied, tallies, tally
from tests.log.sample import proposed

pytestmark = pytest.mark.usefixtures("tables")


def test_rows_stand_as_if_every_event_had_been_folded_alone(
    acme: str, bus: EventBus, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handling.Folding, "most", 4)
    monkeypatch.setattr(rows, "KEPT", 1)
    monkeypatch.setattr(rows, "ASKED_AT_ONCE", 1)
    monkeypatch.setattr(rows, "WRITTEN_AT_ONCE", 1)
    subscription = bus.project("Agent*", tallies(name))
    for _ in range(5):
        record(acme, "a-1", "a-2", "a-3")

    assert catch_up(subscription, acme) == 15

    assert tallied(acme) == {"a-1": (5, 13), "a-2": (5, 14), "a-3": (5, 15)}
    assert live(TallyRow, name, acme).count() == 3
    assert checkpoint(acme, name).seq == 15


def test_an_event_sees_the_rows_that_it_has_yielded_itself(
    acme: str, bus: EventBus, name: str
) -> None:
    def twice(event: Any, known: Known) -> Iterator[Tally]:
        yield from tally(event, known)
        yield from tally(event, known)

    subscription = bus.project("Agent*", tallies(name, twice))
    record(acme, "a-1", each=2)

    catch_up(subscription, acme)

    assert tallied(acme) == {"a-1": (4, 2)}


@pytest.mark.parametrize("place", [1, 3, 5])
def test_an_event_is_folded_wholly_or_not_at_all(
    acme: str, bus: EventBus, name: str, place: int
) -> None:
    broken = True

    def fails(event: Any, known: Known) -> Iterator[Tally]:
        yield from tally(event, known)
        if broken and event.envelope.seq == place:
            raise RuntimeError("no")

    subscription = bus.project("Agent*", tallies(name, fails))
    for _ in range(3):
        record(acme, "a-1", "a-2")

    assert catch_up(subscription, acme) == 3 + (place - 1) // 2

    assert tallied(acme).get("a-1", (0, 0))[0] == (place - 1) // 2
    assert tallied(acme)["a-2"] == (3, 6)
    assert held(acme, name)["a-1"].seq == place

    broken = False
    retry_at_once(subscription, acme)
    assert tallied(acme) == {"a-1": (3, 5), "a-2": (3, 6)}


def test_what_the_database_refuses_when_rows_are_written_holds_its_own_stream(
    acme: str, bus: EventBus, name: str
) -> None:
    broken = True

    def refused(event: Any, known: Known) -> Iterator[Tally]:
        for row in tally(event, known):
            wrong = broken and event.agent_id == "a-2"
            yield msgspec.structs.replace(row, events=None if wrong else row.events)

    subscription = bus.project("Agent*", tallies(name, refused))
    record(acme, "a-1", "a-2", "a-3", each=2)

    catch_up(subscription, acme)

    assert tallied(acme) == {"a-1": (2, 2), "a-3": (2, 6)}
    assert held(acme, name)["a-2"].last_error.startswith("IntegrityError")

    broken = False
    retry_at_once(subscription, acme)
    assert tallied(acme)["a-2"] == (2, 4)


def test_values_of_mixed_types_go_into_one_column(acme: str, bus: EventBus, name: str) -> None:
    class Colour(enum.StrEnum):
        RED = "red"

    loads: list[Any] = [7, 7.5, None, True]
    extras: list[Any] = [{"a": [1]}, [1, "x"], None, "text"]

    def mixed(event: Any, known: Known) -> Iterator[Tally]:
        place = event.envelope.seq - 1
        yield Tally(
            agent_id=Colour.RED if place == 3 else event.agent_id,
            events=True if place == 0 else 2,
            last_seq=0,
            load=loads[place],
            extra=extras[place],
        )

    subscription = bus.project("Agent*", tallies(name, mixed))
    record(acme, "a-1", "a-2", "a-3", "a-4")

    assert catch_up(subscription, acme) == 4

    standing = TallyRow.objects.filter(tenant=acme).order_by("agent_id")
    assert list(standing.values_list("agent_id", "events", "load", "extra")) == [
        ("a-1", 1, 7.0, {"a": [1]}),
        ("a-2", 2, 7.5, [1, "x"]),
        ("a-3", 2, None, None),
        ("red", 2, 1.0, "text"),
    ]
    again = Rows(tallies(name), acme, 1)(Tally, "a-2")
    assert again == Tally(agent_id="a-2", events=2, last_seq=0, load=7.5, extra=[1, "x"])


def test_a_wrong_hint_of_what_an_event_touches_does_no_harm(
    acme: str, bus: EventBus, name: str
) -> None:
    def touches(event: Any) -> Any:
        if event.agent_id == "a-1":
            raise RuntimeError("no hint")
        return [(Tally, (event.agent_id,)), (Tally, ("nobody",))]

    subscription = bus.project("Agent*", tallies(name, touches=touches))
    record(acme, "a-1", "a-2", each=2)

    assert catch_up(subscription, acme) == 4
    assert tallied(acme) == {"a-1": (2, 2), "a-2": (2, 4)}


def test_a_row_that_could_not_be_read_is_not_taken_for_one_that_is_not_there(
    acme: str, bus: EventBus, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_all(event: Any, known: Known) -> Iterator[Tally]:
        row = known(Tally, "all") or Tally(agent_id="all", events=0, last_seq=0)
        yield msgspec.structs.replace(row, events=row.events + 1)

    subscription = bus.project("Agent*", tallies(name, in_all))
    record(acme, "a-1", "a-2")
    catch_up(subscription, acme)
    record(acme, "a-1", "a-2")
    read, times = Rows._read, iter(range(100))

    def stumble(*arguments: Any) -> Any:
        if next(times) == 0:
            raise OperationalError("deadlock detected")
        return read(*arguments)

    monkeypatch.setattr(Rows, "_read", stumble)
    catch_up(subscription, acme)
    assert (tallied(acme), set(held(acme, name))) == ({"all": (3, 0)}, {"a-1"})
    retry_at_once(subscription, acme)

    assert tallied(acme) == {"all": (4, 0)}


def test_a_pinned_version_is_folded_as_that_version(acme: str, bus: EventBus, name: str) -> None:
    seen = []

    def look(event: Any, known: Known) -> Iterator[Tally]:
        seen.append((event.version, hasattr(event, "usage")))
        yield from tally(event, known)

    subscription = bus.project("Agent*", tallies(name, look), version="1.0")
    append(acme, proposed(AgentTaskCompletedEvent("a-1", task_id="t-1")))

    catch_up(subscription, acme)

    assert seen == [("1.0", False)]


def test_who_was_overtaken_writes_no_row(acme: str, bus: EventBus, name: str) -> None:
    subscription = bus.project("Agent*", tallies(name))
    record(acme, "a-1", each=3)
    turn = take(subscription, acme)
    assert turn is not None
    take_over(acme, name)

    turn.run(5)

    assert tallied(acme) == {}
    assert (turn.handled, checkpoint(acme, name).seq) == (0, 0)


def test_tenants_have_rows_of_their_own(acme: str, globex: str, bus: EventBus, name: str) -> None:
    subscription = bus.project("Agent*", tallies(name))
    record(acme, "a-1", each=2)
    record(globex, "a-1")

    catch_up(subscription, acme)
    catch_up(subscription, globex)

    assert tallied(acme) == {"a-1": (2, 2)}
    assert tallied(globex) == {"a-1": (1, 1)}


def test_a_bus_in_memory_folds_too(acme: str, name: str) -> None:
    memory = InMemoryEventBus()
    memory.project("Agent*", tallies(name))

    record(acme, "a-1", each=2)

    assert memory.failures == []
    assert tallied(acme) == {"a-1": (2, 2)}


def test_what_is_held_is_folded_later_into_the_same_row(
    acme: str, bus: EventBus, name: str
) -> None:
    broken = True

    def fails(event: Any, known: Known) -> Iterator[Tally]:
        if broken and event.type == "AgentTaskFailedEvent":
            raise RuntimeError("no")
        yield from tally(event, known)

    subscription = bus.project("Agent*", tallies(name, fails))
    record(acme, "a-1", "a-2")
    record_failed_task(acme, "a-1", "no")
    record(acme, "a-1", "a-2")
    catch_up(subscription, acme)
    assert tallied(acme) == {"a-1": (1, 1), "a-2": (2, 5)}
    record(acme, "a-1")

    broken = False
    make_due(acme, name)
    catch_up(subscription, acme)

    assert tallied(acme) == {"a-1": (4, 6), "a-2": (2, 5)}


def test_a_row_is_finished_once_for_each_batch_whether_followed_or_rebuilt(
    acme: str, bus: EventBus, name: str
) -> None:
    finished: list[int] = []

    def growing(event: Any, known: Known) -> Iterator[Tally]:
        before = known(Tally, event.agent_id)
        for row in tally(event, known):
            yield msgspec.structs.replace(row, extra=(before.extra if before else [], row.last_seq))

    def flat(row: Tally) -> Tally:
        finished.append(row.last_seq)
        seqs, extra = list[int](), row.extra
        while isinstance(extra, tuple):
            extra, seq = extra
            seqs.insert(0, seq)
        return msgspec.structs.replace(row, extra=extra + seqs)

    subscription = bus.project("Agent*", tallies(name, growing, finish={Tally: flat}))
    for _ in range(2):
        record(acme, "a-1", each=3)
        catch_up(subscription, acme)

    assert finished == [3, 6]
    assert TallyRow.objects.get(tenant=acme).extra == [1, 2, 3, 4, 5, 6]
    assert list(rebuilding.check(subscription, acme)[1]) == []
