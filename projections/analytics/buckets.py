"""Time in whole buckets: minutes, hours and days, in UTC.

Every range is made of whole buckets, the longest that fit: from Monday 22:58 to Thursday 01:00 are
two minutes, an hour, two days and an hour.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

Resolution = Literal["minute", "hour", "day"]

RESOLUTIONS: tuple[Resolution, ...] = ("minute", "hour", "day")
LENGTH: dict[Resolution, timedelta] = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
_LONGEST_FIRST: tuple[Resolution, ...] = ("day", "hour", "minute")


class Piece(NamedTuple):
    """The buckets of one length from `since` (inclusive) to `until` (exclusive), both on edges."""

    resolution: Resolution
    since: datetime
    until: datetime


def buckets_of(moment: datetime) -> tuple[tuple[Resolution, datetime], ...]:
    """The buckets that a moment lies in, by where they begin. The moment is in UTC."""
    return _buckets_of(moment.year, moment.month, moment.day, moment.hour, moment.minute)


# The same datetimes for all events of a minute: each hashes itself but once.
@lru_cache(maxsize=2_000)
def _buckets_of(
    year: int, month: int, day: int, hour: int, minute: int
) -> tuple[tuple[Resolution, datetime], ...]:
    return (
        ("minute", datetime(year, month, day, hour, minute, tzinfo=UTC)),
        ("hour", datetime(year, month, day, hour, tzinfo=UTC)),
        ("day", datetime(year, month, day, tzinfo=UTC)),
    )


def floor(moment: datetime, resolution: Resolution) -> datetime:
    """The last edge that is not after the moment."""
    return dict(buckets_of(moment.astimezone(UTC)))[resolution]


def ceil(moment: datetime, resolution: Resolution) -> datetime:
    """The first edge that is not before the moment. Raises OverflowError at the end of time."""
    edge = floor(moment, resolution)
    return edge if edge == moment else edge + LENGTH[resolution]


def edges(since: datetime, until: datetime, resolution: Resolution) -> Iterator[datetime]:
    """Where each bucket from `since`, which is an edge, up to `until` begins."""
    for number in range((until - since) // LENGTH[resolution]):
        yield since + number * LENGTH[resolution]


def pieces(
    since: datetime, until: datetime, resolutions: Sequence[Resolution] = _LONGEST_FIRST
) -> list[Piece]:
    """At most five pieces that together are the range, whose ends are edges of minutes."""
    if since >= until:
        return []
    longest, *shorter = resolutions
    if not shorter:
        return [Piece(longest, since, until)]
    first, last = ceil(since, longest), floor(until, longest)
    if first >= last:
        return pieces(since, until, shorter)
    return [
        *pieces(since, first, shorter),
        Piece(longest, first, last),
        *pieces(last, until, shorter),
    ]
