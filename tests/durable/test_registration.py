"""Where a subscription begins: at every head, at the first event, or where an import ended."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection

from events import tenants
from events.bus import EventBus, event_bus
from events.durable import registration
from events.durable.catching_up import catch_up
from events.log.append import append
from events.models import Event, KnownSubscription, SubscriptionCheckpoint
from events.transfer.importing import log_imported
from events.vocabulary import AgentCreatedEvent, Capability
from tests.durable.sample import Ledger, checkpoint, record
from tests.durable.tables import make_tables, tallied, tallies
from tests.log.sample import heartbeats, proposed, stored


def test_who_starts_now_hears_nothing_of_before(
    acme: str, bus: EventBus, ledger: Ledger, name: str
) -> None:
    record(acme, "a-1", each=3)
    subscription = bus.subscribe("Agent*", ledger.handle, name=name)

    assert catch_up(subscription, acme) == 0
    record(acme, "a-1")
    catch_up(subscription, acme)

    assert ledger.heard == [4]


def test_now_is_when_it_is_first_met_and_a_second_meeting_moves_nothing(
    acme: str, bus: EventBus, ledger: Ledger, name: str
) -> None:
    subscription = bus.subscribe("Agent*", ledger.handle, name=name)
    registration.meet([subscription])
    record(acme, "a-1", each=2)
    registration.meet([subscription])
    KnownSubscription.objects.filter(name=name).delete()  # the first died before it was done
    registration.meet([subscription])

    catch_up(subscription, acme)

    assert ledger.heard == [1, 2]


def test_a_log_that_is_made_after_the_meeting_is_heard_from_its_first_event(
    committed_db: None,
    fresh_slug: Callable[[str], str],
    bus: EventBus,
    ledger: Ledger,
    name: str,
) -> None:
    subscription = bus.subscribe("Agent*", ledger.handle, name=name)
    registration.meet([subscription])
    later = tenants.create_tenant(fresh_slug("later")).slug
    record(later, "a-1", each=2)

    catch_up(subscription, later)

    assert ledger.heard == [1, 2]


def test_who_starts_at_the_beginning_hears_all_whenever_it_is_met(
    acme: str, bus: EventBus, ledger: Ledger, name: str
) -> None:
    record(acme, "a-1", each=2)
    subscription = bus.subscribe("Agent*", ledger.handle, name=name, start="beginning")
    registration.meet([subscription])
    record(acme, "a-1")

    catch_up(subscription, acme)

    assert ledger.heard == [1, 2, 3]


def test_workers_that_meet_it_at_once_agree(
    acme: str, bus: EventBus, ledger: Ledger, name: str
) -> None:
    record(acme, "a-1", each=2)
    subscription = bus.subscribe("Agent*", ledger.handle, name=name)
    together = threading.Barrier(4)
    failures: list[BaseException] = []

    def meet() -> None:
        try:
            together.wait()
            registration.meet([subscription])
        except BaseException as error:  # noqa: BLE001 -- told below
            failures.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=meet) for _ in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()

    assert failures == []
    assert checkpoint(acme, name).seq == 2
    assert KnownSubscription.objects.filter(name=name).count() == 1


def test_what_begins_at_the_head_keeps_the_place_it_has_already(
    acme: str, bus: EventBus, ledger: Ledger, name: str
) -> None:
    subscription = bus.subscribe("Agent*", ledger.handle, name=name, start="beginning")
    record(acme, "a-1", each=2)
    registration.begin_at_head(acme, [subscription])
    record(acme, "a-1", each=2)
    registration.begin_at_head(acme, [subscription])

    assert catch_up(subscription, acme) == 2
    assert ledger.heard == [3, 4]


@pytest.mark.parametrize("start", ["now", "beginning"])
def test_of_an_imported_log_a_reaction_hears_what_comes_after_it_and_a_projection_all(
    acme: str, ledger: Ledger, name: str, start: str
) -> None:
    make_tables()
    created = AgentCreatedEvent("a-1", tenant_id=acme, capabilities=(Capability("nlp", 3),))
    append(acme, proposed(created, *heartbeats(2)))
    reaction = event_bus.subscribe("Agent*", ledger.handle, name=name, start=start)  # type: ignore[arg-type]
    projection = event_bus.project("Agent*", tallies(f"{name} rows"))
    try:
        log_imported.send(sender=Event, tenant=acme, seq=3, hash=stored(acme)[2]["hash"])
        record(acme, "a-1")
        catch_up(reaction, acme)
        catch_up(projection, acme)
    finally:
        event_bus.unsubscribe(reaction.name)
        event_bus.unsubscribe(projection.name)

    assert ledger.heard == [4]
    assert tallied(acme) == {"a-1": (4, 4)}
    assert checkpoint(acme, name).seq == 4


def test_a_tenant_that_is_not_there_has_nothing_to_read(
    committed_db: None, bus: EventBus, ledger: Ledger, name: str
) -> None:
    subscription = bus.subscribe("Agent*", ledger.handle, name=name, start="beginning")

    assert catch_up(subscription, "no-such-tenant") == 0
    there = SubscriptionCheckpoint.objects.filter(tenant="no-such-tenant")
    assert not there.exists()


def test_a_subscription_that_comes_back_goes_on_where_it_was(
    acme: str, bus: EventBus, ledger: Ledger, name: str
) -> None:
    subscription = bus.subscribe("Agent*", ledger.handle, name=name, start="beginning")
    record(acme, "a-1")
    catch_up(subscription, acme)
    bus.unsubscribe(name)
    record(acme, "a-1")

    catch_up(bus.subscribe("Agent*", ledger.handle, name=name), acme)

    assert ledger.heard == [1, 2]
