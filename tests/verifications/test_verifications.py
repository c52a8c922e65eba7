"""A verification that somebody asked for goes on a little at a time, and finds what verify_log
finds."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from events import checkpoints, duties, tenants
from events.idempotency import Answer, Receipt
from events.log import read
from events.log import verify as verifying
from events.models import Verification
from events.verifications import asking, sweep, turn
from events.verifications.turn import TakenOver, Turn
from tests.jobs.conftest import acme, live_a_little, make_agent, shell, tampering
from tests.jobs.test_verify_log import chain_again, change

__all__ = ["acme"]

Status = Verification.Status


def ask(tenant: str, by: str = "user:carol") -> Verification:
    return asking.ask(tenant, by=by, receipt=Receipt(lambda _: Answer(202, {})))


def again(asked: Verification) -> Verification:
    return Verification.objects.get(tenant=asked.tenant_id, pk=asked.pk)


def never() -> bool:
    return False


def always() -> bool:
    return True


def head_of(tenant: str) -> read.Head:
    head = read.head(tenant)
    assert head is not None
    return head


@pytest.fixture
def lived(acme: str) -> str:
    live_a_little(acme)
    return acme


@pytest.fixture
def batches_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[tuple[int, int]]]:
    """`batches_of(3)`: batches have so many events now; the list tells of each from where to
    where it went."""

    def put(size: int) -> list[tuple[int, int]]:
        monkeypatch.setattr(turn, "BATCH", size)
        walk, went = verifying.walk, []

        def watched(tenant: str, start: verifying.Place, last: int, *others: Any) -> Any:
            went.append((start.seq, last))
            return walk(tenant, start, last, *others)

        monkeypatch.setattr(verifying, "walk", watched)
        return went

    return put


def test_nobody_works_on_it_until_a_worker_does(lived: str) -> None:
    asked = ask(lived)

    assert (asked.status, asked.seq, asked.head) == (Status.QUEUED, 0, head_of(lived).seq)
    assert duties.sweeps["verifications"].run is sweep.go_on


def test_a_whole_log_passes_up_to_its_end(lived: str) -> None:
    asked = ask(lived)
    assert Turn(asked, never).run()

    done, head = again(asked), head_of(lived)
    assert (done.status, done.seq, done.head) == (Status.PASSED, head.seq, head.seq)
    assert bytes(done.place_hash or b"") == head.hash
    assert done.started_at is not None
    assert done.finished_at is not None
    assert done.checkpoints == 0
    assert not Turn(done, never).run()


def test_a_log_without_events_passes(acme: str) -> None:
    asked = ask(acme)
    Turn(asked, never).run()
    assert (again(asked).status, again(asked).seq) == (Status.PASSED, 0)


def test_checkpoints_that_are_kept_here_are_held_against_it(lived: str) -> None:
    for agent_id in ("more", "most"):
        checkpoints.take(lived)
        make_agent(lived, agent_id)
    asked = ask(lived)
    Turn(asked, never).run()
    done = again(asked)
    assert (done.checkpoints, done.newest_checkpoint) == (2, done.seq - 1)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_each_turn_goes_on_where_the_last_one_came_to(
    lived: str, size: int, batches_of: Callable[[int], list[tuple[int, int]]]
) -> None:
    went, asked, came_to = batches_of(size), ask(lived), []
    end = head_of(lived).seq
    for _ in range(end + 1):
        assert Turn(again(asked), always).run()
        came_to.append(again(asked).seq)
        if again(asked).status == Status.PASSED:
            break

    assert came_to == [*range(size, end, size), end]
    assert went == [(start, min(start + size, end)) for start in range(0, end, size)]


def test_what_is_appended_meanwhile_is_verified_too(
    lived: str, batches_of: Callable[[int], list[tuple[int, int]]]
) -> None:
    batches_of(4)
    asked = ask(lived)
    for number in range(5):
        assert Turn(again(asked), always).run()
        make_agent(lived, f"late-{number}")
    assert again(asked).status == Status.RUNNING
    Turn(again(asked), never).run()
    assert (again(asked).status, again(asked).seq) == (Status.PASSED, head_of(lived).seq)


def test_a_log_that_was_replaced_meanwhile_is_verified_from_its_beginning(
    lived: str, batches_of: Callable[[int], list[tuple[int, int]]]
) -> None:
    went, asked = batches_of(5), ask(lived)
    Turn(asked, always).run()
    mine = Verification.objects.filter(tenant=lived, pk=asked.pk)
    for changed in ({"place_hash": b"\1" * 32}, {"seq": 10_000}):
        mine.update(**changed)
        Turn(again(asked), always).run()
    assert went == [(0, 5)] * 3


@pytest.mark.usefixtures("in_scratch_database")
class TestDamage:
    @pytest.mark.parametrize("size", [4, 5_000])
    def test_the_first_bad_seq_is_told_and_why(
        self, lived: str, size: int, batches_of: Callable[[int], list[tuple[int, int]]]
    ) -> None:
        batches_of(size)
        with tampering() as cursor:
            for seq in (9, 12):
                change(cursor, lived, seq, "actor = 'user:mallory'")
            asked = ask(lived)
            for _ in range(3):
                Turn(again(asked), always).run()
            found = again(asked)
        assert (found.status, found.bad_seq, found.bad_last) == (Status.FAILED, 9, None)
        assert "hash does not follow" in (found.why or "")
        assert found.finished_at is not None

    def test_a_log_that_was_chained_again_is_told_by_its_checkpoint(self, lived: str) -> None:
        checkpoints.take(lived)
        with tampering() as cursor:
            change(cursor, lived, 3, "actor = 'user:mallory'")
            chain_again(cursor, lived)
            asked = ask(lived)
            Turn(asked, never).run()
            found = again(asked)
        assert (found.status, found.bad_seq, found.bad_last) == (
            Status.FAILED,
            1,
            head_of(lived).seq,
        )
        assert "has another hash" in (found.why or "")

    def test_a_head_that_was_set_back_is_told(self, lived: str) -> None:
        with tampering() as cursor:
            cursor.execute(
                "UPDATE events_tenanthead SET seq = seq - 1 WHERE tenant_id = %s", [lived]
            )
            asked = ask(lived)
            Turn(asked, never).run()
            found = again(asked)
        assert (found.status, found.bad_seq) == (Status.FAILED, head_of(lived).seq)


class TestManyWorkers:
    def test_one_at_a_time_works_on_it(self, lived: str) -> None:
        seen = ask(lived)
        refused: list[bool] = []

        def meanwhile() -> bool:
            refused.append(not Turn(again(seen), never).run())
            return False

        turn_of_one = Turn(seen, meanwhile)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(turn, "BATCH", 10)
            turn_of_one.run()
        assert refused
        assert all(refused)
        assert not Turn(seen, never).run()  # as it was seen before
        assert again(seen).status == Status.PASSED

    def test_whose_lease_ran_out_writes_nothing_any_more(
        self, lived: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = ask(lived)
        monkeypatch.setattr(turn, "BATCH", 5)

        def paused_for_long() -> bool:
            Verification.objects.filter(tenant=lived, pk=asked.pk).update(
                leased_until=timezone.now() - timedelta(seconds=1)
            )
            Turn(again(asked), never).run()
            return True

        with pytest.raises(TakenOver):
            Turn(asked, paused_for_long).run()
        assert again(asked).status == Status.PASSED

    def test_what_a_killed_one_left_is_taken_up_when_its_lease_ends(self, lived: str) -> None:
        asked = ask(lived)
        killed = Turn(asked, never)
        assert killed._take()
        assert not Turn(again(asked), never).run()
        Verification.objects.filter(tenant=lived, pk=asked.pk).update(leased_until=timezone.now())
        assert Turn(again(asked), never).run()
        assert again(asked).status == Status.PASSED


class TestAsking:
    def test_while_one_is_open_it_is_the_answer(self, lived: str) -> None:
        first = ask(lived, by="user:carol")
        assert ask(lived, by="user:alice").pk == first.pk
        Turn(first, never).run()
        assert ask(lived).pk != first.pk

    def test_of_many_at_once_one_is_made(self, lived: str) -> None:
        together, found = threading.Barrier(4), []

        def asks() -> None:
            try:
                together.wait(10)
                found.append(ask(lived).pk)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=asks) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(20)
        assert len(found) == 4
        assert len(set(found)) == 1

    def test_tenants_do_not_wait_for_each_other(
        self, lived: str, fresh_slug: Callable[[str], str]
    ) -> None:
        other = tenants.create_tenant(fresh_slug("globex")).slug
        assert ask(lived).pk != ask(other).pk


def test_the_worker_does_it(quiet_env: dict[str, str], fresh_slug: Callable[[str], str]) -> None:
    whole = tenants.create_tenant(fresh_slug("acme")).slug
    live_a_little(whole)
    asked = ask(whole)
    connection.close()

    ran = shell(quiet_env, "worker", "--once")

    assert ran.returncode == 0, ran.stderr
    assert again(asked).status == Status.PASSED


def test_trouble_with_one_log_stops_no_other(
    lived: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = ask(lived)

    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(turn, "judge", breaks)
    assert sweep._turn(Turn(asked, never)) is False
    assert "cannot go on now" in caplog.text
    assert again(asked).status == Status.RUNNING
