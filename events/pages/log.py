"""A single event of the tenant, to be read and nothing else.

The site adds panels: what other rooms know of an event, each a template and what it shows.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from events import causes
from events.access import Principal, Right
from events.cloudevents import AGENT_STREAM
from events.confidential import reveal
from events.log import verify
from events.models import Event, SignedCheckpoint
from events.pages import data
from events.pages.frame import render_page, tenant_page
from events.query_language import Name, Query
from events.schemas import document


@dataclass(frozen=True, slots=True)
class Panel:
    """title: its heading. context: what its template finds under `panel`."""

    title: str
    template: str
    context: Mapping[str, Any]


PanelOf = Callable[[Principal, Event], Panel | None]
NEIGHBOUR = ("event_id", "tenant_id", "seq", "version", "type")


def event_page(*panels: PanelOf) -> Callable[..., HttpResponse]:
    """The page of an event with these panels, each where it has something to say of the event."""

    @require_safe
    @tenant_page
    def view(request: HttpRequest, principal: Principal, event_id: uuid.UUID) -> HttpResponse:
        event = found(principal, event_id)
        made = [panel for make in panels if (panel := make(principal, event)) is not None]
        context = {
            "title": event.type,
            "section": "timeline",
            "event": event,
            "panels": made,
            "is_about_agent": event.stream_type == AGENT_STREAM,
            "origin": event.origin if principal.may(Right.AUDIT) else None,
            "permalink": request.build_absolute_uri(f"/t/{principal.tenant}/events/{event_id}"),
            **_data(principal, event),
            **_neighbours(event),
            **_causes(event),
            "checkpoint": _covering(event),
        }
        return render_page(request, principal, "events/event.html", context)

    return view


def found(principal: Principal, event_id: uuid.UUID) -> Event:
    """The principal's tenant's event; Http404 when it has none of this id."""
    event = Event.objects.filter(tenant=principal.tenant, event_id=event_id).first()
    if event is None:
        raise Http404
    return event


def _data(principal: Principal, event: Event) -> dict[str, Any]:
    shown = reveal.of_rows([event], plain=principal.may(Right.READ_PAYLOADS))
    version, newest_data = data.newest(event, shown.get(event.seq))
    return {
        "version": version,
        "schema": document.path(event.type, version),
        "data": msgspec.json.format(newest_data, indent=2).decode(),
        "stored": event.data if version != event.schema_version else None,
    }


def _neighbours(event: Event) -> dict[str, Any]:
    """Those beside it in the log and in its stream, and whether its hash follows from the one
    before: computed now."""
    of_tenant = Event.objects.filter(tenant=event.tenant_id)
    in_log = {row.seq: row for row in of_tenant.filter(seq__in=_beside(event.seq)).only(*NEIGHBOUR)}
    in_stream = {
        row.version: row
        for row in of_tenant.filter(
            stream_type=event.stream_type,
            stream_id=event.stream_id,
            version__in=_beside(event.version),
        ).only(*NEIGHBOUR)
    }
    return {
        "previous": in_log.get(event.seq - 1),
        "following": in_log.get(event.seq + 1),
        "previous_version": in_stream.get(event.version - 1),
        "following_version": in_stream.get(event.version + 1),
        "follows": verify.follows(event.tenant_id, event.seq),
    }


def _beside(place: int) -> Sequence[int]:
    return place - 1, place + 1


def _causes(event: Event) -> dict[str, Any]:
    together = causes.together(event)
    correlated = Query(correlation=(Name(event.correlation_id),)) if event.correlation_id else None
    return {
        "causes": causes.causes(event),
        "effects": causes.effects(event),
        "together": together,
        "together_query": str(correlated) if correlated else None,
        "actor_query": str(Query(actor=(Name(event.actor),))),
        "type_query": str(Query(type=(Name(event.type),))),
    }


def _covering(event: Event) -> SignedCheckpoint | None:
    """The first checkpoint that is kept here of a log with this event in it."""
    kept = SignedCheckpoint.objects.filter(tenant=event.tenant_id, seq__gte=event.seq)
    return kept.order_by("seq").first()
