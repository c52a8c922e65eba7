"""What is looked for in a log: as conditions on a row's columns, and as a look into the row.

What the database can tell by the columns it tells, and means the same on both engines: names are
compared as they are written. Texts and hours are looked for in the rows that it lets through; only
texts ignore case, by Unicode's rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, tzinfo
from typing import Any

from django.db.models import Q

from events.cloudevents import AGENT_STREAM
from events.patterns import Pattern

WORK_BEGINS, WORK_ENDS = time(7), time(19)
SATURDAY = 5  # of datetime.weekday()
# Where a text may be found, and the moment whose hour counts.
SEARCHED = ("type", "stream_id", "actor", "reason", "data")
TIMED = ("recorded_at",)


@dataclass(frozen=True, slots=True)
class OffHours:
    """Before 7, from 19 o'clock on, and all of Saturday and Sunday, by the clock of the zone.

    is_off: whether a moment is to be one of these, or one of the others.
    """

    zone: tzinfo
    is_off: bool = True

    def fits(self, moment: datetime) -> bool:
        local = moment.astimezone(self.zone)
        off = local.weekday() >= SATURDAY or not WORK_BEGINS <= local.time() < WORK_ENDS
        return off is self.is_off


@dataclass(frozen=True, slots=True, kw_only=True)
class Without:
    """What an event must not be; None leaves nothing out."""

    types: Pattern | None = None
    agent: Pattern | None = None
    actor: Pattern | None = None
    correlation: Pattern | None = None
    causation: Pattern | None = None
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to look for. Each of texts is found in one of SEARCHED, in any case.

    since is inclusive, until exclusive; both compare recorded_at. from_seq and to_seq are both
    inclusive.
    """

    types: Pattern | None = None
    agent: Pattern | None = None
    actor: Pattern | None = None
    correlation: Pattern | None = None
    causation: Pattern | None = None
    texts: tuple[str, ...] = ()
    without: Without = field(default_factory=Without)
    since: datetime | None = None
    until: datetime | None = None
    from_seq: int | None = None
    to_seq: int | None = None
    hours: OffHours | None = None

    def condition(self) -> Q:
        """All that the columns tell but time and place."""
        found = Q()
        for column, pattern, unwanted in (
            ("type", self.types, self.without.types),
            ("actor", self.actor, self.without.actor),
            ("correlation_id", self.correlation, self.without.correlation),
            ("causation_id", self.causation, self.without.causation),
        ):
            if pattern is not None:
                found &= _is(pattern, column)
            if unwanted is not None:
                found &= _is_not(unwanted, column)
        if self.agent is not None:
            found &= _is_agent(self.agent)
        if self.without.agent is not None:
            found &= ~_is_agent(self.without.agent)
        return found

    def look(self) -> "Look | None":
        """What has to be looked for in the rows themselves; None when there is nothing."""
        texts = tuple(text.casefold() for text in self.texts)
        unwanted = tuple(text.casefold() for text in self.without.texts)
        if not texts and not unwanted and self.hours is None:
            return None
        return Look(texts, unwanted, self.hours)


@dataclass(frozen=True, slots=True)
class Look:
    """A look into rows. texts, unwanted: in folded case."""

    texts: tuple[str, ...]
    unwanted: tuple[str, ...]
    hours: OffHours | None

    @property
    def columns(self) -> tuple[str, ...]:
        """What has to be read of a row; its data, which may be long, only for a text."""
        return (*TIMED, *SEARCHED) if self.texts or self.unwanted else TIMED

    def fits(self, values: Sequence[Any]) -> bool:
        """values: of `columns`."""
        moment, *parts = values
        if self.hours is not None and not self.hours.fits(moment):
            return False
        folded = [part.casefold() for part in parts if part]
        return all(_holds(folded, text) for text in self.texts) and not any(
            _holds(folded, text) for text in self.unwanted
        )


def _holds(parts: Sequence[str], text: str) -> bool:
    return any(text in part for part in parts)


NULLABLE = frozenset({"correlation_id", "causation_id"})


def _is(pattern: Pattern, column: str) -> Q:
    found = pattern.condition(column)
    # What an event has not got does not begin with anything, not even with nothing.
    return found & Q(**{f"{column}__isnull": False}) if column in NULLABLE else found


def _is_not(pattern: Pattern, column: str) -> Q:
    absent = Q(**{f"{column}__isnull": True})
    if "" in pattern.beginnings:  # nothing that there is
        return absent
    return absent | ~pattern.condition(column) if column in NULLABLE else ~pattern.condition(column)


def _is_agent(pattern: Pattern) -> Q:
    return Q(stream_type=AGENT_STREAM) & pattern.condition("stream_id")
