"""The moment that a page is asked to show: now, or as the log stood then.

`?at=` is a moment, up to and including which events count, `?seq=` a place in the log.
"""

from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError
from django.http import QueryDict

from events.facts import utc_now
from events.log import read
from events.log.places import seq_at
from events.models import Event
from events.pages.fields import MomentField
from events.pages.parameters import MAX_DIGITS, MAX_TEXT


class NoSuchMoment(ValueError):
    """The page cannot be shown as of what was asked for. `parameter` is what to mend."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(detail)
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Then:
    """A place in the log's past. moment: when its last event was recorded, or what was asked for;
    None before the first event."""

    seq: int
    moment: datetime | None


def then_of(query: QueryDict, tenant: str) -> Then | None:
    """What the address asks for; None for now. Raises NoSuchMoment."""
    at, seq = (query.get(name, "").strip()[:MAX_TEXT] for name in ("at", "seq"))
    if at and seq:
        raise NoSuchMoment("at", "Give a moment or a seq, not both.")
    if seq:
        return _at_seq(tenant, seq)
    return _at_moment(tenant, at) if at else None


def _at_seq(tenant: str, text: str) -> Then:
    head = read.head(tenant)
    last = head.seq if head else 0
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise NoSuchMoment("seq", f"A seq is a whole number, 0 to {last:,}.")
    seq = int(text)
    if seq > last:
        raise NoSuchMoment("seq", f"The log ends at seq {last:,}; {seq:,} has not happened yet.")
    recorded = Event.objects.filter(tenant=tenant, seq=seq).values_list("recorded_at", flat=True)
    return Then(seq, recorded.first())


def _at_moment(tenant: str, text: str) -> Then:
    try:
        moment = MomentField(label="").clean(text)
    except ValidationError:
        moment = None
    if moment is None:
        raise NoSuchMoment(
            "at", "That is no moment. Write it like 2026-01-31 14:05:00 or 2026-01-31T14:05:00Z."
        )
    if moment > utc_now():
        raise NoSuchMoment("at", "That moment lies in the future, which nobody has recorded yet.")
    return Then(seq_at(tenant, moment), moment)
