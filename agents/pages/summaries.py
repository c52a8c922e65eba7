"""An agent's events as a person reads them: newest first, what one command did as one entry, and
heartbeats that nothing came of folded together.

A page looks at no more than EXAMINED events, however long the history is, and reads what they say
of few of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from agents.current import STREAM
from events.models import Event
from events.pages import wording
from events.vocabulary import (
    AgentHealthCheckFailedEvent,
    AgentHealthCheckPassedEvent,
    AgentStatusChangedEvent,
    AgentTaskCompletedEvent,
    AgentTaskFailedEvent,
    AgentTerminatedEvent,
)

# Each lies in a block of its own where the log is long (`events.timeline`), but one page of folded
# heartbeats has to come further than one of events.
EXAMINED = 500
SIZE = 25  # entries
MOST_TOGETHER = 20  # events of one entry, apart from heartbeats
MOST_TOLD = 60  # events of a page whose data is read; one may have 64 KiB
_TONES = {
    AgentHealthCheckPassedEvent.wire_type(): "quiet",
    AgentTaskCompletedEvent.wire_type(): "good",
    AgentTaskFailedEvent.wire_type(): "bad",
    AgentHealthCheckFailedEvent.wire_type(): "bad",
    AgentTerminatedEvent.wire_type(): "bad",
}
HEARTBEAT = AgentHealthCheckPassedEvent.wire_type()
STATUS_CHANGED = AgentStatusChangedEvent.wire_type()


class _Outline(NamedTuple):
    version: int
    type: str
    correlation_id: str | None
    recorded_at: datetime


@dataclass(frozen=True)
class Entry:
    """Consecutive events that belong together, oldest first. Of a run of heartbeats only the newest
    is in `events`; number: how many there are."""

    events: Sequence[Event]
    number: int
    first_version: int
    last_version: int
    first_recorded_at: datetime

    @property
    def is_run(self) -> bool:
        """Whether heartbeats are folded into it."""
        return self.number > len(self.events)

    @cached_property
    def headline(self) -> Event:
        """The event that says best what happened: a change of status only follows from it."""
        told = [event for event in self.events if event.type != STATUS_CHANGED]
        return told[-1] if told else self.events[-1]

    @property
    def others(self) -> list[Event]:
        return [event for event in self.events if event is not self.headline]

    @property
    def newest(self) -> Event:
        return self.events[-1]

    @cached_property
    def sentence(self) -> str:
        return wording.sentence(self.headline) or self.headline.type

    @property
    def tone(self) -> str:
        """How it looks: quiet, plain, good or bad. The sentence says the same in words."""
        return "quiet" if self.is_run else _TONES.get(self.headline.type, "plain")

    @property
    def after(self) -> int:
        """The `before` of a page that begins with this entry."""
        return self.last_version + 1

    @property
    def reason(self) -> str:
        """Why, where the sentence does not say it."""
        reason = self.headline.reason or ""
        return "" if reason in self.sentence else reason


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, newest first. next: the `before` that goes on; None where the history begins."""

    entries: list[Entry]
    next: int | None


def page(
    tenant: str,
    agent_id: str,
    *,
    before: int | None = None,
    size: int = SIZE,
    folding: bool = True,
) -> Page:
    """What happened to the agent below version `before`. folding: whether heartbeats are folded."""
    stream = Event.objects.filter(tenant=tenant, stream_type=STREAM, stream_id=agent_id)
    below = stream if before is None else stream.filter(version__lt=before)
    columns = ("version", "type", "correlation_id", "recorded_at")
    rows = below.order_by("-version").values_list(*columns)[:EXAMINED]
    outline = [_Outline(*row) for row in rows]
    groups = list(_groups(outline, folding=folding))
    shown = _first(groups, size, complete=not outline or outline[-1].version == 1)
    wanted = [each.version for group in shown for each in _told(group, folding=folding)]
    events = {event.version: event for event in stream.filter(version__in=wanted)}
    entries = [_entry(group, events, folding=folding) for group in shown]
    last = entries[-1].first_version if entries else 1
    return Page(entries, last if last > 1 else None)


def _groups(outline: Sequence[_Outline], *, folding: bool) -> Iterator[list[_Outline]]:
    """What belongs together, newest first within and among them."""
    run: list[_Outline] = []
    for group in _correlated(outline):
        if folding and _are_heartbeats(group):
            run += group
            continue
        if run:
            yield run
            run = []
        yield group
    if run:
        yield run


def _correlated(outline: Sequence[_Outline]) -> Iterator[list[_Outline]]:
    group: list[_Outline] = []
    for each in outline:
        if group and not (_belong(each, group[-1]) and len(group) < MOST_TOGETHER):
            yield group
            group = []
        group.append(each)
    if group:
        yield group


def _belong(older: _Outline, newer: _Outline) -> bool:
    """Whether they are of one chain of causes, or at least of one append."""
    if older.recorded_at == newer.recorded_at:
        return True
    return older.correlation_id == newer.correlation_id is not None


def _first(
    groups: Sequence[list[_Outline]], size: int, *, complete: bool
) -> Sequence[list[_Outline]]:
    """So many of them as a page holds. complete: whether the last one is all there."""
    if not complete and len(groups) > 1 and not _are_heartbeats(groups[-1]):
        groups = groups[:-1]  # the next page begins with it
    shown: list[list[_Outline]] = []
    told = 0
    for group in groups[:size]:
        told += len(group) if not _are_heartbeats(group) else 1
        if shown and told > MOST_TOLD:
            break
        shown.append(group)
    return shown


def _are_heartbeats(group: Sequence[_Outline]) -> bool:
    return all(each.type == HEARTBEAT for each in group)


def _told(group: list[_Outline], *, folding: bool) -> list[_Outline]:
    return group[:1] if folding and _are_heartbeats(group) else group


def _entry(group: list[_Outline], events: dict[int, Event], *, folding: bool) -> Entry:
    told = _told(group, folding=folding)
    return Entry(
        events=[events[each.version] for each in reversed(told)],
        number=len(group),
        first_version=group[-1].version,
        last_version=group[0].version,
        first_recorded_at=group[-1].recorded_at,
    )
