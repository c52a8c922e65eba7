"""What somebody asks of the timeline: the text as it was typed, and what it means, or why nothing.

A saved view asks when nothing was typed; typed over it, it stays open, so that it can be changed.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.http import Http404, HttpRequest
from django.utils import timezone

from events import saved_views, timeline_query
from events.access import Principal
from events.models import SavedView
from events.query_language import BadQuery, Fault, Query
from events.timeline_query import Asked

MOST_TYPED = 2_000  # more than any query may have, so that a longer one is told so and not cut


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of what was typed. fault: the number, from 1, of the fault that lies there."""

    text: str
    fault: int | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """asked: None where the text means nothing; `faults` then say why. view: the one that is
    open."""

    text: str
    asked: Asked | None
    faults: tuple[Fault, ...] = ()
    view: SavedView | None = None

    @property
    def query(self) -> Query:
        return self.asked.query if self.asked else Query()

    @property
    def changes_view(self) -> bool:
        """Whether it differs from what the open view asks."""
        return self.view is not None and self.text != text_of(self.view)

    def marked(self) -> Iterator[Piece]:
        """The text in pieces, those apart in which something is wrong."""
        place = 0
        for number, fault in enumerate(self.faults, start=1):
            start, end = max(place, fault.start), max(place, fault.end)
            yield Piece(self.text[place:start])
            yield Piece(self.text[start:end], number)
            place = end
        yield Piece(self.text[place:])


def asking(request: HttpRequest, principal: Principal, now: datetime) -> Asking:
    """What the address asks. Raises Http404 for a view that the tenant has not."""
    view = _view(principal, request.GET.get("view", ""))
    typed = request.GET.get("q")
    if typed is None and view is not None:
        typed = text_of(view)
    return asking_text(principal, (typed or "").strip()[:MOST_TYPED], now, view)


def asking_text(
    principal: Principal, text: str, now: datetime, view: SavedView | None = None
) -> Asking:
    """What the text asks when it is typed now, on the clock of who sees this page."""
    try:
        query = timeline_query.parsed(text)
    except BadQuery as error:
        faults = tuple(sorted(error.faults, key=lambda fault: fault.start))
        return Asking(text.replace("\0", "\N{REPLACEMENT CHARACTER}"), None, faults, view)
    zone = timezone.get_current_timezone()
    return Asking(text, timeline_query.asked_of(principal.tenant, query, now, zone), (), view)


def text_of(view: SavedView) -> str:
    """What to type to ask what the view asks."""
    try:
        query: str = view.query.get("query") or str(timeline_query.of_parameters(view.query))
    except (BadQuery, ValueError):  # kept by a newer release
        query = str(view.query)
    return query


def _view(principal: Principal, given: str) -> SavedView | None:
    if not given:
        return None
    try:
        view_id = uuid.UUID(given)
    except ValueError:
        raise Http404 from None
    view = saved_views.of(principal.tenant).filter(pk=view_id).first()
    if view is None:
        raise Http404
    return view
