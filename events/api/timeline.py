"""GET /events: a tenant's log, filtered and in pages; and one event."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from django.http import HttpResponse
from rest_framework.request import Request

from events import timeline, timeline_query
from events.access import Right
from events.api.door import SEQ, TenantDoor, json_response
from events.api.openapi import facts
from events.api.openapi.operation import Operation, Parameter
from events.api.openapi.shape import COUNT, LOG_SEQ, or_null, some_of, thing, whole
from events.api.problem import invalid_parameter, not_found
from events.api.query import Query
from events.cloudevents import AGENT_STREAM, STORED, UnknownSchema, check_schema, cloud_event
from events.confidential import reveal
from events.facts import utc_now
from events.models import Event
from events.patterns import Pattern
from events.query_language import BadQuery
from events.timeline import Page
from events.timeline_query import Asked
from events.wanted import Wanted

FILTERS = ("types", "actor", "correlation", "since", "until", "q")
OF_THE_LOG = (*FILTERS, "agent", "query")  # where the path does not name the agent
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

    def page_of(self, wanted: Wanted) -> HttpResponse:
        """The page that the query asks for, of those events that are wanted."""
        self.pinned_schema()
        after, limit = self.query.whole("after"), self.query.limit()
        descending = is_descending(self.query)
        head = self.head_seq()
        found = Page([], None)
        if self._may_see(wanted.agent):
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

    known: ClassVar = {"GET": (*OF_THE_LOG, *PAGING)}
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
        wanted, own = wanted_of(self.query, self.tenant), self.principal.agent_id
        if own is not None and (wanted.agent is None or wanted.agent.fits(own)):
            wanted = replace(wanted, agent=Pattern((own,), ()))
        return self.page_of(wanted)


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


def asked_of(query: Query, tenant: str) -> Asked | None:
    """What `query` asks for, which says all by itself; None without one. Raises Problem (400)."""
    text = query.text("query")
    if text is None:
        return None
    for beside in OF_THE_LOG:
        if beside != "query" and query.text(beside) is not None:
            raise invalid_parameter(beside, "cannot stand beside `query`. Write it into that.")
    try:
        return timeline_query.asked_of(tenant, timeline_query.parsed(text), utc_now())
    except BadQuery as error:
        raise invalid_parameter("query", str(error)) from None


def wanted_of(query: Query, tenant: str) -> Wanted:
    """What the filters of a query ask for. Raises Problem (400)."""
    asked = asked_of(query, tenant)
    return asked.wanted if asked else filtered(query, query.pattern("agent"))


def filtered(query: Query, agent: Pattern | None) -> Wanted:
    """What those filters ask for that every list of events has. Raises Problem (400)."""
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
