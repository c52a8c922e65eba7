"""The axis of time: where a moment stands, which moments are named, and how, in a person's zone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from django.utils import timezone

MOST_TICKS = 8
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# Each divides the day, or is whole days: ticks stand at round times of the clock on the wall.
STEPS = (
    *(number * MINUTE for number in (1, 2, 5, 10, 15, 30)),
    *(number * HOUR for number in (1, 2, 3, 6, 12)),
    *(number * DAY for number in (1, 2, 5, 10, 30, 90, 365)),
)


class Tick(NamedTuple):
    """x: 0 to 100, from the left. is_minor: may go where there is little room."""

    x: float
    label: str
    is_minor: bool


@dataclass(frozen=True)
class Times:
    """What the values of a chart are of: each of the stretch that begins at its `begins` and is so
    long; of single moments where `length` is 0.

    now: what begins before it and ends after it is not over, and is told as "so far".
    """

    since: datetime
    until: datetime
    begins: Sequence[datetime]
    length: timedelta = timedelta()
    now: datetime | None = None
    zone: tzinfo = field(default_factory=timezone.get_current_timezone)

    def share(self, moment: datetime) -> float:
        """Of the axis, 0 to 1."""
        return min(max((moment - self.since) / (self.until - self.since), 0.0), 1.0)

    def middles(self) -> list[float]:
        return [self.share(begin + self.length / 2) for begin in self.begins]

    def stretches(self) -> list[tuple[float, float]]:
        """Where each value's part of the picture begins, and how wide it is."""
        if self.length:
            return [(self.share(each), self.length / self._whole) for each in self.begins]
        middles = self.middles()
        if not middles:
            return []
        edges = [0.0, *((a + b) / 2 for a, b in pairwise(middles)), 1.0]
        return [(left, right - left) for left, right in pairwise(edges)]

    @cached_property
    def labels(self) -> list[str]:
        """`Mon 23 Nov, 14:00` for each value; a day is named without a time."""
        return [self._label(number) for number in range(len(self.begins))]

    def _label(self, number: int) -> str:
        begin = self._local(self.begins[number])
        day = f"{begin:%a} {begin.day} {begin:%b}"
        if self.length >= DAY and _is_midnight(begin):
            label = day
        elif self.length:
            label = f"{day}, {begin:%H:%M}"
        else:
            label = f"{day}, {begin:%H:%M:%S}"
        return f"{label} so far" if self.is_open(number) else label

    def is_open(self, number: int) -> bool:
        begin = self.begins[number]
        return self.now is not None and begin <= self.now < begin + self.length

    def ticks(self) -> list[Tick]:
        """A few round moments; a day that begins is named."""
        step = next((each for each in STEPS if self._whole / each <= MOST_TICKS), STEPS[-1])
        moments = self._round_moments(step)
        named = [step >= DAY or _is_midnight(self._local(each)) for each in moments]
        kept = named.index(True) % 2 if True in named else 0  # of two, that which is never left out
        return [
            Tick(
                round(100 * self.share(moment), 2),
                self._name(moment, is_day=is_day),
                number % 2 != kept,
            )
            for number, (moment, is_day) in enumerate(zip(moments, named, strict=True))
        ]

    def _name(self, moment: datetime, *, is_day: bool) -> str:
        local = self._local(moment)
        return f"{local.day} {local:%b}" if is_day else f"{local:%H:%M}"

    @property
    def _whole(self) -> timedelta:
        return self.until - self.since

    def _local(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone)

    def _round_moments(self, step: timedelta) -> list[datetime]:
        """In the zone's own clock, so that a day of 23 hours has its ticks at round hours too."""
        first = self._local(self.since)
        wall = first.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        found: list[datetime] = []
        while (moment := wall.replace(tzinfo=self.zone).astimezone(UTC)) <= self.until:
            # Two times on the wall may be one moment, on the day that clocks go forward.
            if moment >= self.since and (not found or moment > found[-1]):
                found.append(moment)
            wall += step
        return found


def _is_midnight(local: datetime) -> bool:
    return local.hour == local.minute == 0
