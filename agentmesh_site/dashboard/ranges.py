"""How far back the dashboard looks: `?range=` of its address."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import HttpRequest

from events.pages import parameters
from projections.analytics.buckets import LENGTH, Resolution, ceil


@dataclass(frozen=True, slots=True)
class Range:
    """So much time in buckets of this length, the last of which has begun."""

    name: str
    label: str
    buckets: int
    resolution: Resolution

    def until(self, now: datetime) -> datetime:
        # A bucket holds its own beginning, so on an edge the one that begins there is the last.
        return ceil(now + timedelta(microseconds=1), self.resolution)

    def since(self, now: datetime) -> datetime:
        return self.until(now) - self.buckets * LENGTH[self.resolution]


RANGES = (
    Range("1h", "Last hour", 60, "minute"),
    Range("24h", "24 hours", 24, "hour"),
    Range("7d", "7 days", 168, "hour"),
)
USUAL = RANGES[1]


def asked(request: HttpRequest) -> Range:
    """The usual one for whatever names none."""
    name = parameters.text(request, "range")
    return next((each for each in RANGES if each.name == name), USUAL)
