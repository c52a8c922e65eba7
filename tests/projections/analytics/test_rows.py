"""Rows as the framework keeps them: cheap to change within a batch, finished when it is written."""

from typing import Any

from django.db import transaction

from events.durable.rows import Rows, fold_alone
from projections.analytics.readmodel import TaskStatistics, analytics
from tests.projections.analytics.histories import MONDAY, completed, fold, recorded, stored

DAY = ("day", "tenant", MONDAY, "")
TASKS = [completed("a-one", MONDAY, ms) for ms in (5, 5, 7_000)]


def times(rows: Rows) -> Any:
    row = rows(TaskStatistics, *DAY)
    assert row is not None
    return row.execution_times


def folded(tenant: str) -> Rows:
    rows = Rows(analytics, tenant, 1)
    for task in TASKS:
        rows.fold(task)
    return rows


def test_a_row_is_finished_when_its_batch_is_written(acme: str) -> None:
    rows = folded(acme)
    assert not isinstance(times(rows), bytes)

    rows.write()

    assert stored(acme) == fold(TASKS)


def test_the_next_batch_goes_on_from_what_the_database_has(acme: str) -> None:
    rows = folded(acme)
    rows.write()
    rows.written()

    assert times(rows) == times(Rows(analytics, acme, 1))
    rows.fold(TASKS[0])
    rows.write()

    assert stored(acme) == fold([*TASKS, TASKS[0]])


def test_what_could_not_be_committed_is_written_again_as_it_was(acme: str) -> None:
    rows = folded(acme)
    with transaction.atomic():
        rows.write()
        transaction.set_rollback(True)
    assert stored(acme) == {}

    rows.write()

    assert stored(acme) == fold(TASKS)


def test_an_event_that_is_folded_alone_is_finished_too(acme: str) -> None:
    for task in TASKS:
        fact = task.with_envelope(None)
        fold_alone(analytics, recorded(fact, MONDAY, acme))

    assert stored(acme) == fold(TASKS)
