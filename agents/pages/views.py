"""One agent's page, with its commands."""

from typing import Any

import msgspec
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_safe

from agents import current
from agents.current import AgentNotFound, Loaded
from agents.pages import commands, fleet
from agents.pages.commands import CommandForm
from agents.pages.refusals import REFUSALS, Refusal, refusal_of, refusal_of_form
from events.access import Principal, Right
from events.facts import utc_now
from events.origin import context_of
from events.pages import newest, parameters
from events.pages.frame import render_page, require, tenant_page

EVENTS_ON_PAGE = 25


@require_safe
@tenant_page
def agent_page(request: HttpRequest, principal: Principal, agent_id: str) -> HttpResponse:
    """The agent as it is, what may be done with it, and its events; `?before=` goes on in these."""
    return _agent(request, principal, found(principal, agent_id))


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page
def command(
    request: HttpRequest, principal: Principal, agent_id: str, command: str
) -> HttpResponse:
    """Send one command. A refusal is answered with the agent's page, the form as it was typed."""
    loaded = found(principal, agent_id)
    if command not in commands.BY_SLUG:
        raise Http404
    if request.method != "POST":  # a reload after signing in, or somebody's bookmark
        return redirect("admin:agent", principal.tenant, agent_id)
    require(request, principal, Right.OPERATE)
    form = commands.BY_SLUG[command](loaded.agent, request.POST)
    if not form.is_valid():
        return _agent(request, principal, loaded, form, refusal_of_form(form))
    try:
        outcome = form.send(context_of(request, principal.actor, form.why))
    except REFUSALS as error:
        refusal = refusal_of(error, form)
        return _agent(request, principal, found(principal, agent_id), form, refusal)
    if outcome.facts:
        messages.success(request, f"{outcome.agent.agent_id} {form.done}.")
    else:
        messages.info(request, f"Nothing differs from how {agent_id} was, so nothing was recorded.")
    return redirect("admin:agent", principal.tenant, agent_id)


def found(principal: Principal, agent_id: str) -> Loaded:
    """The principal's agent; Http404 when there is none of this id."""
    if not principal.sees_agent(agent_id):
        raise Http404
    try:
        return current.load(principal.tenant, agent_id)
    except AgentNotFound:
        raise Http404 from None


def _agent(
    request: HttpRequest,
    principal: Principal,
    loaded: Loaded,
    sent: CommandForm | None = None,
    refusal: Refusal | None = None,
) -> HttpResponse:
    """sent: the form whose command was refused; it stays open as typed while it is offered."""
    agent, now = loaded.agent, utc_now()
    offered: list[CommandForm] = []
    if principal.may(Right.OPERATE):
        offered = [
            sent if sent is not None and each is type(sent) else each(agent)
            for each in commands.offered(agent, now)
        ]
    before = parameters.position(request, "before")
    events = newest.page(
        principal.tenant, newest.Filters(agent=agent.agent_id), before, EVENTS_ON_PAGE
    )
    context: dict[str, Any] = {
        "title": agent.name,
        "section": "fleet",
        "agent": agent,
        "loaded": loaded,
        "metadata": msgspec.json.format(msgspec.json.encode(agent.metadata), indent=2).decode()
        if agent.metadata
        else "",
        "unseen_seconds": fleet.unseen_seconds(agent, now),
        "forms": offered,
        "sent": sent,
        "refusal": refusal,
        "page": events,
        "is_first": before is None,
        "older": parameters.link(request, before=events.next) if events.next else None,
    }
    status = refusal.status if refusal else 200
    return render_page(request, principal, "agents/agent.html", context, status=status)
