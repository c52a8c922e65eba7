"""The timeline: what happened in the tenant, newest first, by whatever somebody asks."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from events import saved_views
from events.access import Principal
from events.facts import utc_now
from events.log.places import seq_before
from events.moments import rfc3339
from events.pages import parameters
from events.pages.frame import render_page, tenant_page
from events.pages.timeline import reading
from events.pages.timeline.asking import Asking, asking
from events.pages.timeline.facets import facets
from events.pages.timeline.ready_made import READY_MADE
from events.query_language import When
from events.timeline_query import Asked

VIEWS_ON_PAGE = 50
TAIL = 100  # rows of one look at what is new
PAGE_KEYS = (
    ("/", "type a query"),
    ("n", "show what is new, or go on following"),
)


@require_safe
@tenant_page
def event_list(request: HttpRequest, principal: Principal) -> HttpResponse:
    """`?q=` or `?view=` asks; `?before=` and `?after=` (a seq) go on from there, `?at=` jumps."""
    now = utc_now()
    asking_now = asking(request, principal, now)
    jump = request.GET.get("at", "").strip()
    jump_fault = None
    if jump:
        try:
            moment = When.of(jump).moment(now, timezone.get_current_timezone())
        except ValueError as error:
            jump_fault = f"A moment to go to {error}"
        else:
            # The newest that was recorded up to the moment stands on top.
            before = seq_before(principal.tenant, moment) + 1
            return redirect(
                request.path + parameters.link(request, at=None, after=None, before=before)
            )
    views = list(saved_views.of(principal.tenant)[: VIEWS_ON_PAGE + 1])
    context: dict[str, Any] = {
        "title": "Timeline",
        "section": "timeline",
        "asking": asking_now,
        "jump": jump,
        "jump_fault": jump_fault,
        "views": views[:VIEWS_ON_PAGE],
        "more_views": len(views) > VIEWS_ON_PAGE,
        "ready_made": READY_MADE,
        "page_keys": PAGE_KEYS,
    }
    if asking_now.asked is None:
        return render_page(request, principal, "events/timeline/page.html", context, status=400)
    context |= _part(request, principal, asking_now, asking_now.asked)
    status = 400 if jump_fault else 200
    return render_page(request, principal, "events/timeline/page.html", context, status=status)


def _part(
    request: HttpRequest, principal: Principal, asking: Asking, asked: Asked
) -> dict[str, Any]:
    before = parameters.position(request, "before")
    after = parameters.position(request, "after") if before is None else None
    tenant = principal.tenant
    if after is None:
        part = reading.newest(tenant, asked, before)
    else:
        part = reading.following(tenant, asked, after)
    is_newest = part.newer is None
    stopped_short = part.bottom is not None and len(part.rows) < reading.PAGE and after is None
    pinned: dict[str, str | int] = {"q": str(asked.pinned)} if asked.query else {}
    exactly = urlencode({**pinned, "before": part.top + 1})
    return {
        "part": part,
        "is_newest": is_newest,
        "stopped_short": stopped_short,
        "stopped_at": reading.moment_of(tenant, part.bottom)
        if stopped_short and part.bottom
        else None,
        "looked_at": part.top - (part.bottom or 0) + 1,
        "facets": facets(asked.query, part.rows),
        "older": parameters.link(request, after=None, before=part.older) if part.older else None,
        "newer": parameters.link(request, before=None, after=part.newer) if part.newer else None,
        "newest": parameters.link(request, before=None, after=None),
        "permalink": request.build_absolute_uri(f"{request.path}?{exactly}"),
        "asked_at": rfc3339(asked.now),
        "shared": str(asked.shared),
    }


@require_safe
@tenant_page
def newer_rows(request: HttpRequest, principal: Principal) -> HttpResponse:
    """The rows next above `?after=`, newest first, for a page that is open: how far they reach, and
    whether there are more, stands with them."""
    asking_now = asking(request, principal, utc_now())
    after = parameters.position(request, "after") or 0
    if asking_now.asked is None:
        return HttpResponse(status=400)
    part = reading.following(principal.tenant, asking_now.asked, after, TAIL)
    context = {"principal": principal, "part": part, "position": part.newer or part.head}
    return render(request, "events/timeline/newer.html", context)
