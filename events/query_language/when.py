"""Moments as people write them: `24h`, `today`, `2026-11-01`, `2026-11-01T09:30+01:00`."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from events.moments import parse_rfc3339

EXAMPLES = "24h, 7d, today, yesterday, 2026-11-01, 2026-11-01T09:30 or 2026-11-01T09:30:00+01:00"
FIRST_YEAR, LAST_YEAR = 1970, 9998  # without an offset, which may lead into the year beside it

_AGO = re.compile(r"([0-9]{1,5})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS_BACK = {"today": 0, "yesterday": 1}
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})(?:-([0-9]{2}))?")
_LOCAL = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
)
_OFFSET = re.compile(r"(?<=[0-9])(?:[Zz]|[+-][0-9]{2}:[0-9]{2})\Z")


@dataclass(frozen=True, slots=True)
class When:
    """A moment as it was written; which one it is depends on the clock and the zone.

    `24h` is so long ago; `today` and a date are the midnight with which they begin.
    """

    text: str

    @classmethod
    def of(cls, text: str) -> "When":
        """Raises ValueError, which says what it must be."""
        if text not in _DAYS_BACK and not _AGO.fullmatch(text):
            _read(text, UTC)
        return cls(text)

    def moment(self, now: datetime, zone: tzinfo) -> datetime:
        """The aware moment, in UTC. zone: of what was written without an offset."""
        if (ago := _AGO.fullmatch(self.text)) is not None:
            return (now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).astimezone(UTC)
        if self.text in _DAYS_BACK:
            day = now.astimezone(zone).date() - timedelta(days=_DAYS_BACK[self.text])
            return _midnight(day.year, day.month, day.day, zone)
        return _read(self.text, zone)

    @property
    def is_relative(self) -> bool:
        """Whether it moves on with the clock."""
        return self.text in _DAYS_BACK or _AGO.fullmatch(self.text) is not None


def _read(text: str, zone: tzinfo) -> datetime:
    if (date := _DATE.fullmatch(text)) is not None:
        year, month, day = date.groups()
        return _midnight(int(year), int(month), int(day or 1), zone)
    if _LOCAL.fullmatch(text):
        return _within_years(_from_iso(text).replace(tzinfo=zone)).astimezone(UTC)
    if (offset := _OFFSET.search(text)) is not None and _LOCAL.fullmatch(text[: offset.start()]):
        whole = text[: offset.start()]
        seconds = "" if whole.count(":") > 1 else ":00"
        return parse_rfc3339(f"{whole}{seconds}{offset[0]}")
    raise ValueError(f"must be a moment, such as {EXAMPLES}.")


def _midnight(year: int, month: int, day: int, zone: tzinfo) -> datetime:
    try:
        found = datetime(year, month, day, tzinfo=zone)
    except ValueError:
        raise _no_such_day() from None
    return _within_years(found).astimezone(UTC)


def _from_iso(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        raise _no_such_day() from None


def _within_years(moment: datetime) -> datetime:
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}.")
    return moment


def _no_such_day() -> ValueError:
    return ValueError("must be a moment that the calendar and the clock have.")
