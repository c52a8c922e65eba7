"""The completion rate of the last minutes, which a threshold watches."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from projections.analytics.queries import BadRange, completion_rate
from tests.projections.analytics.histories import MONDAY, completed, failed, fold, store

NOW = MONDAY + timedelta(days=2, hours=3, minutes=7, seconds=20)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


@pytest.fixture
def busy(acme: str) -> str:
    store(
        acme,
        fold(
            [
                completed("a-one", ago(0.1)),
                failed("a-one", ago(4)),
                completed("a-two", ago(5)),
                completed("a-two", ago(90)),
                failed("a-three", ago(90)),
                failed("a-three", ago(2000)),
            ]
        ),
    )
    return acme


@pytest.mark.parametrize(
    ("minutes", "ended"),
    [(1, (1, 0)), (4, (1, 1)), (5, (2, 1)), (89, (2, 1)), (91, (3, 2)), (3 * 1440, (3, 3))],
)
def test_the_rate_is_of_the_tasks_that_ended_in_the_last_minutes(
    busy: str, minutes: int, ended: tuple[int, int]
) -> None:
    found = completion_rate(busy, minutes, now=NOW)

    assert (found.completed, found.failed) == ended
    assert found.rate == ended[0] / sum(ended)
    assert found.since == ago(minutes).replace(second=0)


def test_when_nothing_ended_there_is_no_rate(busy: str, globex: str) -> None:
    later = NOW + timedelta(hours=5)

    assert completion_rate(busy, 10, now=later).rate is None
    assert completion_rate(globex, 10, now=NOW).rate is None


def test_now_is_now_unless_it_is_said(busy: str) -> None:
    assert completion_rate(busy, 10).completed == 0


@pytest.mark.parametrize("minutes", [0, -1, 366 * 24 * 60 + 1])
def test_minutes_that_make_no_range_are_refused(acme: str, minutes: Any) -> None:
    with pytest.raises(BadRange, match="minutes must be 1 to 527040"):
        completion_rate(acme, minutes)
