"""One agent's pages: it with its commands, and its timeline. `agents.pages.time_machine` shows an
agent's past; how it worked, which only the read models know, is put on its page by
`agentmesh_site.agent_page`."""

from collections.abc import Mapping
from typing import Any

import msgspec
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from agents import current
from agents.current import AgentNotFound, Loaded
from agents.domain.state import Agent
from agents.pages import commands, fleet, summaries
from agents.pages.commands import CommandForm
from agents.pages.refusals import REFUSALS, Refusal, refusal_of, refusal_of_form
from events.access import Principal, Right
from events.facts import utc_now
from events.origin import context_of
from events.pages import parameters
from events.pages.frame import render_page, require, tenant_page

LATEST = 8  # entries of the timeline, beside the agent's state


@require_safe
@tenant_page
def agent_timeline(request: HttpRequest, principal: Principal, agent_id: str) -> HttpResponse:
    """Newest first; `?before=` goes on below a version, `?heartbeats=each` unfolds them."""
    loaded = found(principal, agent_id)
    before = parameters.position(request, "before")
    folding = parameters.text(request, "heartbeats") != "each"
    page = summaries.page(principal.tenant, agent_id, before=before, folding=folding)
    context = {
        **heading(request, loaded, "timeline"),
        "page": page,
        "folding": folding,
        "is_first": before is None,
        "newest": parameters.link(request, before=None),
        "older": parameters.link(request, before=page.next) if page.next else None,
        "other_folding": parameters.link(request, heartbeats="each" if folding else None),
    }
    return render_page(request, principal, "agents/timeline.html", context)


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
        return shown(request, principal, loaded, sent=form, refusal=refusal_of_form(form))
    try:
        outcome = form.send(context_of(request, principal.actor, form.why))
    except REFUSALS as error:
        refusal = refusal_of(error, form)
        return shown(request, principal, found(principal, agent_id), sent=form, refusal=refusal)
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


def heading(request: HttpRequest, loaded: Loaded, tab: str) -> dict[str, Any]:
    """What all pages about one agent say of it above their own part."""
    agent = loaded.agent
    return {
        "title": agent.name,
        "section": "fleet",
        "agent": agent,
        "loaded": loaded,
        "tab": tab,
        "permalink": request.build_absolute_uri(
            reverse("agent_permalink", args=(agent.tenant_id, agent.agent_id))
        ),
    }


def metadata_text(agent: Agent) -> str:
    """JSON over several lines; empty where there is none."""
    if not agent.metadata:
        return ""
    return msgspec.json.format(msgspec.json.encode(agent.metadata), indent=2).decode()


def shown(
    request: HttpRequest,
    principal: Principal,
    loaded: Loaded,
    *,
    work: Mapping[str, Any] | None = None,
    sent: CommandForm | None = None,
    refusal: Refusal | None = None,
) -> HttpResponse:
    """The agent's page. work: what `agents/work.html` shows of how it worked; None: nothing.

    sent: the form whose command was refused; it stays open as typed while it is offered.
    """
    agent, now = loaded.agent, utc_now()
    offered: list[CommandForm] = []
    if principal.may(Right.OPERATE):
        offered = [
            sent if sent is not None and each is type(sent) else each(agent)
            for each in commands.offered(agent, now)
        ]
    context: dict[str, Any] = {
        **heading(request, loaded, "overview"),
        "metadata": metadata_text(agent),
        "work": work,
        "unseen_seconds": fleet.unseen_seconds(agent, now),
        "forms": offered,
        "sent": sent,
        "refusal": refusal,
        "page": summaries.page(principal.tenant, agent.agent_id, size=LATEST),
    }
    status = refusal.status if refusal else 200
    return render_page(request, principal, "agents/agent.html", context, status=status)
