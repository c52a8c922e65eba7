"""The dashboard: how everything stands and what happened last, and the choice of a tenant."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from agentmesh_site.dashboard import failing, pictures, ranges, readers
from agents.domain.state import Status
from agents.pages import fleet
from events.access import Principal, enterable_tenants, principal_of_user
from events.facts import utc_now
from events.pages import parameters
from events.pages.frame import REMEMBERED, render_page, tenant_page
from events.pages.newest import newest
from events.verifications.standing import standing
from projections.alerts import overview
from projections.analytics.queries import task_series

ALERTS_SHOWN = 5
LATEST_EVENTS = 12
TENANTS_ON_PAGE = 100


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The dashboard of the person's tenant: the one visited last, or the only one."""
    remembered = request.session.get(REMEMBERED)
    if remembered and principal_of_user(request.user, remembered):
        return dashboard(request, remembered)
    match enterable_tenants(request.user, limit=2):
        case [only]:
            return dashboard(request, only.slug)
    return redirect("admin:tenants")


@require_safe
@tenant_page
def dashboard(request: HttpRequest, principal: Principal) -> HttpResponse:
    """All of it from read models and current rows, whose size does not follow the log's."""
    tenant, now = principal.tenant, utc_now()
    chosen = ranges.asked(request)
    since, until = chosen.since(now), chosen.until(now)
    read = readers.of(tenant)  # first: what is read after it is at least as new
    counts, chain = fleet.counts(tenant), standing(tenant)
    context = {
        "title": "Dashboard",
        "section": "dashboard",
        "ranges": ranges.RANGES,
        "range": chosen,
        "since": since,
        "counts": counts,
        "bar": bar(counts),
        "unhealthy": fleet.unhealthy(tenant, now),
        "pictures": pictures.of_tasks(task_series(tenant, since, until, chosen.resolution), now),
        "failing": failing.in_range(tenant, since, until),
        "alerts": overview.unresolved(tenant, shown=ALERTS_SHOWN),
        "readers": read,
        "chain": chain,
        "unverified": max(read.head - chain.ended.seq, 0) if chain.ended else read.head,
        "latest": newest(tenant, LATEST_EVENTS),
    }
    return render_page(request, principal, "admin/dashboard.html", context)


def bar(counts: fleet.Counts) -> list[dict[str, object]]:
    """The living fleet as a bar of width 100: x and width of each status that there is."""
    parts: list[dict[str, object]] = []
    x = 0.0
    for status, number in counts.by_status.items():
        if number and status is not Status.TERMINATED:
            width = 100 * number / counts.living
            parts.append({"status": status, "number": number, "x": x, "width": width})
            x += width
    return parts


@require_safe
def tenants(request: HttpRequest) -> HttpResponse:
    """Where the person may go; `?q=` searches, `?after=` goes on."""
    searched = parameters.text(request, "q")
    found = enterable_tenants(
        request.user,
        containing=searched,
        after=parameters.text(request, "after"),
        limit=TENANTS_ON_PAGE + 1,
    )
    shown = found[:TENANTS_ON_PAGE]
    more = len(found) > TENANTS_ON_PAGE
    context = {
        "title": "Tenants",
        "has_permission": True,
        "tenants": shown,
        "searched": searched,
        "is_first": not parameters.text(request, "after"),
        "first": parameters.link(request, after=None),
        "next": parameters.link(request, after=shown[-1].slug) if more else None,
    }
    return render(request, "admin/tenants.html", context)
