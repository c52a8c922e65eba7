"""Moments as text, RFC 3339: written in UTC with six fractional digits, read with any offset."""

import re
from datetime import UTC, datetime

_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def rfc3339(moment: datetime) -> str:
    """`2026-01-02T03:04:05.000006Z`, whatever the moment's offset. The moment is aware."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(timespec="microseconds")[:26] + "Z"


def parse_rfc3339(text: str) -> datetime:
    """The aware moment, in UTC; digits beyond microseconds are cut off.

    Raises ValueError for anything else, a moment without its offset from UTC above all, and for a
    moment that lies outside the years 1 to 9999 in UTC.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("must be a moment such as 2026-01-02T03:04:05Z, with its offset from UTC.")
    date, time, fraction, offset = match.groups()
    whole = f"{date}T{time}.{(fraction or '0')[:6].ljust(6, '0')}"
    try:
        return datetime.fromisoformat(whole + ("+00:00" if offset in "Zz" else offset)).astimezone(
            UTC
        )
    except (ValueError, OverflowError):
        raise ValueError(
            "must be a moment that the calendar has, in the years 1 to 9999."
        ) from None
