"""How values read in a line that people see: one line, harmless, bounded, with units.

Pure functions, for the short line of a list and the whole sentence of a timeline alike.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from events.facts import JSON, Number

LONGEST_NAME = 64
FIRST = 5  # of many names: nobody reads more of them in a line
MINUTE, HOUR, DAY = 60, 3_600, 86_400
MANY_DAYS = 10_000
CUT = "…"

# Emoji and some scripts are spelt with these two; every other character that has no shape of its
# own might reorder or hide what stands beside it.
_JOINERS = "\u200c\u200d"
_REPLACEMENT = "\ufffd"


def one_line(text: str, most: int) -> str:
    """The text as one harmless line of at most so many characters: blanks and breaks are single
    blanks, and what controls a terminal, a page or the direction of writing shows as \ufffd."""
    shown = text[: 2 * most]
    if not shown.isprintable():
        shown = "".join(map(_harmless, " ".join(shown.split())))
    return shown if len(shown) <= most else shown[: most - 1] + CUT


def _harmless(character: str) -> str:
    return character if character.isprintable() or character in _JOINERS else _REPLACEMENT


def name(text: str) -> str:
    """An id or a name among other words."""
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + CUT


def took(milliseconds: Number) -> str:
    """`950 ms`, `1.2 s`, `3 min 20 s`, `5 h 3 min`."""
    if milliseconds < 1_000:  # noqa: PLR2004 -- of a second
        return f"{milliseconds:.3g} ms"
    seconds = milliseconds / 1_000
    if seconds < MINUTE:
        return f"{seconds:.3g} s"
    if seconds < MANY_DAYS * DAY:
        return lasted(int(seconds))
    return f"{seconds / DAY:.3g} d"


def lasted(seconds: int) -> str:
    """Whole seconds in words of two units: `3 min 20 s`."""
    if seconds < MINUTE:
        return f"{seconds} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE} min {seconds % MINUTE} s"
    if seconds < DAY:
        return f"{seconds // HOUR} h {seconds % HOUR // MINUTE} min"
    return f"{seconds // DAY} d {seconds % DAY // HOUR} h"


def at(moment: datetime, beside: datetime) -> str:
    """`12:00 UTC`, with the date where it is not that of the moment beside it."""
    try:
        moment, beside = moment.astimezone(UTC), beside.astimezone(UTC)
    except OverflowError:  # within hours of the calendar's ends
        return moment.isoformat()
    time = f"{moment:%H:%M:%S}".removesuffix(":00")
    date = "" if moment.date() == beside.date() else f"{moment.date().isoformat()} "
    return f"{date}{time} UTC"


def vitals(response_time_ms: Number, cpu_percent: Number, memory_percent: Number) -> str:
    return f"{took(response_time_ms)}, CPU {cpu_percent:.0f} %, memory {memory_percent:.0f} %"


def because(reason: str | None) -> str:
    """What follows a sentence when somebody gave a reason."""
    return f": {reason}" if reason else ""


def settings(changed: Mapping[str, JSON]) -> str:
    """Settings and their new values: the first of them."""
    told = list(changed.items())[:FIRST]
    return ", ".join(
        f"{name(key)} is now {name(msgspec.json.encode(value).decode())}" for key, value in told
    )
