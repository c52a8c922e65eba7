"""GET /events: a tenant's log, filtered and in pages; and one event."""

import uuid
from collections.abc import Mapping, Sequence
from typing import ClassVar

from django.http import HttpResponse
from rest_framework.request import Request

from events import timeline
from events.access import Right
from events.api.door import SEQ, TenantDoor, json_response
from events.api.openapi import facts
from events.api.openapi.operation import Operation, Parameter
from events.api.openapi.shape import COUNT, LOG_SEQ, or_null, some_of, thing, whole
from events.api.problem import invalid_parameter, not_found
from events.api.query import Query
from events.cloudevents import AGENT_STREAM, STORED, UnknownSchema, check_schema, cloud_event
from events.confidential import reveal
from events.models import Event
from events.patterns import Pattern
from events.timeline import Page
from events.wanted import Wanted

FILTERS = ("types", "actor", "correlation", "since", "until", "q")
PAGING = ("after", "limit", "order", "schema", "min_seq")
EVENT = facts.event_shape()
EVENTS = thing(
    "CloudEventList",
    {
        "items": some_of(EVENT),
        "next": or_null(COUNT).saying("The last seq examined: send it as `after`. null: no more."),
        "head": LOG_SEQ.saying("The last seq of the log."),
    },
)


class EventsDoor(TenantDoor):
    """What every route that shows events has in common."""

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "after": Parameter(
            whole(), "The seq after which to begin; with `order=desc` the one before which."
        )
    }

    def pinned_schema(self) -> str | None:
        wanted = self.query.text("schema")
        try:
            check_schema(wanted)
        except UnknownSchema as error:
            raise invalid_parameter("schema", str(error)) from None
        return wanted

    def on_the_wire(self, rows: Sequence[Event]) -> list[bytes]:
        schema, show_origin = self.pinned_schema(), self.principal.may(Right.AUDIT)
        plain = self.principal.may(Right.READ_PAYLOADS)
        shown = {} if schema == STORED else reveal.of_rows(rows, plain=plain)
        return [
            cloud_event(row, schema=schema, show_origin=show_origin, data=shown.get(row.seq))
            for row in rows
        ]

    def page_of(self, agent: Pattern | None) -> HttpResponse:
        """The page that the query asks for, of the whole log or of some agents."""
        self.pinned_schema()
        wanted = wanted_of(self.query, agent)
        after, limit = self.query.whole("after"), self.query.limit()
        descending = is_descending(self.query)
        head = self.head_seq()
        found = Page([], None)
        if self._may_see(agent):
            found = timeline.page(
                self.tenant,
                wanted,
                head=head,
                after=after,
                limit=limit,
                descending=descending,
            )
        items = b",".join(self.on_the_wire(found.rows))
        next_ = b"null" if found.next is None else str(found.next).encode()
        body = b'{"items":[%b],"next":%b,"head":%d}' % (items, next_, head)
        return json_response(body, headers={SEQ: str(head)})

    def _may_see(self, agent: Pattern | None) -> bool:
        own = self.principal.agent_id
        return own is None or (agent is not None and agent.single == own)


class Events(EventsDoor):
    """GET /events"""

    known: ClassVar = {"GET": (*FILTERS, *PAGING, "agent")}
    operations: ClassVar = {
        "GET": Operation(
            "list_events",
            "events",
            "The log, filtered and in pages",
            "Whoever has read up to `next` has missed nothing.",
            answer=EVENTS,
        )
    }

    def get(self, _: Request, **__: str) -> HttpResponse:
        agent, own = self.query.pattern("agent"), self.principal.agent_id
        if own is not None and (agent is None or agent.fits(own)):
            agent = Pattern((own,), ())
        return self.page_of(agent)


class OneEvent(EventsDoor):
    """GET /events/{event_id}"""

    known: ClassVar = {"GET": ("schema", "min_seq")}
    operations: ClassVar = {
        "GET": Operation("read_event", "events", "One event", answer=EVENT),
    }

    def get(self, _: Request, **__: str) -> HttpResponse:
        self.pinned_schema()
        head = self.head_seq()
        row = self._row()
        if row is None:
            raise not_found()
        (body,) = self.on_the_wire([row])
        return json_response(body, headers={SEQ: str(head)})

    def object_exists(self) -> bool:
        return self._row() is not None

    def _row(self) -> Event | None:
        try:
            event_id = uuid.UUID(self.kwargs["event_id"])
        except ValueError:
            return None
        if str(event_id) != self.kwargs["event_id"].lower():
            return None
        row = Event.objects.filter(tenant=self.tenant, event_id=event_id).first()
        own = self.principal.agent_id
        if row is not None and own is not None:
            return row if (row.stream_type, row.stream_id) == (AGENT_STREAM, own) else None
        return row


def wanted_of(query: Query, agent: Pattern | None) -> Wanted:
    """What the filters of a query ask for. Raises Problem (400)."""
    text = query.text("q")
    return Wanted(
        types=query.pattern("types"),
        agent=agent,
        actor=query.pattern("actor"),
        correlation=query.pattern("correlation"),
        texts=() if text is None else (text,),
        since=query.moment("since"),
        until=query.moment("until"),
    )


def is_descending(query: Query) -> bool:
    """Whether the newest come first. Raises Problem (400)."""
    order = query.text("order") or "asc"
    if order not in ("asc", "desc"):
        raise invalid_parameter("order", "must be asc or desc.")
    return order == "desc"
