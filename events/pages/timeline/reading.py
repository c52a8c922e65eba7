"""A part of the timeline: the newest events, those before a place, or those after one.

However it is read, it is shown newest first, and says which places of the log were looked at.
"""

from dataclasses import dataclass
from datetime import datetime

from events import timeline
from events.log import read
from events.models import Event
from events.timeline_query import Asked

PAGE = 50


@dataclass(frozen=True, slots=True)
class Part:
    """rows: newest first. head: the log's end then.

    older: the `before` with which to go on downwards; newer: the `after` with which to go on
    upwards; None where there is nothing more. top, bottom: the places between which was looked;
    bottom is None when it is the beginning of all that the query asks for.
    """

    rows: list[Event]
    head: int
    older: int | None
    newer: int | None
    top: int
    bottom: int | None


def newest(tenant: str, asked: Asked, before: int | None, size: int = PAGE) -> Part:
    """The events below seq `before`, or up to the log's end."""
    head = _head(tenant)
    page = timeline.page(tenant, asked.wanted, head=head, after=before, limit=size, descending=True)
    top = head if before is None else min(head, before - 1)
    newer = None if before is None or before > head else before - 1
    return Part(page.rows, head, page.next, newer, top, page.next)


def following(tenant: str, asked: Asked, after: int, size: int = PAGE) -> Part:
    """The events next above seq `after`. `newer` is how far was looked, None at the log's end."""
    head = _head(tenant)
    page = timeline.page(tenant, asked.wanted, head=head, after=after, limit=size)
    top = head if page.next is None else page.next
    older = min(after, head) + 1 if after else None
    return Part(page.rows[::-1], head, older, page.next, top, after + 1)


def moment_of(tenant: str, seq: int) -> datetime | None:
    """When the event at this place was recorded."""
    return (
        Event.objects.filter(tenant=tenant, seq=seq).values_list("recorded_at", flat=True).first()
    )


def _head(tenant: str) -> int:
    head = read.head(tenant)
    return head.seq if head else 0
