"""Pages of a tenant's log, filtered. However little a filter finds, a page does bounded work.

A page looks at no more than EXAMINED places of the log (or OF_ONE_AGENT of one agent's stream) and
is then returned short; `next` says how far it came.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import QuerySet

from events.cloudevents import AGENT_STREAM
from events.log.places import seq_before, version_before
from events.models import Event
from events.wanted import Look, Wanted

EXAMINED = 10_000  # places of the log, for one page
# Of a long log these are spread over it, each in a block of its own.
OF_ONE_AGENT = 250  # places of its stream, for one page that asks for fewer
WINDOW = 5_000  # places, for one query
CHUNK = 250  # rows of one query
MOST_BYTES = 8 * 1024 * 1024  # of data in one page


@dataclass(frozen=True, slots=True)
class Page:
    """rows in the order asked for. next: the last seq examined, None when there is no more."""

    rows: list[Event]
    next: int | None


@dataclass(frozen=True, slots=True)
class _Span:
    """The places low … high (both included) of the log or of a stream, by seq or by version."""

    events: QuerySet[Event]
    place: str
    low: int
    high: int
    descending: bool
    at_most: int  # places of one page

    def windows(self) -> Iterator[tuple[int, int]]:
        """(low, high) of each query, in reading order, up to `at_most` places."""
        if self.descending:
            for top in range(self.high, self.farthest - 1, -WINDOW):
                yield max(self.farthest, top - WINDOW + 1), top
        else:
            for bottom in range(self.low, self.farthest + 1, WINDOW):
                yield bottom, min(self.farthest, bottom + WINDOW - 1)

    def rows(self, at_once: int, look: Look | None) -> Iterator[Event]:
        """at_once: how many rows one query may bring."""
        for low, high in self.windows():
            yield from self._window(low, high, at_once, look)

    def _window(self, low: int, high: int, at_once: int, look: Look | None) -> Iterator[Event]:
        order = f"-{self.place}" if self.descending else self.place
        while low <= high:
            within = {f"{self.place}__gte": low, f"{self.place}__lte": high}
            asked = self.events.filter(**within).order_by(order)
            if look is None:
                chunk = list(asked[:at_once])
                yield from chunk
                places = [getattr(row, self.place) for row in chunk]
            else:
                looked_at = list(asked.values_list(self.place, *look.columns)[:at_once])
                places = [place for place, *_ in looked_at]
                fitting = [place for place, *values in looked_at if look.fits(values)]
                if fitting:
                    yield from asked.filter(**{f"{self.place}__in": fitting})
            if len(places) < at_once:
                return
            last = places[-1]
            low, high = (low, last - 1) if self.descending else (last + 1, high)

    @property
    def bound(self) -> int:
        return self.low if self.descending else self.high

    @property
    def farthest(self) -> int:
        """The last place that one page may examine."""
        if self.descending:
            return max(self.low, self.high - self.at_most + 1)
        return min(self.high, self.low + self.at_most - 1)


def page(
    tenant: str,
    wanted: Wanted,
    *,
    head: int,
    after: int | None = None,
    limit: int,
    descending: bool = False,
) -> Page:
    """The next events after seq `after`, or, descending, before it. head: the log's end."""
    span = _span(tenant, wanted, head, after, limit, descending)
    if span is None:
        return Page([], None)
    rows, size = [], 0
    look = wanted.look()
    # Nobody knows how many of the rows that the database brings stand up to a look.
    for row in span.rows(min(CHUNK, limit) if look is None else CHUNK, look):
        rows.append(row)
        size += len(row.data)
        if len(rows) == limit or size >= MOST_BYTES:
            done = getattr(row, span.place) == span.bound
            return Page(rows, None if done else row.seq)
    if span.farthest == span.bound:
        return Page(rows, None)
    return Page(rows, _seq_of(tenant, wanted, span))


def _span(
    tenant: str, wanted: Wanted, head: int, after: int | None, limit: int, descending: bool
) -> _Span | None:
    low, high, at_most = 1, head, EXAMINED
    if after is not None:
        low, high = (low, min(high, after - 1)) if descending else (after + 1, high)
    if wanted.from_seq is not None:
        low = max(low, wanted.from_seq)
    if wanted.to_seq is not None:
        high = min(high, wanted.to_seq)
    if wanted.since is not None:
        low = max(low, seq_before(tenant, wanted.since) + 1)
    if wanted.until is not None:
        high = min(high, seq_before(tenant, wanted.until))
    events = Event.objects.filter(wanted.condition(), tenant=tenant)
    place = "seq"
    one = wanted.agent.single if wanted.agent is not None else None
    if low <= high and one is not None:
        # One agent's events are read from its own stream, however long the log is.
        place, at_most = "version", min(EXAMINED, max(limit, OF_ONE_AGENT))
        low = version_before(tenant, AGENT_STREAM, one, low) + 1
        high = version_before(tenant, AGENT_STREAM, one, high + 1)
    return _Span(events, place, low, high, descending, at_most) if low <= high else None


def _seq_of(tenant: str, wanted: Wanted, span: _Span) -> int:
    """The seq of the last place examined, whether or not it fitted the filters."""
    if span.place == "seq" or wanted.agent is None:
        return span.farthest
    return Event.objects.values_list("seq", flat=True).get(
        tenant=tenant,
        stream_type=AGENT_STREAM,
        stream_id=wanted.agent.single,
        version=span.farthest,
    )
