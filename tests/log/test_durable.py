"""Durable subscriptions: every event in order, and never on in a log that is not the same."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management.base import CommandError

from events import durable
from events.bus import EventBus, Start, Subscription, event_bus
from events.durable import Overtaken, SubscriptionStopped, catch_up
from events.log.append import append
from events.log.cursor import NotInTheLog
from events.models import Event, SubscriptionCheckpoint
from events.transfer.importing import log_imported
from events.vocabulary import AgentCreatedEvent, AgentTaskCompletedEvent, Capability, Usage
from tests.jobs.conftest import manage
from tests.log.sample import heartbeats, proposed, stored

NAME = "tests.ledger"


class Ledger:
    """A subscriber that writes down the seq of what it hears, and can refuse one."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.refused: int | None = None

    def handle(self, event: Any) -> None:
        if event.envelope.seq == self.refused:
            raise RuntimeError("not this one")
        self.heard.append(event.envelope.seq)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def bus() -> Iterator[EventBus]:
    made = EventBus()
    yield made
    for name in tuple(made.subscriptions):
        made.unsubscribe(name)


def subscribed(
    bus: EventBus, ledger: Ledger, types: str = "Agent*", start: Start = "beginning"
) -> Subscription:
    return bus.subscribe(types, ledger.handle, name=NAME, start=start)


def stand_at(tenant: str, seq: int, digest: bytes) -> None:
    """As after an older backup was put back, while the checkpoint was kept elsewhere."""
    SubscriptionCheckpoint.objects.filter(tenant=tenant).update(seq=seq, hash=digest)


def test_who_was_away_hears_every_event_in_order_and_none_twice(
    acme: str, bus: EventBus, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "BATCH", 3)
    subscription = subscribed(bus, ledger)
    append(acme, proposed(*heartbeats(4)))
    append(acme, proposed(*heartbeats(3), version=4))

    assert catch_up(subscription, acme) == 7
    append(acme, proposed(*heartbeats(2), version=7))

    assert catch_up(subscription, acme) == 2
    assert catch_up(subscription, acme) == 0
    assert ledger.heard == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_who_starts_now_hears_nothing_of_before(acme: str, bus: EventBus, ledger: Ledger) -> None:
    append(acme, proposed(*heartbeats(3)))
    subscription = subscribed(bus, ledger, start="now")

    assert catch_up(subscription, acme) == 0
    append(acme, proposed(*heartbeats(1), version=3))
    catch_up(subscription, acme)

    assert ledger.heard == [4]


def test_an_event_that_was_refused_comes_again_and_first(
    acme: str, bus: EventBus, ledger: Ledger
) -> None:
    subscription = subscribed(bus, ledger)
    append(acme, proposed(*heartbeats(5)))
    ledger.refused = 3

    with pytest.raises(RuntimeError, match="not this one"):
        catch_up(subscription, acme)
    ledger.refused = None
    catch_up(subscription, acme)

    assert ledger.heard == [1, 2, 3, 4, 5]


def test_what_is_not_wanted_is_passed_over(acme: str, bus: EventBus, ledger: Ledger) -> None:
    subscription = subscribed(bus, ledger, "AgentTerminatedEvent")
    append(acme, proposed(*heartbeats(3)))

    assert catch_up(subscription, acme) == 3
    assert ledger.heard == []


def test_handlers_for_two_versions_work_side_by_side(acme: str, bus: EventBus) -> None:
    old, new = list[Any](), list[Any]()
    first = bus.subscribe("AgentTask*", old.append, name="old", version="1.0", start="beginning")
    second = bus.subscribe("AgentTask*", new.append, name="new", start="beginning")
    usage = Usage(input_tokens=3, output_tokens=5)
    append(acme, proposed(AgentTaskCompletedEvent("a-1", task_id="t-1", usage=usage)))

    catch_up(first, acme)
    catch_up(second, acme)

    assert [(each.version, hasattr(each, "usage")) for each in old + new] == [
        ("1.0", False),
        ("2.0", True),
    ]


@pytest.mark.parametrize("seq", [6, 3])
def test_ahead_of_the_head_or_in_another_log_it_stops_and_says_why_and_stays_so(
    acme: str, bus: EventBus, ledger: Ledger, seq: int
) -> None:
    subscription = subscribed(bus, ledger)
    append(acme, proposed(*heartbeats(4)))
    catch_up(subscription, acme)
    stand_at(acme, seq, b"\xaa" * 32)

    with pytest.raises(SubscriptionStopped, match=rf"had read up to {seq}-aaaaaaaa.*ends at 4-"):
        catch_up(subscription, acme)
    append(acme, proposed(*heartbeats(4), version=4))
    with pytest.raises(SubscriptionStopped, match="resume_subscription"):
        catch_up(subscription, acme)
    stand_at(acme, 4, stored(acme)[3]["hash"])  # even when the log is the right one again
    with pytest.raises(SubscriptionStopped, match="resume_subscription"):
        catch_up(subscription, acme)

    assert ledger.heard == [1, 2, 3, 4]
    assert SubscriptionCheckpoint.objects.get(tenant=acme).stopped_at is not None


def test_a_person_says_where_a_stopped_subscription_goes_on(
    acme: str, bus: EventBus, ledger: Ledger
) -> None:
    subscription = subscribed(bus, ledger)
    append(acme, proposed(*heartbeats(4)))
    catch_up(subscription, acme)
    stand_at(acme, 9, b"\xaa" * 32)
    with pytest.raises(SubscriptionStopped):
        catch_up(subscription, acme)

    said = manage("resume_subscription", acme, NAME, "--after", "2")

    assert said.out == f"{NAME} goes on in {acme} after event 2.\n"
    assert catch_up(subscription, acme) == 2
    assert ledger.heard == [1, 2, 3, 4, 3, 4]
    assert "after event 4." in manage("resume_subscription", acme, NAME, "--after", "head").out
    assert catch_up(subscription, acme) == 0
    manage("resume_subscription", acme, NAME, "--after", "0")
    assert catch_up(subscription, acme) == 4


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        ((NAME, "--after", "-1"), "--after is a seq, 0 or head, not '-1'"),
        ((NAME, "--after", "end"), "--after is a seq, 0 or head, not 'end'"),
        ((NAME, "--after", "9" * 30), "--after is a seq, 0 or head"),
        ((NAME, "--after", "7"), "log has no event 7"),
        (("nobody", "--after", "0"), "has no subscription 'nobody'"),
    ],
)
def test_a_place_that_is_not_there_is_refused_in_one_line(
    acme: str, arguments: tuple[str, ...], refusal: str
) -> None:
    with pytest.raises(CommandError, match=refusal):
        manage("resume_subscription", acme, *arguments)


def test_of_two_processes_that_read_at_once_one_moves_the_checkpoint(
    acme: str, bus: EventBus, ledger: Ledger
) -> None:
    subscription = subscribed(bus, ledger)
    append(acme, proposed(*heartbeats(3)))
    catch_up(subscription, acme)
    append(acme, proposed(*heartbeats(2), version=3))

    def meanwhile(event: Any) -> None:
        event_hash = stored(acme)[4]["hash"]
        stand_at(acme, 5, event_hash)

    slow = EventBus().subscribe("Agent*", meanwhile, name=NAME)
    with pytest.raises(Overtaken):
        catch_up(slow, acme)

    assert SubscriptionCheckpoint.objects.get(tenant=acme).seq == 5
    assert catch_up(subscription, acme) == 0


def test_what_a_handler_raised_is_seen_though_it_was_overtaken_too(acme: str) -> None:
    append(acme, proposed(*heartbeats(3)))

    def fail_late(event: Any) -> None:
        if event.envelope.seq == 2:
            stand_at(acme, 3, stored(acme)[2]["hash"])
            raise RuntimeError("not this one")

    subscription = EventBus().subscribe("Agent*", fail_late, name=NAME, start="beginning")
    with pytest.raises(RuntimeError, match="not this one"):
        catch_up(subscription, acme)

    assert SubscriptionCheckpoint.objects.get(tenant=acme).seq == 3


def test_what_is_stopped_while_it_reads_moves_no_further(acme: str) -> None:
    append(acme, proposed(*heartbeats(2)))

    def stop(event: Any) -> None:
        SubscriptionCheckpoint.objects.filter(tenant=acme).update(stopped_reason="by hand")

    subscription = EventBus().subscribe("Agent*", stop, name=NAME, start="beginning")
    with pytest.raises(Overtaken):
        catch_up(subscription, acme)

    assert SubscriptionCheckpoint.objects.get(tenant=acme).seq == 0


def test_tenants_have_checkpoints_of_their_own(
    acme: str, globex: str, bus: EventBus, ledger: Ledger
) -> None:
    subscription = subscribed(bus, ledger)
    append(acme, proposed(*heartbeats(2)))
    append(globex, proposed(*heartbeats(1)))
    stand_at(globex, 7, b"\xaa" * 32)

    catch_up(subscription, acme)
    catch_up(subscription, globex)
    stand_at(globex, 7, b"\xaa" * 32)
    with pytest.raises(SubscriptionStopped):
        catch_up(subscription, globex)

    assert catch_up(subscription, acme) == 0
    assert ledger.heard == [1, 2, 1]


def test_what_begins_at_the_head_keeps_the_place_it_has_already(
    acme: str, bus: EventBus, ledger: Ledger
) -> None:
    subscription = subscribed(bus, ledger)
    append(acme, proposed(*heartbeats(2)))
    durable.begin_at_head(acme, [subscription])
    append(acme, proposed(*heartbeats(2), version=2))
    durable.begin_at_head(acme, [subscription])

    assert catch_up(subscription, acme) == 2
    assert ledger.heard == [3, 4]


def test_a_tenant_that_is_not_there_is_named(
    committed_db: None, bus: EventBus, ledger: Ledger
) -> None:
    with pytest.raises(NotInTheLog, match="no tenant"):
        catch_up(subscribed(bus, ledger, start="now"), "no-such-tenant")


def test_of_an_imported_log_a_reaction_hears_what_comes_after_it(acme: str, ledger: Ledger) -> None:
    created = AgentCreatedEvent("a-1", tenant_id=acme, capabilities=(Capability("nlp", 3),))
    append(acme, proposed(created, *heartbeats(2)))
    event_bus.subscribe("Agent*", ledger.handle, name=NAME, start="beginning")
    try:
        log_imported.send(sender=Event, tenant=acme, seq=3, hash=stored(acme)[2]["hash"])
    finally:
        event_bus.unsubscribe(NAME)
    append(acme, proposed(*heartbeats(1), version=3))
    catch_up(EventBus().subscribe("Agent*", ledger.handle, name=NAME), acme)

    assert ledger.heard == [4]
    assert SubscriptionCheckpoint.objects.get(tenant=acme).seq == 4
