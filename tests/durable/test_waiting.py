"""Where something is due, and how far everybody is: in events, in seconds, and in words."""

import time
from collections.abc import Iterator

import pytest

from events.bus import EventBus, Subscription, event_bus
from events.durable import status, waiting
from events.durable.catching_up import catch_up
from events.durable.status import BUILD_SUFFIX, State
from events.models import SubscriptionCheckpoint
from tests.durable.sample import Ledger, due, held, make_due, record, take, until_parked
from tests.durable.tables import make_tables, tallies


@pytest.fixture
def subscription(ledger: Ledger, name: str) -> Iterator[Subscription]:
    """On the bus of the house, which is what the state is told of."""
    yield event_bus.subscribe("Agent*", ledger.handle, name=name, start="beginning")
    event_bus.unsubscribe(name)


def state(tenant: str, name: str) -> State:
    (found,) = [each for each in status.states(tenant) if each.name == name]
    return found


def test_a_log_is_due_while_it_has_events_that_were_not_read(
    acme: str, globex: str, subscription: Subscription
) -> None:
    record(acme, "a-1", each=3)
    both = waiting.due(subscription, [acme, globex])
    assert [(each.seen.tenant, each.head, each.lag) for each in both] == [(acme, 3, 3)]

    catch_up(subscription, acme)
    assert waiting.due(subscription, [acme, globex]) == []
    record(globex, "a-1")
    (found,) = waiting.due(subscription, [acme, globex])
    assert (found.seen.tenant, found.lag) == (globex, 1)


def test_asked_of_all_it_finds_what_it_finds_asked_of_one(
    acme: str, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(acme, "a-1")
    monkeypatch.setattr(waiting, "TENANTS_ASKED", 0)

    assert acme in {each.seen.tenant for each in waiting.due(subscription, [acme])}


def test_a_held_stream_is_due_when_its_wait_is_over(
    acme: str, subscription: Subscription, ledger: Ledger
) -> None:
    ledger.fails["a-1"] = RuntimeError("no")
    record(acme, "a-1")
    catch_up(subscription, acme)
    assert due(subscription, acme) is None

    make_due(acme, subscription.name)
    found = due(subscription, acme)
    assert found is not None
    assert found.lag == 0


def test_the_lag_is_in_events_and_in_seconds_since_the_first_that_waits(
    acme: str, subscription: Subscription, name: str
) -> None:
    record(acme, "a-1")
    before_anybody_met_it = state(acme, name)
    catch_up(subscription, acme)
    up_to_date = state(acme, name)
    record(acme, "a-1")
    time.sleep(0.3)
    record(acme, "a-1")
    behind = state(acme, name)

    assert (before_anybody_met_it.checkpoint, before_anybody_met_it.lag_events) == (0, 1)
    assert before_anybody_met_it.lag_seconds > 0
    assert (up_to_date.lag_events, up_to_date.lag_seconds) == (0, 0.0)
    assert (behind.checkpoint, behind.head, behind.lag_events) == (1, 3, 2)
    assert 0.3 <= behind.lag_seconds < 20


def test_what_is_tried_again_and_what_is_parked_are_told_apart(
    acme: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    ledger.fails["a-1"] = RuntimeError("no")
    record(acme, "a-1", "a-2")
    catch_up(subscription, acme)

    trying = state(acme, name)
    assert ([each.stream_id for each in trying.retrying], list(trying.parked)) == (["a-1"], [])
    assert trying.retrying[0].retry_at is not None
    until_parked(subscription, acme)

    parked = state(acme, name)
    (only,) = parked.parked
    assert list(parked.retrying) == []
    assert (only.stream_id, only.seq, only.attempts, only.retry_at) == ("a-1", 1, 6, None)
    assert only.last_error == "RuntimeError: no"
    assert only.parked_at is not None
    assert (parked.last_error, parked.lag_events) == ("RuntimeError: no", 0)
    assert parked.last_error_at is not None


def test_a_subscription_that_is_gone_from_the_code_is_still_shown(
    acme: str, bus: EventBus, ledger: Ledger, name: str
) -> None:
    subscription = bus.subscribe("Agent*", ledger.handle, name=name, start="beginning")
    record(acme, "a-1")
    catch_up(subscription, acme)
    record(acme, "a-1")

    gone = state(acme, name)

    assert (gone.is_here, gone.lag_events) == (False, 1)


def test_who_starts_now_and_was_never_met_is_not_behind(acme: str, name: str) -> None:
    event_bus.subscribe("Agent*", print, name=name)
    try:
        assert [each for each in status.states(acme) if each.name == name] == []
    finally:
        event_bus.unsubscribe(name)


def test_a_projection_is_called_one_and_its_building_is_not_shown(acme: str, name: str) -> None:
    make_tables()
    subscription = event_bus.project("Agent*", tallies(name))
    try:
        record(acme, "a-1")
        catch_up(subscription, acme)
        row = SubscriptionCheckpoint.objects.get(tenant=acme, subscription=name)
        row.pk, row.subscription = None, name + BUILD_SUFFIX
        row.save(force_insert=True)

        assert state(acme, name).is_projection
        assert [each for each in status.states(acme) if each.name.endswith(BUILD_SUFFIX)] == []
    finally:
        event_bus.unsubscribe(name)


def test_mallory_sees_nothing_of_acme_and_nobody_sees_a_tenant_that_is_not_there(
    acme: str, globex: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    ledger.fails["a-1"] = RuntimeError("acme's secret")
    record(acme, "a-1", "a-2", each=2)
    catch_up(subscription, acme)
    catch_up(subscription, globex)

    hers = state(globex, name)
    assert (hers.checkpoint, hers.head, hers.last_error) == (0, 0, None)
    assert [*hers.retrying, *hers.parked] == []
    assert list(status.states("no-such-tenant")) == []


def test_who_reads_now_leaves_nothing_for_others(
    acme: str, subscription: Subscription, name: str
) -> None:
    record(acme, "a-1")
    turn = take(subscription, acme)
    assert turn is not None

    assert catch_up(subscription, acme) == 0
    turn.run(5)
    assert (turn.handled, held(acme, name)) == (1, {})
