"""A rebuild that somebody asked for: the worker does it, says how far it is, and ends honestly."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import connection, connections
from django.db.models.functions import Now
from django.utils import timezone

from events import duties, tenants
from events.bus import Subscription, event_bus
from events.durable import rebuilding
from events.durable.catching_up import catch_up, holder
from events.durable.rebuilding import CannotRebuild
from events.durable.status import BUILD_SUFFIX
from events.generations import live
from events.log.cursor import LogDamaged
from events.models import Rebuild, SubscriptionCheckpoint
from events.rebuilds import asking, sweep, turn
from events.rebuilds.turn import TakenOver, Turn
from events.tenants import Refused
from tests.durable.sample import record
from tests.durable.tables import CountRow, TallyRow, count, counted
from tests.jobs.conftest import shell

Status = Rebuild.Status


def ask(tenant: str, name: str) -> Rebuild:
    return asking.ask(tenant, name, by="user:alice", reason="Rows look wrong.")


def again(asked: Rebuild) -> Rebuild:
    return Rebuild.objects.get(tenant=asked.tenant_id, pk=asked.pk)


def never() -> bool:
    return False


def always() -> bool:
    return True


def spoil(tenant: str) -> None:
    TallyRow.objects.filter(tenant=tenant, agent_id="a-1").update(events=99)


def seen(tenant: str, name: str) -> dict[str, int]:
    return dict(live(TallyRow, name, tenant).values_list("agent_id", "events"))


@pytest.fixture
def told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "TOLD_EVERY_SECONDS", 0.0)


def test_nothing_happens_until_a_worker_does_it(acme: str, followed: Subscription) -> None:
    asked = ask(acme, followed.name)

    assert (asked.status, asked.seq, asked.head) == (Status.QUEUED, 0, 10)
    assert (asked.requested_by, asked.reason) == ("user:alice", "Rows look wrong.")
    assert duties.sweeps["rebuilds"].run is sweep.go_on


def test_rows_come_back_as_the_log_tells_and_what_came_of_it_is_kept(
    acme: str, followed: Subscription
) -> None:
    spoil(acme)
    asked = ask(acme, followed.name)

    assert Turn(asked, never).run()

    made = again(asked)
    assert seen(acme, followed.name) == {"a-1": 5, "a-2": 5}
    assert (made.status, made.seq, made.head, made.rows, made.held) == (Status.DONE, 10, 10, 2, 0)
    assert made.started_at is not None
    assert made.finished_at is not None
    assert not Turn(made, never).run()


@pytest.mark.usefixtures("small_pages")
def test_no_lease_outlives_a_killed_worker_for_longer_than_the_rebuilds_own(
    acme: str, followed: Subscription
) -> None:
    left: list[datetime] = []

    def look() -> bool:
        mine = SubscriptionCheckpoint.objects.filter(tenant=acme, holder=holder())
        left.extend(row.leased_until for row in mine if row.leased_until is not None)
        return False

    asked = ask(acme, followed.name)
    Turn(asked, look).run()

    assert left
    assert max(left) <= timezone.now() + timedelta(seconds=turn.LEASE_SECONDS)


@pytest.mark.usefixtures("small_pages", "told_at_once")
def test_it_says_how_far_it_is_while_the_old_rows_are_served(
    acme: str, followed: Subscription
) -> None:
    spoil(acme)
    asked, looks = ask(acme, followed.name), []

    def look() -> bool:
        row = again(asked)
        looks.append((row.status, row.seq, row.head, seen(acme, followed.name)["a-1"]))
        return False

    Turn(asked, look).run()

    # Asked before each word, so that the first look sees nothing of it yet.
    assert looks == [(Status.RUNNING, seq, 10, 99) for seq in (0, 2, 4, 6, 8)]
    assert seen(acme, followed.name)["a-1"] == 5


def test_a_second_request_is_refused_while_one_is_open(acme: str, followed: Subscription) -> None:
    asked = ask(acme, followed.name)

    with pytest.raises(Refused, match="is being rebuilt already") as refused:
        ask(acme, followed.name)
    assert refused.value.code == "conflict"
    Turn(asked, never).run()

    assert ask(acme, followed.name).pk != asked.pk


def test_of_many_that_ask_at_once_one_is_heard(acme: str, followed: Subscription) -> None:
    together, made, refused = threading.Barrier(4), [], []

    def asks() -> None:
        try:
            together.wait(10)
            made.append(ask(acme, followed.name).pk)
        except Refused as error:
            refused.append(error.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=asks) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert (len(made), refused) == (1, ["conflict"] * 3)


@pytest.mark.parametrize("reason", ["", "  ", "a\nb", "x" * 1_001, "a\u202eb"])
def test_a_reason_is_one_line_that_says_something(
    acme: str, followed: Subscription, reason: str
) -> None:
    with pytest.raises(Refused, match="A reason has"):
        asking.ask(acme, followed.name, by="user:alice", reason=reason)
    assert not Rebuild.objects.filter(tenant=acme).exists()


@pytest.mark.parametrize("name", ["alerts", "no such", "a\0b"])
def test_what_keeps_no_rows_cannot_be_rebuilt(acme: str, name: str) -> None:
    with pytest.raises(Refused, match="no rows that could be made anew") as refused:
        ask(acme, name)
    assert refused.value.code == "not_found"


def test_what_is_stopped_is_not_rebuilt_over_a_persons_head(
    acme: str, followed: Subscription
) -> None:
    SubscriptionCheckpoint.objects.filter(tenant=acme, subscription=followed.name).update(
        stopped_reason="The log has become shorter."
    )
    with pytest.raises(Refused, match="is stopped"):
        ask(acme, followed.name)


def test_a_worker_that_ends_leaves_it_to_the_next_at_once(
    acme: str, followed: Subscription
) -> None:
    asked = ask(acme, followed.name)

    assert not Turn(asked, always).run()

    left = again(asked)
    assert (left.status, left.seq, left.tries, left.leased_until) == (Status.QUEUED, 0, 0, None)
    assert Turn(left, never).run()
    assert again(asked).status == Status.DONE


class TestKilled:
    """A worker that was killed has written nothing more, and its lease runs out."""

    def kill(self, asked: Rebuild) -> Rebuild:
        assert Turn(again(asked), never)._take()
        Rebuild.objects.filter(tenant=asked.tenant_id, pk=asked.pk).update(seq=6)
        assert not Turn(again(asked), never).run()  # nobody else's, as long as its lease lasts
        Rebuild.objects.filter(tenant=asked.tenant_id, pk=asked.pk).update(leased_until=Now())
        return again(asked)

    def test_the_next_takes_it_up_and_begins_anew(self, acme: str, followed: Subscription) -> None:
        spoil(acme)
        left = self.kill(ask(acme, followed.name))

        assert Turn(left, never).run()
        assert (again(left).status, again(left).tries) == (Status.DONE, 2)
        assert seen(acme, followed.name) == {"a-1": 5, "a-2": 5}

    def test_what_has_ended_so_many_workers_is_given_up(
        self, acme: str, followed: Subscription
    ) -> None:
        asked = ask(acme, followed.name)
        for _ in range(turn.TRIES):
            self.kill(asked)

        assert Turn(again(asked), never).run()
        assert again(asked).status == Status.FAILED
        assert "3 times a worker began" in (again(asked).why or "")
        assert ask(acme, followed.name).pk != asked.pk

    @pytest.mark.usefixtures("small_pages", "told_at_once")
    def test_one_that_wakes_up_after_its_lease_writes_nothing_any_more(
        self, acme: str, followed: Subscription
    ) -> None:
        asked = ask(acme, followed.name)

        def paused_for_long() -> bool:
            Rebuild.objects.filter(tenant=acme, pk=asked.pk).update(
                leased_until=timezone.now() - timedelta(seconds=1)
            )
            assert Turn(again(asked), never)._take()
            return False

        with pytest.raises(TakenOver):
            Turn(asked, paused_for_long).run()
        assert (again(asked).status, again(asked).epoch) == (Status.RUNNING, 2)


def test_it_waits_for_a_rebuild_that_somebody_began_on_the_server(
    acme: str, followed: Subscription
) -> None:
    mine = {"tenant_id": acme, "subscription": followed.name + BUILD_SUFFIX}
    building = SubscriptionCheckpoint.objects.create(
        **mine, seq=0, hash=b"", updated_at=Now(), leased_until=Now() + timedelta(seconds=60)
    )
    asked = ask(acme, followed.name)

    assert not Turn(asked, never).run()
    assert (again(asked).status, again(asked).why) == (Status.QUEUED, turn.WAITS)
    assert again(asked).tries == 0
    building.delete()

    assert Turn(again(asked), never).run()
    assert (again(asked).status, again(asked).why) == (Status.DONE, None)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (CannotRebuild("Its rows are nobody's."), "Its rows are nobody's."),
        (LogDamaged("An event is missing."), "An event is missing."),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
    ],
)
def test_what_ends_it_is_told(
    acme: str,
    followed: Subscription,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    why: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    asked = ask(acme, followed.name)
    monkeypatch.setattr(rebuilding, "rebuild", fail)

    assert Turn(asked, never).run()
    assert (again(asked).status, again(asked).why) == (Status.FAILED, why)
    assert again(asked).finished_at is not None


def test_one_that_is_in_no_release_any_more_is_told(acme: str, followed: Subscription) -> None:
    asked = ask(acme, followed.name)
    event_bus.subscriptions.pop(followed.name)

    assert Turn(asked, never).run()
    assert again(asked).why == "This release has no such projection."


def test_rows_that_a_handler_writes_are_made_anew_too(acme: str, tables: None) -> None:
    name = f"tests.{acme}"
    subscription = event_bus.project("Agent*", count, name=name, models=[CountRow])
    try:
        record(acme, "a-1", each=3)
        catch_up(subscription, acme)
        CountRow.objects.filter(tenant=acme).update(events=99)
        asked = ask(acme, name)

        assert Turn(asked, never).run()
    finally:
        event_bus.unsubscribe(name)
    assert counted(acme) == {"a-1": (3, 6)}
    assert (again(asked).status, again(asked).seq) == (Status.DONE, 3)


def test_another_tenants_rows_and_requests_are_nobodys_business(
    acme: str, followed: Subscription, fresh_slug: Callable[[str], str]
) -> None:
    globex = tenants.create_tenant(fresh_slug("globex")).slug
    record(globex, "a-1")
    catch_up(followed, globex)
    TallyRow.objects.filter(tenant=globex).update(events=77)
    theirs = ask(globex, followed.name)

    Turn(ask(acme, followed.name), never).run()

    assert seen(globex, followed.name) == {"a-1": 77}
    assert again(theirs).status == Status.QUEUED
    assert asking.open_ones(acme) == {}
    assert asking.open_ones(globex) == {followed.name: theirs}


def test_a_sweep_hears_that_its_worker_ends() -> None:
    over, heard = threading.Event(), []

    def run() -> int:
        heard.append(duties.is_ending())
        over.set()
        heard.append(duties.is_ending())
        return 0

    def sweeps() -> None:
        duties.end_when(over.is_set)
        run()

    thread = threading.Thread(target=sweeps)
    thread.start()
    thread.join(10)

    assert heard == [False, True]
    assert not duties.is_ending()


def test_a_sweep_that_its_worker_ends_takes_up_nothing_more(
    acme: str, followed: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(acme, followed.name)
    monkeypatch.setattr(duties, "is_ending", always)

    assert sweep.go_on() == 0
    assert again(asked).epoch == 0


def test_the_worker_does_it(quiet_env: dict[str, str], fresh_slug: Callable[[str], str]) -> None:
    tenant = tenants.create_tenant(fresh_slug("acme")).slug
    record(tenant, "a-1", each=3)
    asked = ask(tenant, "fleet")
    connection.close()

    ran = shell(quiet_env, "worker", "--once")

    assert ran.returncode == 0, ran.stderr
    assert (again(asked).status, again(asked).seq) == (Status.DONE, 3)
