"""A lease is held by one worker at a time, and whoever has lost it can write nothing any more."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
from django.db import connection, transaction
from django.utils import timezone

from events.bus import EventBus, Subscription
from events.durable import lease, resuming, waiting
from events.durable.catching_up import catch_up, holder
from events.durable.lease import Lease, LeaseLost
from events.durable.turn import Turn
from events.log.cursor import Position
from events.models import SubscriptionCheckpoint
from tests.durable.sample import Ledger, checkpoint, due, record, take, take_over


@pytest.fixture
def subscription(bus: EventBus, ledger: Ledger, name: str) -> Subscription:
    return bus.subscribe("Agent*", ledger.handle, name=name, start="beginning")


def taken(subscription: Subscription, tenant: str, seconds: float = 10) -> Lease:
    found = due(subscription, tenant)
    assert found is not None
    lease_ = lease.take(found.seen, "one", seconds)
    assert lease_ is not None
    return lease_


def test_of_two_who_saw_it_free_one_gets_it(acme: str, subscription: Subscription) -> None:
    record(acme, "a-1")
    seen = due(subscription, acme)
    assert seen is not None

    first = Turn.take(subscription, seen, "one")
    second = Turn.take(subscription, seen, "two")

    assert first is not None
    assert second is None
    assert checkpoint(acme, subscription.name).holder == "one"


def test_what_is_held_is_not_due_for_others_until_the_lease_is_over_or_released(
    acme: str, subscription: Subscription
) -> None:
    record(acme, "a-1")
    held = taken(subscription, acme, seconds=0.2)
    assert due(subscription, acme) is None
    time.sleep(0.25)
    assert due(subscription, acme) is not None

    held = taken(subscription, acme)
    held.release()
    assert due(subscription, acme) is not None


def test_a_lease_lasts_as_long_as_the_databases_clock_says(
    acme: str, subscription: Subscription
) -> None:
    record(acme, "a-1")
    wrong = timezone.now() + timedelta(days=400)
    with mock.patch("django.utils.timezone.now", return_value=wrong):
        taken(subscription, acme, seconds=10)
        assert due(subscription, acme) is None

    until = checkpoint(acme, subscription.name).leased_until
    assert until is not None
    assert 8 < (until - datetime.now(UTC)).total_seconds() < 11


@pytest.mark.parametrize("microseconds", [0, 1_000, 250_000, 999_000, 999_999])
def test_a_lease_that_ends_at_a_whole_number_of_anything_ends_then(
    acme: str, subscription: Subscription, microseconds: int
) -> None:
    # SQLite compares times as text, and writes them with none, three or six digits of a second.
    record(acme, "a-1")
    assert due(subscription, acme) is not None
    rows = SubscriptionCheckpoint.objects.filter(tenant=acme, subscription=subscription.name)
    now = timezone.now().replace(microsecond=microseconds)

    rows.update(leased_until=now - timedelta(seconds=1))
    assert due(subscription, acme) is not None
    rows.update(leased_until=now + timedelta(seconds=3))
    assert due(subscription, acme) is None


@pytest.mark.parametrize("write", ["advance", "confirm", "succeed", "switch"])
def test_whoever_has_lost_it_can_write_nothing(
    acme: str, subscription: Subscription, write: str
) -> None:
    record(acme, "a-1")
    lost = taken(subscription, acme)
    take_over(acme, subscription.name)
    before = checkpoint(acme, subscription.name)

    writes: dict[str, Callable[[], object]] = {
        "advance": lambda: lost.advance(Position(1, b"x"), handled=True),
        "confirm": lost.confirm,
        "succeed": lost.succeed,
        "switch": lambda: lost.switch(Position(1, b"x"), 2),
    }
    with pytest.raises(LeaseLost, match="taken over"):
        writes[write]()
    lost.release()
    lost.fail("no", 5)
    lost.note("no")
    lost.stop("no")

    after = checkpoint(acme, subscription.name)
    assert vars(after) | {"_state": None} == vars(before) | {"_state": None}


def test_a_checkpoint_that_a_person_has_moved_is_not_moved_by_who_read_before(
    acme: str, subscription: Subscription
) -> None:
    record(acme, "a-1", each=3)
    lost = taken(subscription, acme)
    resuming.resume(subscription.name, acme, 2)

    with pytest.raises(LeaseLost):
        lost.advance(Position(1, b"x"), handled=True)
    assert checkpoint(acme, subscription.name).seq == 2


def test_a_lease_that_is_over_but_nobody_elses_is_still_good(
    acme: str, subscription: Subscription, ledger: Ledger
) -> None:
    record(acme, "a-1", each=2)
    turn = take(subscription, acme)
    assert turn is not None
    SubscriptionCheckpoint.objects.filter(tenant=acme).update(
        leased_until=timezone.now() - timedelta(seconds=60)
    )

    turn.run(5)

    assert (ledger.heard, checkpoint(acme, subscription.name).seq) == ([1, 2], 2)


def test_a_worker_that_was_paused_between_two_events_ends_at_the_next_write(
    acme: str, bus: EventBus, ledger: Ledger, name: str, subscription: Subscription
) -> None:
    other = Ledger()

    def paused(event: object) -> None:
        ledger.handle(event)
        if len(ledger.heard) == 2:
            take_over(acme, name)
            SubscriptionCheckpoint.objects.filter(tenant=acme).update(leased_until=None)
            bus.unsubscribe(name)
            other_subscription = bus.subscribe("Agent*", other.handle, name=name)
            catch_up(other_subscription, acme)

    bus.unsubscribe(name)
    slow = bus.subscribe("Agent*", paused, name=name, start="beginning")
    record(acme, "a-1", each=3)

    catch_up(slow, acme)

    assert other.heard == [1, 2, 3]
    row = checkpoint(acme, name)
    assert (row.seq, row.holder, row.leased_until) == (3, holder(), None)


def test_a_lease_is_kept_while_somebody_works_under_it(
    acme: str, subscription: Subscription
) -> None:
    record(acme, "a-1")
    found = due(subscription, acme)
    assert found is not None
    turn = Turn.take(subscription, found, holder(), lease_seconds=0.3)
    assert turn is not None

    lease.keep(holder(), 30)

    until = checkpoint(acme, subscription.name).leased_until
    assert until is not None
    assert (until - timezone.now()).total_seconds() > 20
    turn.run(1)
    assert checkpoint(acme, subscription.name).leased_until is None


def test_a_lease_that_was_left_behind_is_not_kept_and_ends(
    acme: str, bus: EventBus, name: str
) -> None:
    # As when the database went away in the middle: nothing could be released.
    subscription = bus.subscribe("Agent*", print, name=name, start="beginning")
    record(acme, "a-1")
    found = due(subscription, acme)
    assert found is not None
    turn = Turn.take(subscription, found, holder(), lease_seconds=0.3)
    assert turn is not None
    with (
        mock.patch("events.durable.turn.held.streams", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        turn.run(5)

    lease.keep(holder(), 30)
    time.sleep(0.35)

    assert due(subscription, acme) is not None


def test_keeping_brings_back_no_lease_that_is_over_or_anothers(
    acme: str, subscription: Subscription
) -> None:
    record(acme, "a-1")
    found = due(subscription, acme)
    assert found is not None
    mine = lease.take(found.seen, holder(), 10)
    assert mine is not None
    rows = SubscriptionCheckpoint.objects.filter(tenant=acme, subscription=subscription.name)

    rows.update(leased_until=timezone.now() - timedelta(seconds=1))
    lease.keep(holder(), 30)
    assert due(subscription, acme) is not None

    theirs = take_over(acme, subscription.name)
    lease.keep(holder(), 3_000)
    until = checkpoint(acme, subscription.name).leased_until
    assert until is not None
    assert (until - timezone.now()).total_seconds() < 100
    theirs.release()
    mine.release()


def test_a_write_that_is_rolled_back_leaves_the_lease_where_it_was(
    acme: str, subscription: Subscription
) -> None:
    record(acme, "a-1")
    held = taken(subscription, acme)
    with transaction.atomic():
        held.advance(Position(1, b"x" * 32), handled=True)
        transaction.set_rollback(True)

    held.confirm()  # at the old place still
    assert not connection.in_atomic_block
    assert checkpoint(acme, subscription.name).seq == 0
    held.release()


def test_a_waiting_failure_is_not_due_before_its_time(
    acme: str, subscription: Subscription
) -> None:
    record(acme, "a-1")
    held = taken(subscription, acme)
    held.fail("RuntimeError: ours", 30)

    assert due(subscription, acme) is None
    row = checkpoint(acme, subscription.name)
    assert (row.failures, row.last_error, row.leased_until) == (1, "RuntimeError: ours", None)
    SubscriptionCheckpoint.objects.filter(pk=row.pk, tenant=acme).update(retry_at=None)
    catch_up(subscription, acme)
    row = checkpoint(acme, subscription.name)
    assert (row.failures, row.last_error) == (0, None)
    assert waiting.due(subscription, [acme]) == []
