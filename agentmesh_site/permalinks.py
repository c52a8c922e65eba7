"""Addresses that stay, whatever becomes of the pages: they lead into the admin."""

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from agents.pages.views import found as agent_found
from events.access import Principal
from events.pages.frame import tenant_page
from events.pages.log import found as event_found


@require_safe
@tenant_page
def agent(request: HttpRequest, principal: Principal, agent_id: str) -> HttpResponse:
    agent_found(principal, agent_id)
    return redirect("admin:agent", principal.tenant, agent_id)


@require_safe
@tenant_page
def event(request: HttpRequest, principal: Principal, event_id: uuid.UUID) -> HttpResponse:
    event_found(principal, event_id)
    return redirect("admin:event", principal.tenant, event_id)
