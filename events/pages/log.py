"""The tenant's events, to be read and nothing else: the list and the single event."""

import uuid

import msgspec
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from events import registry
from events.access import Principal, Right
from events.cloudevents import AGENT_STREAM
from events.confidential import reveal
from events.models import Event
from events.pages import data, newest, parameters
from events.pages.frame import render_page, tenant_page


@require_safe
@tenant_page
def event_list(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Newest first; `?type=`, `?agent=` and `?actor=` narrow, `?before=` goes on."""
    filters = newest.Filters(
        type_prefix=parameters.text(request, "type"),
        agent=parameters.text(request, "agent"),
        actor=parameters.text(request, "actor"),
    )
    before = parameters.position(request, "before")
    page = newest.page(principal.tenant, filters, before)
    context = {
        "title": "Events",
        "section": "timeline",
        "filters": filters,
        "types": registry.types(),
        "page": page,
        "is_first": before is None,
        "older": parameters.link(request, before=page.next) if page.next else None,
        "newest": parameters.link(request, before=None),
    }
    return render_page(request, principal, "events/list.html", context)


@require_safe
@tenant_page
def event_page(request: HttpRequest, principal: Principal, event_id: uuid.UUID) -> HttpResponse:
    event = found(principal, event_id)
    neighbours = Event.objects.filter(
        tenant=principal.tenant, seq__in=(event.seq - 1, event.seq + 1)
    ).only("event_id", "tenant_id", "seq", "hash")
    shown = reveal.of_rows([event], plain=principal.may(Right.READ_PAYLOADS))
    version, newest_data = data.newest(event, shown.get(event.seq))
    beside = {neighbour.seq: neighbour for neighbour in neighbours}
    context = {
        "title": event.type,
        "section": "timeline",
        "event": event,
        "version": version,
        "data": msgspec.json.format(newest_data, indent=2).decode(),
        "stored": event.data if version != event.schema_version else None,
        "origin": event.origin if principal.may(Right.AUDIT) else None,
        "previous": beside.get(event.seq - 1),
        "following": beside.get(event.seq + 1),
        "is_about_agent": event.stream_type == AGENT_STREAM,
    }
    return render_page(request, principal, "events/event.html", context)


def found(principal: Principal, event_id: uuid.UUID) -> Event:
    """The principal's tenant's event; Http404 when it has none of this id."""
    event = Event.objects.filter(tenant=principal.tenant, event_id=event_id).first()
    if event is None:
        raise Http404
    return event
