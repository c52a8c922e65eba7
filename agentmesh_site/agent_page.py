"""One agent's page with what the read models say of its work, which the agents do not know."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from agentmesh_site.dashboard import pictures
from agentmesh_site.dashboard.ranges import Range
from agents.current import Loaded
from agents.pages import heartbeats, views
from events.access import Principal
from events.durable.status import read_up_to
from events.facts import utc_now
from events.pages import parameters
from events.pages.frame import tenant_page
from projections.analytics.queries import task_series
from projections.analytics.readmodel import NAME as ANALYTICS

# Of single agents no minutes are kept.
RANGES = (
    Range("24h", "24 hours", 24, "hour"),
    Range("7d", "7 days", 168, "hour"),
    Range("30d", "30 days", 30, "day"),
)


@require_safe
@tenant_page
def agent_page(request: HttpRequest, principal: Principal, agent_id: str) -> HttpResponse:
    """The agent as it is, what may be done with it now, how it worked and what happened last."""
    loaded = views.found(principal, agent_id)
    name = parameters.text(request, "range")
    chosen = next((each for each in RANGES if each.name == name), RANGES[0])
    return views.shown(request, principal, loaded, work=_work(loaded, chosen, utc_now()))


def _work(loaded: Loaded, chosen: Range, now: datetime) -> Mapping[str, Any]:
    tenant, agent_id = loaded.agent.tenant_id, loaded.agent.agent_id
    since, until = chosen.since(now), chosen.until(now)
    counted = read_up_to(tenant, ANALYTICS)  # first: what is read after it is at least as new
    series = task_series(tenant, since, until, chosen.resolution, kind="agent", name=agent_id)
    return {
        "ranges": RANGES,
        "range": chosen,
        "since": since,
        "counted": counted if counted < loaded.seq else None,
        "tasks": pictures.of_tasks(series, now),
        "beats": heartbeats.pictures(loaded, since, now),
    }
