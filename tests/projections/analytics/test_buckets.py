"""Ranges in whole buckets."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.analytics.buckets import LENGTH, Piece, Resolution, ceil, edges, floor, pieces

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
minutes = st.integers(0, 10 * 24 * 60).map(lambda n: MONDAY + timedelta(minutes=n))


@settings(max_examples=50, deadline=None)
@given(minutes, minutes)
def test_pieces_are_the_range_without_gap_or_overlap_in_the_longest_buckets(
    since: datetime, until: datetime
) -> None:
    found = pieces(since, until)

    at = since
    for piece in found:
        assert piece.since == at < piece.until
        assert floor(piece.since, piece.resolution) == piece.since
        assert floor(piece.until, piece.resolution) == piece.until
        at = piece.until
    assert at == max(since, until) if found else since >= until
    assert len(found) <= 5
    for resolution, most in (("minute", 118), ("hour", 46)):
        length = LENGTH[resolution]  # type: ignore[index]
        assert (
            sum((p.until - p.since) // length for p in found if p.resolution == resolution) <= most
        )


def test_a_range_from_monday_night_to_thursday_morning() -> None:
    def at(day: int, hour: int, minute: int = 0) -> datetime:
        return datetime(2026, 3, day, hour, minute, tzinfo=UTC)

    assert pieces(at(2, 22, 58), at(5, 1)) == [
        Piece("minute", at(2, 22, 58), at(2, 23)),
        Piece("hour", at(2, 23), at(3, 0)),
        Piece("day", at(3, 0), at(5, 0)),
        Piece("hour", at(5, 0), at(5, 1)),
    ]


@pytest.mark.parametrize(
    ("resolution", "first", "last"),
    [("minute", "12:34", "12:35"), ("hour", "12:00", "13:00"), ("day", "00:00", "00:00")],
)
def test_a_moment_lies_between_its_edges(resolution: Resolution, first: str, last: str) -> None:
    moment = datetime(2026, 3, 2, 12, 34, 56, 789, tzinfo=UTC)

    assert f"{floor(moment, resolution):%H:%M}" == first
    assert f"{ceil(moment, resolution):%H:%M}" == last
    assert ceil(moment, resolution) - floor(moment, resolution) == LENGTH[resolution]
    assert ceil(MONDAY, resolution) == MONDAY


def test_days_are_those_of_utc_whatever_the_offset() -> None:
    in_tokyo = datetime(2026, 3, 3, 8, 0, tzinfo=timezone(timedelta(hours=9)))

    assert floor(in_tokyo, "day") == MONDAY


def test_edges_are_where_each_bucket_begins() -> None:
    hour = timedelta(hours=1)

    assert list(edges(MONDAY, MONDAY + 3 * hour, "hour")) == [
        MONDAY,
        MONDAY + hour,
        MONDAY + 2 * hour,
    ]
    assert list(edges(MONDAY, MONDAY, "hour")) == []
