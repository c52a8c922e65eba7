"""Sweeps: one worker at a time runs each, what fails is kept, and the next run comes."""

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection
from django.utils import timezone

from events.duties import Sweep
from events.models import Duty
from events.worker import sweeping

pytestmark = pytest.mark.usefixtures("committed_db")


class Swept:
    """A sweep that counts its runs, and fails while `error` is set."""

    def __init__(self) -> None:
        self.runs = 0
        self.error: Exception | None = None

    def run(self) -> int:
        self.runs += 1
        if self.error is not None:
            raise self.error
        return 7


@pytest.fixture
def swept() -> Swept:
    return Swept()


@pytest.fixture
def sweep(swept: Swept) -> Sweep:
    return Sweep(f"tests {uuid.uuid4().hex}", 60, swept.run)


def times(number: int) -> Callable[[float], bool]:
    """A wait that is over so many times before all is over."""
    left = iter([False] * (number - 1))
    return lambda seconds: next(left, True)


def test_a_sweep_runs_at_once_and_then_not_before_its_time(sweep: Sweep, swept: Swept) -> None:
    sweeping.sweep_for_ever(sweep, times(5))

    assert swept.runs == 1
    duty = Duty.objects.get(name=sweep.name)
    assert 50 < (duty.next_at - timezone.now()).total_seconds() <= 60
    assert duty.ran_at is not None

    Duty.objects.filter(name=sweep.name).update(next_at=timezone.now() - timedelta(seconds=1))
    sweeping.sweep_for_ever(sweep, times(5))
    assert swept.runs == 2


def test_of_workers_that_come_at_once_one_runs_it(sweep: Sweep, swept: Swept) -> None:
    together = threading.Barrier(4)

    def work() -> None:
        together.wait()
        sweeping.sweep_for_ever(sweep, times(1))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()

    assert swept.runs == 1


@pytest.mark.parametrize("error", [RuntimeError("no"), IntegrityError("neither"), KeyError("x")])
def test_what_a_sweep_raises_is_kept_until_it_runs_well(
    sweep: Sweep, swept: Swept, error: Exception
) -> None:
    swept.error = error
    assert sweeping.run_one(sweep) == 0
    kept = Duty.objects.get(name=sweep.name)
    assert kept.last_error == f"{type(error).__name__}: {error}"
    assert kept.ran_at is not None

    swept.error = None
    assert sweeping.run_one(sweep) == 7
    assert Duty.objects.get(name=sweep.name).last_error is None


def test_while_the_database_is_away_a_sweep_waits_and_goes_on_after(
    sweep: Sweep, swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Any] = [OperationalError("gone"), True]

    def is_ours(each: Sweep) -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    monkeypatch.setattr(sweeping, "_is_ours", is_ours)
    sweeping.sweep_for_ever(sweep, times(2))

    assert swept.runs == 1
    assert connection.connection is None  # its thread's is closed when it ends
