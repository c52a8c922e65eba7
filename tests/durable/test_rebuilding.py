"""A projection is made anew beside the live one: no reader sees a gap, no event counts twice."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from events.bus import EventBus, Subscription
from events.durable import rebuilding
from events.durable.catching_up import catch_up
from events.durable.rebuilding import CannotRebuild, check, rebuild
from events.durable.status import BUILD_SUFFIX, states
from events.generations import live
from events.models import SubscriptionCheckpoint
from events.readmodels import Known
from tests.durable.sample import checkpoint, held, record, retry_at_once, take
from tests.durable.tables import CountRow, Tally, TallyRow, count, counted, tallies, tally

pytestmark = pytest.mark.usefixtures("tables")

Rows = dict[str, tuple[int, int]]


class Interrupted(Exception):
    """What ends a rebuild in the middle."""


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "PAGE", 2)


@pytest.fixture
def followed(acme: str, bus: EventBus, name: str) -> Subscription:
    """A read model that has read ten events of two agents."""
    subscription = bus.project("Agent*", tallies(name))
    record(acme, "a-1", "a-2", each=5)
    catch_up(subscription, acme)
    return subscription


def seen(tenant: str, name: str) -> Rows:
    """What a reader sees."""
    rows = live(TallyRow, name, tenant).values_list("agent_id", "events", "last_seq")
    return {agent_id: (events, last) for agent_id, events, last in rows}


def generations(tenant: str) -> set[int]:
    return set(TallyRow.objects.filter(tenant=tenant).values_list("generation", flat=True))


def spoil(tenant: str) -> None:
    TallyRow.objects.filter(tenant=tenant, agent_id="a-1").update(events=99)
    TallyRow.objects.filter(tenant=tenant, agent_id="a-2").delete()


def test_wrong_and_lost_rows_come_back_as_the_log_tells(acme: str, followed: Subscription) -> None:
    before = seen(acme, followed.name)
    spoil(acme)

    rebuilt = rebuild(followed, acme)

    assert seen(acme, followed.name) == before == {"a-1": (5, 5), "a-2": (5, 10)}
    assert (rebuilt.events, rebuilt.rows, rebuilt.held) == (10, 2, 0)
    assert generations(acme) == {2}
    assert checkpoint(acme, followed.name).seq == 10
    assert not SubscriptionCheckpoint.objects.filter(
        tenant=acme, subscription=followed.name + BUILD_SUFFIX
    ).exists()


@pytest.mark.usefixtures("small_pages")
def test_a_reader_sees_all_rows_at_every_moment_of_a_rebuild(
    acme: str, followed: Subscription
) -> None:
    before = seen(acme, followed.name)
    looks = []

    rebuild(followed, acme, lambda _: looks.append(seen(acme, followed.name)))

    assert len(looks) == 5
    assert all(look == before for look in looks)
    assert seen(acme, followed.name) == before


@pytest.mark.usefixtures("small_pages")
def test_the_live_one_goes_on_meanwhile_and_nothing_is_lost_or_counted_twice(
    acme: str, followed: Subscription
) -> None:
    def meanwhile(_: int) -> None:
        if len(steps) < 4:
            record(acme, "a-1", f"new-{len(steps)}")
            catch_up(followed, acme)
            assert seen(acme, followed.name)["a-1"][0] == 6 + len(steps)
        steps.append(1)

    steps: list[int] = []
    rebuild(followed, acme, meanwhile)
    record(acme, "a-2")
    catch_up(followed, acme)

    rows = seen(acme, followed.name)
    assert {agent_id: events for agent_id, (events, _) in rows.items()} == {
        "a-1": 9,
        "a-2": 6,
        **{f"new-{number}": 1 for number in range(4)},
    }
    assert check(followed, acme)[1] == []


def test_check_names_each_difference_and_changes_nothing(acme: str, followed: Subscription) -> None:
    spoil(acme)
    TallyRow.objects.create(tenant_id=acme, agent_id="nobody", events=1, last_seq=1)
    before = seen(acme, followed.name)

    compared, found = check(followed, acme)

    said = sorted(map(str, found))
    assert [line.partition("a-1: ")[2] for line in said if "a-1" in line] == [
        "events is 99 instead of 5."
    ]
    assert [line for line in said if line.endswith("a-2 has no row.")]
    assert [
        line for line in said if line.endswith("nobody has a row that the log does not tell of.")
    ]
    assert len(found) == 3
    assert (compared.events, compared.rows) == (10, 2)
    assert seen(acme, followed.name) == before
    assert generations(acme) == {1}


def test_check_compares_as_far_as_the_live_one_has_read(acme: str, followed: Subscription) -> None:
    record(acme, "a-1")

    compared, found = check(followed, acme)

    assert (compared.events, found) == (10, [])
    assert catch_up(followed, acme) == 1


@pytest.mark.usefixtures("small_pages")
def test_of_two_that_rebuild_at_once_one_is_refused(acme: str, followed: Subscription) -> None:
    refusals = []

    def meanwhile(_: int) -> None:
        with pytest.raises(CannotRebuild, match="is being rebuilt by another process") as refused:
            rebuild(followed, acme)
        refusals.append(refused)

    rebuild(followed, acme, meanwhile)

    assert len(refusals) == 5
    assert seen(acme, followed.name) == {"a-1": (5, 5), "a-2": (5, 10)}


@pytest.mark.usefixtures("small_pages")
def test_one_that_ends_in_the_middle_leaves_the_live_rows_and_the_next_begins_anew(
    acme: str, followed: Subscription
) -> None:
    before = seen(acme, followed.name)

    def end(_: int) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        rebuild(followed, acme, end)
    assert seen(acme, followed.name) == before
    assert generations(acme) == {1, 2}
    record(acme, "a-1")
    assert catch_up(followed, acme) == 1

    rebuild(followed, acme)

    assert seen(acme, followed.name) == {"a-1": (6, 11), "a-2": (5, 10)}
    assert generations(acme) == {2}


def test_one_that_was_killed_keeps_others_waiting_for_its_lease_alone(
    acme: str, followed: Subscription
) -> None:
    SubscriptionCheckpoint.objects.create(
        tenant_id=acme,
        subscription=followed.name + BUILD_SUFFIX,
        seq=0,
        hash=b"",
        updated_at=Now(),
        holder="dead",
        leased_until=Now() + timedelta(seconds=60),
    )
    with pytest.raises(CannotRebuild):
        rebuild(followed, acme)
    assert [state.name for state in states(acme) if state.name.endswith(BUILD_SUFFIX)] == []

    SubscriptionCheckpoint.objects.filter(tenant=acme, holder="dead").update(leased_until=Now())

    assert rebuild(followed, acme).rows == 2


def test_a_worker_that_was_reading_when_its_lease_ended_writes_nothing_into_the_new_rows(
    acme: str, followed: Subscription
) -> None:
    record(acme, "a-1")
    paused = take(followed, acme)
    assert paused is not None
    SubscriptionCheckpoint.objects.filter(tenant=acme).update(leased_until=Now())

    rebuild(followed, acme)
    paused.run(5)

    assert paused.handled == 0
    assert seen(acme, followed.name) == {"a-1": (6, 11), "a-2": (5, 10)}
    assert generations(acme) == {2}


def test_a_stream_that_cannot_be_folded_is_held_and_the_others_are_made(
    acme: str, bus: EventBus, name: str
) -> None:
    broken = True

    def fails(event: Any, known: Known) -> Iterator[Tally]:
        if broken and event.envelope.seq == 3:
            raise RuntimeError("no")
        yield from tally(event, known)

    subscription = bus.project("Agent*", tallies(name, fails))
    record(acme, "a-1", "a-2", each=5)

    rebuilt = rebuild(subscription, acme)

    assert rebuilt.held == 1
    assert seen(acme, name) == {"a-1": (2, 2), "a-2": (5, 10)}
    assert held(acme, name)["a-1"].seq == 3
    assert held(acme, name)["a-1"].last_error == "RuntimeError: no"
    broken = False
    retry_at_once(subscription, acme)
    assert seen(acme, name) == {"a-1": (5, 5), "a-2": (5, 10)}


def test_what_was_held_before_is_forgotten_when_all_could_be_made(
    acme: str, bus: EventBus, name: str
) -> None:
    broken = True

    def fails(event: Any, known: Known) -> Iterator[Tally]:
        if broken and event.agent_id == "a-1":
            raise RuntimeError("no")
        yield from tally(event, known)

    subscription = bus.project("Agent*", tallies(name, fails))
    record(acme, "a-1", "a-2", each=2)
    catch_up(subscription, acme)
    assert held(acme, name)
    broken = False

    rebuild(subscription, acme)

    assert held(acme, name) == {}
    assert seen(acme, name) == {"a-1": (2, 2), "a-2": (2, 4)}


def test_one_that_is_stopped_is_not_rebuilt_over_a_persons_head(
    acme: str, followed: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "PATIENCE_SECONDS", 0.1)
    SubscriptionCheckpoint.objects.filter(tenant=acme).update(stopped_reason="by hand")

    with pytest.raises(CannotRebuild, match="is stopped, or read by a worker"):
        rebuild(followed, acme)

    assert generations(acme) == {1}
    assert seen(acme, followed.name) == {"a-1": (5, 5), "a-2": (5, 10)}


def test_another_tenants_rows_are_nobodys_business(
    acme: str, globex: str, followed: Subscription
) -> None:
    record(globex, "a-1")
    catch_up(followed, globex)

    rebuild(followed, acme)

    assert (generations(acme), generations(globex)) == ({2}, {1})
    assert seen(globex, followed.name) == {"a-1": (1, 1)}


class TestHandlersThatWriteTheirRows:
    @pytest.fixture
    def counting(self, acme: str, bus: EventBus, name: str) -> Subscription:
        subscription = bus.project("Agent*", count, name=name, models=[CountRow])
        record(acme, "a-1", "a-2", each=3)
        catch_up(subscription, acme)
        return subscription

    def test_their_rows_are_made_anew_and_go_on_from_there(
        self, acme: str, counting: Subscription
    ) -> None:
        before = counted(acme)
        CountRow.objects.filter(tenant=acme, agent_id="a-1").update(events=99)
        CountRow.objects.filter(tenant=acme, agent_id="a-2").delete()

        assert rebuild(counting, acme).rows == 2

        assert counted(acme) == before
        record(acme, "a-1")
        assert catch_up(counting, acme) == 1
        assert counted(acme)["a-1"][0] == 4

    def test_check_finds_what_differs_and_changes_nothing(
        self, acme: str, counting: Subscription
    ) -> None:
        assert check(counting, acme)[1] == []
        CountRow.objects.filter(tenant=acme, agent_id="a-1").update(events=99)
        before = counted(acme)

        _, found = check(counting, acme)

        assert len(found) == 2  # one that should not be, and one that should
        assert counted(acme) == before

    def test_an_event_that_fails_ends_it_and_nothing_is_changed(
        self, acme: str, bus: EventBus, name: str
    ) -> None:
        broken = False

        def fails(event: Any) -> None:
            if broken and event.envelope.seq == 5:
                raise RuntimeError("no")
            count(event)

        subscription = bus.project("Agent*", fails, name=name, models=[CountRow])
        record(acme, "a-1", "a-2", each=3)
        catch_up(subscription, acme)
        before, broken = counted(acme), True

        with pytest.raises(CannotRebuild, match=r"fails at seq 5 of .* \(RuntimeError: no\)"):
            rebuild(subscription, acme)

        assert counted(acme) == before
        assert checkpoint(acme, name).leased_until is None

    def test_one_that_does_not_name_its_rows_is_refused(
        self, acme: str, bus: EventBus, name: str
    ) -> None:
        subscription = bus.project("Agent*", count, name=name)

        with pytest.raises(CannotRebuild, match="Name its models="):
            rebuild(subscription, acme)
