"""A stream that failed: tried again, parked, retried or skipped by a person; nothing is lost."""

import json
from typing import Any

import pytest
from django.db import connection

from events import tenants
from events.bus import EventBus, Subscription
from events.durable import handling, resuming
from events.durable import held as held_streams
from events.durable.catching_up import catch_up
from events.log import guard
from events.log.proposal import Context
from events.models import HeldStream, SubscriptionCheckpoint
from events.tenants import Refused
from tests.durable.sample import (
    Ledger,
    checkpoint,
    due,
    held,
    record,
    retry_at_once,
    until_parked,
)
from tests.durable.tables import count, counted, make_tables, tallied, tallies, tally
from tests.log.sample import stored

ALICE = Context(actor="user:alice")


@pytest.fixture
def subscription(bus: EventBus, ledger: Ledger, name: str) -> Subscription:
    return bus.subscribe("Agent*", ledger.handle, name=name, start="beginning")


def parked(subscription: Subscription, ledger: Ledger, tenant: str) -> None:
    """a-1 is parked at its first event; a-2 has been heard."""
    ledger.fails["a-1"] = RuntimeError("no")
    record(tenant, "a-1", "a-2", each=2)
    until_parked(subscription, tenant)
    assert held(tenant, subscription.name)["a-1"].parked_at is not None


def test_it_waits_longer_after_each_try_and_is_parked_within_a_minute(
    acme: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    ledger.fails["a-1"] = RuntimeError("no")
    record(acme, "a-1", "a-2")
    catch_up(subscription, acme)

    waits: list[float] = []
    while (row := held(acme, name)["a-1"]).parked_at is None:
        before = (
            row.held_at
            if not waits
            else SubscriptionCheckpoint.objects.get(tenant=acme, subscription=name).last_error_at
        )
        assert row.retry_at is not None
        assert before is not None
        waits.append((row.retry_at - before).total_seconds())
        assert due(subscription, acme) is None, "nothing is due while it waits"
        retry_at_once(subscription, acme)

    assert row.retry_at is None
    for wait, about in zip(waits, (1, 2, 4, 8, 16), strict=True):
        assert 0.7 * about < wait < 1.3 * about
    assert sum(waits) < 45
    assert ledger.tried.count(1) == 6
    assert due(subscription, acme) is None


def test_a_wait_has_jitter() -> None:
    waits = {held_streams.wait_seconds(1) for _ in range(20)}

    assert len(waits) > 10
    assert all(0.8 <= each <= 1.2 for each in waits)


def test_a_parked_stream_is_left_alone_until_a_person_has_it_tried_again(
    acme: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    parked(subscription, ledger, acme)
    record(acme, "a-1", "a-2")
    tried = len(ledger.tried)
    assert retry_at_once(subscription, acme) == 1  # a-2's
    assert len(ledger.tried) == tried + 1

    ledger.fails.clear()
    held_streams.retry(acme, name, "a-1")
    catch_up(subscription, acme)

    assert ledger.by_stream == {"a-1": [1, 2, 5], "a-2": [3, 4, 6]}
    assert held(acme, name) == {}
    record(acme, "a-1")
    catch_up(subscription, acme)
    assert ledger.by_stream["a-1"] == [1, 2, 5, 7]


def test_a_retry_of_what_still_fails_is_parked_again(
    acme: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    parked(subscription, ledger, acme)
    held_streams.retry(acme, name, "a-1")

    catch_up(subscription, acme)
    assert held(acme, name)["a-1"].attempts == 1
    until_parked(subscription, acme)

    assert held(acme, name)["a-1"].parked_at is not None
    assert held(acme, name)["a-1"].seq == 1


def test_a_skip_leaves_out_one_event_and_is_recorded_with_its_reason(
    acme: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    parked(subscription, ledger, acme)
    ledger.fails = {1: RuntimeError("no")}

    held_streams.skip(acme, name, "a-1", reason="It never made sense.", by=ALICE)
    catch_up(subscription, acme)

    assert ledger.by_stream["a-1"] == [2]
    assert held(acme, name) == {}
    skipped = stored(acme)[-1]
    assert (skipped["type"], skipped["stream_type"], skipped["actor"]) == (
        "EventSkipped",
        "tenant",
        "user:alice",
    )
    said = json.loads(skipped["data"])
    assert said["reason"] == "It never made sense."
    assert (said["subscription"], said["stream_id"], said["seq"]) == (name, "a-1", 1)
    assert said["event_id"] == str(stored(acme)[0]["event_id"])


def test_a_skip_to_an_event_that_fails_too_holds_the_stream_there(
    acme: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    parked(subscription, ledger, acme)

    held_streams.skip(acme, name, "a-1", reason="No.", by=ALICE)
    catch_up(subscription, acme)

    row = held(acme, name)["a-1"]
    assert (row.seq, row.version, row.attempts, row.parked_at) == (2, 2, 1, None)


@pytest.mark.parametrize("reason", ["", "  ", "a\nb", "NUL \0", "x" * 1_001])
def test_a_skip_without_a_usable_reason_is_refused(
    acme: str, subscription: Subscription, ledger: Ledger, name: str, reason: str
) -> None:
    parked(subscription, ledger, acme)

    with pytest.raises(Refused, match="A reason has") as refused:
        held_streams.skip(acme, name, "a-1", reason=reason, by=ALICE)

    assert (refused.value.code, refused.value.field) == ("invalid", "reason")
    assert held(acme, name)["a-1"].parked_at is not None


def test_only_what_is_parked_there_can_be_retried_or_skipped(
    acme: str, globex: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    parked(subscription, ledger, acme)
    ledger.fails["a-3"] = RuntimeError("no")
    record(acme, "a-3")
    catch_up(subscription, acme)

    for tenant, which, stream in (
        (globex, name, "a-1"),  # Mallory's tenant has no such thing
        (acme, "nobody", "a-1"),
        (acme, name, "a-2"),
        (acme, name, "a-3"),  # is tried again by itself
    ):
        with pytest.raises(Refused, match="nothing parked") as refused:
            held_streams.retry(tenant, which, stream)
        assert refused.value.code == "not_found"
        with pytest.raises(Refused, match="nothing parked"):
            held_streams.skip(tenant, which, stream, reason="So.", by=ALICE)
    assert held(acme, name)["a-1"].parked_at is not None


def test_of_two_people_who_skip_at_once_one_is_told_that_it_was_done(
    acme: str, subscription: Subscription, ledger: Ledger, name: str, monkeypatch: Any
) -> None:
    parked(subscription, ledger, acme)
    record_fact = tenants.record

    def bob_is_first(tenant: str, *arguments: Any, **more: Any) -> Any:
        monkeypatch.setattr(held_streams, "record", record_fact)
        held_streams.skip(acme, name, "a-1", reason="Bob's.", by=Context(actor="user:bob"))
        return record_fact(tenant, *arguments, **more)

    monkeypatch.setattr(held_streams, "record", bob_is_first)
    with pytest.raises(Refused, match="meanwhile") as refused:
        held_streams.skip(acme, name, "a-1", reason="Alice's.", by=ALICE)

    assert refused.value.code == "conflict"
    assert [each["actor"] for each in stored(acme) if each["type"] == "EventSkipped"] == [
        "user:bob"
    ]
    assert held(acme, name)["a-1"].version == 2


def test_events_that_come_while_a_stream_is_held_wait_behind_it(
    acme: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    ledger.fails[1] = RuntimeError("no")
    record(acme, "a-1")
    catch_up(subscription, acme)
    record(acme, "a-1", "a-2")
    catch_up(subscription, acme)
    assert ledger.heard == [3]

    ledger.fails.clear()
    record(acme, "a-1", "a-2")  # not read yet when the stream is tried again
    retry_at_once(subscription, acme)

    assert ledger.by_stream == {"a-1": [1, 2, 4], "a-2": [3, 5]}


def test_a_stream_that_fails_at_a_later_event_has_all_its_tries_for_that(
    acme: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    ledger.fails[1] = RuntimeError("first")
    record(acme, "a-1", each=5)
    catch_up(subscription, acme)
    for _ in range(3):
        retry_at_once(subscription, acme)
    assert held(acme, name)["a-1"].attempts == 4

    ledger.fails = {4: RuntimeError("second")}
    retry_at_once(subscription, acme)

    row = held(acme, name)["a-1"]
    assert (row.seq, row.version, row.attempts) == (4, 4, 1)
    assert ledger.heard == [1, 2, 3]

    ledger.fails.clear()
    retry_at_once(subscription, acme)
    assert ledger.heard == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", ["handler", "read model"])
def test_a_replay_that_fails_half_way_keeps_what_it_has_done(
    acme: str, bus: EventBus, name: str, kind: str
) -> None:
    make_tables()
    fails = {1}

    def fail(event: Any) -> None:
        if event.envelope.seq in fails:
            raise RuntimeError("no")

    def handle(event: Any) -> None:
        fail(event)
        count(event)

    def project(event: Any, known: Any) -> Any:
        fail(event)
        yield from tally(event, known)

    is_handler = kind == "handler"
    subscription = (
        bus.project("Agent*", handle, name=name)
        if is_handler
        else bus.project("Agent*", tallies(name, project))
    )
    record(acme, "a-1", each=5)
    catch_up(subscription, acme)
    fails.clear()
    fails.add(4)
    retry_at_once(subscription, acme)

    assert (counted(acme) if is_handler else tallied(acme)) == {
        "a-1": (3, 6) if is_handler else (3, 3)
    }
    assert held(acme, name)["a-1"].seq == 4
    fails.clear()
    retry_at_once(subscription, acme)
    assert (counted(acme) if is_handler else tallied(acme)) == {
        "a-1": (5, 15) if is_handler else (5, 5)
    }


def test_a_replay_goes_on_where_it_was_when_its_time_is_over(
    acme: str, subscription: Subscription, ledger: Ledger, name: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr("events.durable.catching_up.SLICE_SECONDS", 0.0)
    monkeypatch.setattr(handling.Reacting, "most", 2)
    ledger.fails[1] = RuntimeError("no")
    record(acme, "a-1", each=5)
    record(acme, "a-2")
    catch_up(subscription, acme)
    assert checkpoint(acme, name).seq == 6
    ledger.fails.clear()

    retry_at_once(subscription, acme)

    assert held(acme, name) == {}
    assert ledger.by_stream == {"a-1": [1, 2, 3, 4, 5], "a-2": [6]}


def test_while_everything_fails_nothing_is_parked(
    acme: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    agents = [f"a-{number}" for number in range(6)]
    record(acme, *agents)
    ledger.fails["*"] = ConnectionError("the target is away")
    until_parked(subscription, acme)
    until_parked(subscription, acme)

    rows = held(acme, name)
    assert {row.parked_at for row in rows.values()} == {None}
    assert len(rows) == 6

    ledger.fails.clear()
    retry_at_once(subscription, acme)
    assert sorted(ledger.heard) == [1, 2, 3, 4, 5, 6]
    assert held(acme, name) == {}


def test_after_an_outage_one_more_failure_parks_nothing(
    acme: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    agents = [f"a-{number}" for number in range(6)]
    record(acme, *agents)
    ledger.fails["*"] = ConnectionError("the target is away")
    until_parked(subscription, acme)
    while held(acme, name)["a-0"].attempts != held_streams.ATTEMPTS // 2:
        retry_at_once(subscription, acme)
    ledger.fails = {"a-0": ConnectionError("it stumbles")}
    retry_at_once(subscription, acme)  # the others succeed

    row = held(acme, name)["a-0"]
    assert (row.parked_at, row.attempts) == (None, held_streams.ATTEMPTS // 2 + 1)


def test_an_outage_shows_in_all_logs_together_where_each_has_few_agents(
    acme: str, globex: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    ledger.fails["*"] = ConnectionError("the target is away")
    for tenant in (acme, globex):
        record(tenant, "a-1", "a-2", "a-3")
        catch_up(subscription, tenant)
    for tenant in (acme, globex):
        until_parked(subscription, tenant)

    rows = [*held(acme, name).values(), *held(globex, name).values()]
    assert [row.parked_at for row in rows] == [None] * 6


def test_where_others_succeed_each_stream_that_fails_is_parked(
    acme: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    poisoned = [f"a-{number}" for number in range(6)]
    ledger.fails |= dict.fromkeys(poisoned, RuntimeError("no"))
    record(acme, *poisoned, "well")
    catch_up(subscription, acme)
    record(acme, "well")
    until_parked(subscription, acme)

    assert all(row.parked_at for row in held(acme, name).values())
    assert ledger.heard == [7, 8]


def test_a_person_who_says_where_it_goes_on_frees_what_is_held_beyond(
    acme: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    record(acme, "a-1", each=6)
    ledger.fails[5] = RuntimeError("no")
    catch_up(subscription, acme)
    ledger.fails.clear()

    resuming.resume(name, acme, 2)
    catch_up(subscription, acme)

    assert ledger.heard == [1, 2, 3, 4, 3, 4, 5, 6]
    assert held(acme, name) == {}


def test_what_is_held_before_the_place_where_it_goes_on_stays_held(
    acme: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    parked(subscription, ledger, acme)
    resuming.resume(name, acme, 4)

    assert held(acme, name)["a-1"].parked_at is not None


def test_what_is_held_of_a_log_that_was_replaced_holds_nothing_back(
    acme: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    parked(subscription, ledger, acme)
    # The log that was put back has other events at these places.
    HeldStream.objects.filter(tenant=acme).update(seq=3, version=7)
    with pytest.raises(Refused, match="no such event any more") as refused:
        held_streams.skip(acme, name, "a-1", reason="Gone.", by=ALICE)
    assert refused.value.code == "conflict"

    ledger.fails.clear()
    resuming.resume(name, acme, 4)
    record(acme, "a-1")
    catch_up(subscription, acme)

    assert ledger.by_stream["a-1"] == [5]


@pytest.mark.parametrize("kind", ["reaction", "handler", "read model"])
@pytest.mark.parametrize("unreadable", ["data", "type", "version"])
def test_what_cannot_be_decoded_is_held_and_never_passed_over(
    acme_in_scratch: str, bus: EventBus, ledger: Ledger, name: str, kind: str, unreadable: str
) -> None:
    tenant = acme_in_scratch
    make_tables()
    if kind == "reaction":
        subscription = bus.subscribe("*", ledger.handle, name=name, start="beginning")
    elif kind == "handler":
        subscription = bus.project("*", count, name=name)
    else:
        subscription = bus.project("*", tallies(name))
    record(tenant, "a-1", "a-2", "a-3")
    spoil(tenant, 2, unreadable)
    record(tenant, "a-2", "a-3")

    assert catch_up(subscription, tenant) == 3

    row = held(tenant, name)["a-2"]
    assert row.seq == 2
    assert {"data": "DecodeError", "type": "UnknownFact", "version": "UnknownFact"}[
        unreadable
    ] in row.last_error
    assert checkpoint(tenant, name).seq == 5


def spoil(tenant: str, seq: int, what: str) -> None:
    """Store what this release cannot read, as another release might have."""
    column, value = {
        "data": ("data", "{"),
        "type": ("type", "AgentDreamtEvent"),
        "version": ("schema_version", "99.0"),
    }[what]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ALTER TABLE events_event DISABLE TRIGGER USER")
        else:
            for trigger in guard._SQLITE:
                cursor.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        cursor.execute(
            f"UPDATE events_event SET {column} = %s WHERE tenant_id = %s AND seq = %s",
            [value, tenant, seq],
        )
    guard.install()
