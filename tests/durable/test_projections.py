"""Projections' handlers: rows and checkpoint are one transaction, so nothing counts twice."""

from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from events.bus import EventBus
from events.durable import handling
from events.durable.catching_up import catch_up
from tests.durable.sample import checkpoint, held, record, retry_at_once, take, take_over
from tests.durable.tables import CountRow, count, counted

pytestmark = pytest.mark.usefixtures("tables")


def test_rows_and_checkpoint_come_together(acme: str, bus: EventBus, name: str) -> None:
    subscription = bus.project("Agent*", count, name=name, models=[CountRow])
    record(acme, "a-1", "a-2", each=3)

    assert catch_up(subscription, acme) == 6
    record(acme, "a-1")
    assert catch_up(subscription, acme) == 1

    assert counted(acme) == {"a-1": (4, 1 + 2 + 3 + 7), "a-2": (3, 4 + 5 + 6)}
    assert checkpoint(acme, name).seq == 7


@pytest.mark.parametrize("place", [1, 3, 5])
def test_one_that_raises_after_it_has_written_leaves_nothing_and_the_others_count_once(
    acme: str, bus: EventBus, name: str, place: int
) -> None:
    broken = True

    def half(event: Any) -> None:
        count(event)
        if broken and event.envelope.seq == place:
            raise RuntimeError("half done")

    subscription = bus.project("Agent*", half, name=name)
    for _ in range(3):
        record(acme, "a-1", "a-2")  # odd seqs are a-1's

    catch_up(subscription, acme)

    before = [seq for seq in (1, 3, 5) if seq < place]
    expected = {"a-2": (3, 12)} | ({"a-1": (len(before), sum(before))} if before else {})
    assert counted(acme) == expected
    assert held(acme, name)["a-1"].seq == place

    broken = False
    retry_at_once(subscription, acme)
    assert counted(acme) == {"a-1": (3, 9), "a-2": (3, 12)}
    assert held(acme, name) == {}


def test_what_the_database_refuses_only_at_the_end_holds_the_stream_it_belongs_to(
    acme: str, bus: EventBus, name: str
) -> None:
    broken = True

    def orphan(event: Any) -> None:
        count(event)
        if broken and event.agent_id == "a-2":
            # A deferred constraint: it is asked when the transaction commits.
            CountRow.objects.filter(tenant=acme, agent_id="a-2").update(parent_id=2**40)

    subscription = bus.project("Agent*", orphan, name=name)
    record(acme, "a-1", "a-2", "a-3", each=2)

    catch_up(subscription, acme)

    assert counted(acme) == {"a-1": (2, 3), "a-3": (2, 11)}
    assert held(acme, name)["a-2"].last_error.startswith("IntegrityError")
    assert checkpoint(acme, name).failures == 0

    broken = False
    retry_at_once(subscription, acme)
    assert counted(acme)["a-2"] == (2, 7)


def test_a_handler_that_swallows_a_refused_statement_is_held_too(
    acme: str, bus: EventBus, name: str
) -> None:
    def careless(event: Any) -> None:
        if event.agent_id == "a-2":
            try:
                CountRow.objects.create(tenant=acme, agent_id="a-1")
            except IntegrityError:
                return
        count(event)

    subscription = bus.project("Agent*", careless, name=name)
    record(acme, "a-1", "a-2", "a-3")

    catch_up(subscription, acme)

    assert counted(acme) == {"a-1": (1, 1), "a-3": (1, 3)}
    assert set(held(acme, name)) == {"a-2"}


def test_an_operational_error_of_one_event_holds_its_stream_and_no_other(
    acme: str, bus: EventBus, name: str
) -> None:
    def unlucky(event: Any) -> None:
        if event.agent_id == "a-1":
            raise OperationalError("canceling statement due to statement timeout")
        count(event)

    subscription = bus.project("Agent*", unlucky, name=name)
    record(acme, "a-1", "a-2")

    catch_up(subscription, acme)

    assert counted(acme) == {"a-2": (1, 2)}
    assert set(held(acme, name)) == {"a-1"}
    assert checkpoint(acme, name).seq == 2


def test_who_was_overtaken_in_the_middle_of_a_batch_writes_nothing(
    acme: str, bus: EventBus, name: str
) -> None:
    def overtaken(event: Any) -> None:
        count(event)
        if event.envelope.seq == 2:
            CountRow.objects.filter(tenant=acme).update(seqs=0)

    subscription = bus.project("Agent*", overtaken, name=name)
    record(acme, "a-1", each=3)
    CountRow.objects.create(tenant=acme, agent_id="a-1", events=5, seqs=5)
    turn = take(subscription, acme)
    assert turn is not None
    lease = take_over(acme, name)  # between its reading and its writing

    turn.run(5)

    assert counted(acme) == {"a-1": (5, 5)}
    assert checkpoint(acme, name).seq == 0
    assert checkpoint(acme, name).epoch == lease.epoch
    assert turn.handled == 0


def test_a_handler_keeps_a_transaction_open_only_for_so_long(
    acme: str, bus: EventBus, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handling, "IN_TRANSACTION_SECONDS", 0.0)
    begun = []

    def note(event: Any) -> None:
        begun.append(checkpoint(acme, name).seq)
        assert transaction.get_connection().in_atomic_block
        count(event)

    subscription = bus.project("Agent*", note, name=name)
    record(acme, "a-1", each=3)

    assert catch_up(subscription, acme) == 3
    assert begun == [0, 1, 2]
    assert not connection.in_atomic_block


def test_a_projection_cannot_append(acme: str, bus: EventBus, name: str) -> None:
    def append_too(event: Any) -> None:
        record(acme, "a-9")

    subscription = bus.project("Agent*", append_too, name=name)
    record(acme, "a-1")

    assert catch_up(subscription, acme) == 0
    assert "NotTheOutermostTransaction" in held(acme, name)["a-1"].last_error
