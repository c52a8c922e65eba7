"""The overview of what follows the log, and the relay."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from agentmesh_site.integrations.relay import standing
from events.access import Principal, Right
from events.durable.status import Condition
from events.models import Token
from events.pages.frame import require, tenant_page
from events.pages.integrations import render_integration
from events.pages.subscriptions import WORDS, Standing, standings
from events.worker import heartbeat


@require_safe
@tenant_page
def overview(request: HttpRequest, principal: Principal) -> HttpResponse:
    require(request, principal, Right.OVERSEE)
    tenant = principal.tenant
    unseen = heartbeat.age_seconds()
    api = f"{settings.PUBLIC_URL}/api/v1/tenants/{tenant}"
    context: dict[str, Any] = {
        "title": "Integrations",
        "unseen_seconds": unseen,
        "is_alive": heartbeat.is_alive(unseen),
        **_summary(standings(tenant)),
        "relay": standing(tenant),
        "has_tokens": Token.objects.filter(tenant=tenant, revoked_at=None).exists(),
        "base_url": api,
        "stream_url": f"{api}/stream",
        "curl": f'curl -sS -H "Authorization: Bearer $AGENTMESH_TOKEN" {api}/agents',
        "curl_stream": (
            f'curl -sSN -H "Authorization: Bearer $AGENTMESH_TOKEN" "{api}/stream?after=0"'
        ),
    }
    return render_integration(request, principal, "integrations/overview.html", "overview", context)


@require_safe
@tenant_page
def relay(request: HttpRequest, principal: Principal) -> HttpResponse:
    require(request, principal, Right.OVERSEE)
    context = {
        "title": "Relay",
        "relay": standing(principal.tenant),
        "unseen_seconds": heartbeat.age_seconds(),
        "subject": f"agentmesh.{principal.tenant}.>",
    }
    return render_integration(request, principal, "integrations/relay.html", "relay", context)


def _summary(all_of_them: Sequence[Standing]) -> dict[str, Any]:
    """How many subscriptions are how; and which need a person."""
    counts = Counter(each.state.condition for each in all_of_them)
    return {
        "subscriptions": len(all_of_them),
        "conditions": [(*WORDS[each], counts[each]) for each in Condition if counts[each]],
        "lag_events": max((each.state.lag_events for each in all_of_them), default=0),
        "rebuilding": [each for each in all_of_them if each.rebuild is not None],
        "troubled": [
            each
            for each in all_of_them
            if each.state.condition in (Condition.STOPPED, Condition.PARKED)
        ],
    }
