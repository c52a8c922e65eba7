"""A subscription never goes on in a log that is not the same: it stops, says why, and stays so."""

import pytest
from django.core.management.base import CommandError
from django.db import connection

from events.bus import EventBus, Subscription
from events.durable import resuming, status
from events.durable.catching_up import catch_up
from events.log import guard
from events.models import SubscriptionCheckpoint
from tests.durable.sample import Ledger, checkpoint, due, record, take
from tests.jobs.conftest import manage
from tests.log.sample import stored


@pytest.fixture
def subscription(bus: EventBus, ledger: Ledger, name: str) -> Subscription:
    return bus.subscribe("Agent*", ledger.handle, name=name, start="beginning")


def stand_at(tenant: str, seq: int, digest: bytes = b"\xaa" * 32) -> None:
    """As after an older backup was put back, while the checkpoint was kept elsewhere."""
    SubscriptionCheckpoint.objects.filter(tenant=tenant).update(seq=seq, hash=digest)


@pytest.mark.parametrize("seq", [6, 3])
def test_ahead_of_the_head_or_in_another_log_it_stops_and_says_why_and_stays_so(
    acme: str, subscription: Subscription, ledger: Ledger, seq: int
) -> None:
    record(acme, "a-1", each=4)
    catch_up(subscription, acme)
    stand_at(acme, seq)

    assert catch_up(subscription, acme) == 0
    row = checkpoint(acme, subscription.name)
    assert row.stopped_reason is not None
    assert f"had read up to {seq}-aaaaaaaa" in row.stopped_reason
    assert f"ends at 4-{stored(acme)[3]['hash'].hex()[:8]}" in row.stopped_reason
    assert "resume_subscription" in row.stopped_reason
    assert row.stopped_at is not None
    assert row.leased_until is None

    record(acme, "a-1", each=4)
    assert catch_up(subscription, acme) == 0
    stand_at(acme, 4, stored(acme)[3]["hash"])  # even when the log is the right one again
    assert catch_up(subscription, acme) == 0
    assert ledger.heard == [1, 2, 3, 4]


def test_a_head_of_the_same_seq_with_another_hash_is_found_with_the_next_event(
    acme: str, subscription: Subscription, ledger: Ledger
) -> None:
    record(acme, "a-1", each=2)
    catch_up(subscription, acme)
    stand_at(acme, 2)
    record(acme, "a-1")

    assert catch_up(subscription, acme) == 0
    assert "has been replaced" in (checkpoint(acme, subscription.name).stopped_reason or "")
    assert ledger.heard == [1, 2]


def test_what_stops_in_one_log_goes_on_in_others(
    acme: str, globex: str, subscription: Subscription, ledger: Ledger
) -> None:
    record(acme, "a-1", each=2)
    record(globex, "a-1")
    catch_up(subscription, globex)
    stand_at(globex, 7)

    catch_up(subscription, globex)
    assert catch_up(subscription, acme) == 2

    assert checkpoint(globex, subscription.name).stopped_reason is not None
    assert checkpoint(acme, subscription.name).stopped_reason is None


def test_a_hole_in_the_log_stops_it_before_the_hole(
    acme_in_scratch: str, subscription: Subscription, ledger: Ledger
) -> None:
    tenant = acme_in_scratch
    record(tenant, "a-1", each=2)
    catch_up(subscription, tenant)
    record(tenant, "a-1", each=3)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ALTER TABLE events_event DISABLE TRIGGER USER")
        else:
            for trigger in guard._SQLITE:
                cursor.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        cursor.execute("DELETE FROM events_event WHERE tenant_id = %s AND seq = 4", [tenant])

    catch_up(subscription, tenant)

    reason = checkpoint(tenant, subscription.name).stopped_reason or ""
    assert "has no event 4. Run verify_log." in reason
    assert ledger.heard == [1, 2]


def test_a_person_says_where_a_stopped_subscription_goes_on(
    acme: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    record(acme, "a-1", each=4)
    catch_up(subscription, acme)
    stand_at(acme, 9)
    catch_up(subscription, acme)

    said = manage("resume_subscription", acme, name, "--after", "2")

    assert said.out == f"{name} goes on in {acme} after event 2.\n"
    row = checkpoint(acme, name)
    assert (row.stopped_reason, row.stopped_at) == (None, None)
    assert catch_up(subscription, acme) == 2
    assert ledger.heard == [1, 2, 3, 4, 3, 4]
    assert "after event 4." in manage("resume_subscription", acme, name, "--after", "head").out
    assert catch_up(subscription, acme) == 0
    manage("resume_subscription", acme, name, "--after", "0")
    assert catch_up(subscription, acme) == 4


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (("{name}", "--after", "-1"), "--after is a seq, 0 or head, not '-1'"),
        (("{name}", "--after", "end"), "--after is a seq, 0 or head, not 'end'"),
        (("{name}", "--after", "9" * 30), "--after is a seq, 0 or head"),
        (("{name}", "--after", "7"), "log has no event 7"),
        (("nobody", "--after", "0"), "has no subscription 'nobody'"),
    ],
)
def test_a_place_that_is_not_there_is_refused_in_one_line(
    acme: str, subscription: Subscription, name: str, arguments: tuple[str, ...], refusal: str
) -> None:
    catch_up(subscription, acme)
    with pytest.raises(CommandError, match=refusal):
        manage("resume_subscription", acme, *(each.format(name=name) for each in arguments))


def test_what_is_stopped_while_it_reads_moves_no_further(
    acme: str, bus: EventBus, name: str
) -> None:
    def stop(event: object) -> None:
        SubscriptionCheckpoint.objects.filter(tenant=acme).update(stopped_reason="by hand")

    subscription = bus.subscribe("Agent*", stop, name=name, start="beginning")
    record(acme, "a-1", each=2)

    assert catch_up(subscription, acme) == 0
    assert checkpoint(acme, name).seq == 0


def test_a_person_who_resumes_takes_it_from_whoever_reads(
    acme: str, subscription: Subscription, ledger: Ledger, name: str
) -> None:
    record(acme, "a-1", each=4)
    turn = take(subscription, acme)
    assert turn is not None
    resuming.resume(name, acme, 3)

    turn.run(5)

    assert checkpoint(acme, name).seq == 3
    ledger.heard.clear()
    catch_up(subscription, acme)
    assert ledger.heard == [4]


def test_where_it_stands_says_why_it_stopped(
    acme: str, globex: str, subscription: Subscription, name: str
) -> None:
    record(acme, "a-1", each=2)
    catch_up(subscription, acme)
    stand_at(acme, 7)
    catch_up(subscription, acme)

    (state,) = [each for each in status.states(acme) if each.name == name]
    assert state.stopped_reason is not None
    assert (state.checkpoint, state.head, state.lag_events) == (7, 2, 0)
    assert [each for each in status.states(globex) if each.name == name] == []
    assert due(subscription, acme) is None
