"""Many agents at once: chosen on the list, shown what would happen, then done by one append.

The page between records nothing. It carries the ids that it spoke of, so that what is done is what
was shown: whoever could not be asked then is left out, and no task is failed that was not there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from agents import fleet, fleet_commands
from agents.command import RaceLost
from agents.domain import limits
from agents.fleet_commands import MOST_AGENTS, Told
from agents.pages import bulk_results
from agents.pages.bulk_commands import BY_SLUG, BulkCommand
from agents.pages.filters import filters_of
from agents.pages.refusals import CONFLICT, Refusal
from events.access import Principal, Right
from events.idempotency import AnsweredBefore
from events.origin import context_of
from events.pages.frame import render_page, require, tenant_page
from events.vocabulary import AgentStatusChangedEvent, AgentTaskFailedEvent

MOST_WALKS = 4  # pages of the fleet that are looked through for those that match

_AGENT_ID = re.compile(limits.AGENT_ID)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whom a bulk is for. cut: why there may be more of them; empty where these are all."""

    ids: Sequence[str]
    cut: str = ""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would happen to one agent. task_id: of the task that it works on."""

    agent_id: str
    name: str
    before: str
    after: str
    task_id: str | None
    fails_task: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Who would not take it, and why."""

    agent_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What would become of all of them now."""

    able: Sequence[Forecast]
    unable: Sequence[Refused]

    @property
    def at_work(self) -> list[str]:
        """Whose task would be failed."""
        return [each.agent_id for each in self.able if each.fails_task]

    @property
    def total(self) -> int:
        return len(self.able) + len(self.unable)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page
def rehearsal(request: HttpRequest, principal: Principal) -> HttpResponse:
    """The dry run: what would happen to the chosen agents. Records nothing."""
    if request.method != "POST":  # a reload after signing in, or somebody's bookmark
        return redirect("admin:agents", principal.tenant)
    require(request, principal, Right.OPERATE)
    command = _command(request)
    chosen = _chosen(principal.tenant, request.POST)
    if not chosen.ids:
        messages.error(request, "No agent was chosen, so nothing was done. Tick some first.")
        return redirect(_back(request, principal))
    try:
        return _rehearsal(request, principal, command(asked=0), chosen)
    except RaceLost as lost:
        messages.error(request, f"Nothing was done. {lost}")
        return redirect(_back(request, principal))


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page
def carry_out(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Do it to those of whom the dry run said that it can be done."""
    if request.method != "POST":
        return redirect("admin:agents", principal.tenant)
    require(request, principal, Right.OPERATE)
    command, tenant = _command(request), principal.tenant
    asked, left_out = (_ids(request.POST, name) for name in ("agents", "left_out"))
    correlation = bulk_results.correlation_of(request.POST)
    once = bulk_results.once_of(tenant, correlation)
    if once.earlier_answer() is not None:
        return redirect("admin:bulk_result", tenant, correlation)
    form = command(request.POST, asked=len(asked))
    chosen = Chosen([*asked, *left_out])
    if not form.is_valid() or not asked:
        return _rehearsal(request, principal, form, chosen, status=HTTPStatus.BAD_REQUEST)
    by = context_of(request, principal.actor, form.why, correlation)
    forced = set(_ids(request.POST, "at_work")) if "force" in request.POST else set()
    others = fleet_commands.rehearse(tenant, form.orders(tenant, left_out, by, forced))
    summarize = bulk_results.summary(command.slug, by, others)
    try:
        seq = fleet_commands.carry_out(
            tenant, form.orders(tenant, asked, by, forced), once, summarize
        )
    except AnsweredBefore:
        return redirect("admin:bulk_result", tenant, correlation)
    except RaceLost as lost:
        return _rehearsal(request, principal, form, chosen, Refusal(str(lost), CONFLICT))
    return redirect(bulk_results.address(tenant, correlation, seq))


def _rehearsal(
    request: HttpRequest,
    principal: Principal,
    form: BulkCommand,
    chosen: Chosen,
    refusal: Refusal | None = None,
    *,
    status: int = HTTPStatus.OK,
) -> HttpResponse:
    tenant, force = principal.tenant, "force" in request.POST
    by = context_of(request, principal.actor, form.why)
    forced = chosen.ids if force else ()
    told = fleet_commands.rehearse(tenant, form.orders(tenant, chosen.ids, by, forced))
    rehearsed = Rehearsed(
        [_forecast(each) for each in told if each.refusal is None],
        [Refused(each.agent_id, str(each.refusal)) for each in told if each.refusal is not None],
    )
    if rehearsed.able and form.asked != len(rehearsed.able):
        form = type(form)(request.POST if form.is_bound else None, asked=len(rehearsed.able))
    context = {
        "title": f"{form.title} {_agents(rehearsed.total)}",
        "section": "fleet",
        "form": form,
        "rehearsed": rehearsed,
        "chosen": chosen,
        "force": force,
        "may_force": form.is_dangerous and (force or _is_held_back(told)),
        "correlation": bulk_results.correlation_of(request.POST),
        "filter": request.POST.get("filter", ""),
        "back": _back(request, principal),
        "refusal": refusal,
    }
    status = refusal.status if refusal else status
    return render_page(request, principal, "agents/bulk.html", context, status=status)


def _forecast(told: Told) -> Forecast:
    agent = told.agent
    if agent is None:
        raise RuntimeError("An order that was not refused tells of its agent.")
    before = after = str(agent.status)
    failed = None
    for fact in told.facts:
        if isinstance(fact, AgentStatusChangedEvent):
            before, after = fact.from_status, fact.to_status
        elif isinstance(fact, AgentTaskFailedEvent):
            failed = fact.task_id
    task_id = failed or agent.current_task_id
    return Forecast(agent.agent_id, agent.name, before, after, task_id, failed is not None)


def _is_held_back(told: Sequence[Told]) -> bool:
    """Whether force would make a difference to somebody."""
    return any(getattr(each.refusal, "rule", None) == "agent_busy" for each in told)


def _agents(number: int) -> str:
    return "1 agent" if number == 1 else f"{number:,} agents"


def _command(request: HttpRequest) -> type[BulkCommand]:
    command = BY_SLUG.get(request.POST.get("command", ""))
    if command is None:
        raise Http404
    return command


def _chosen(tenant: str, given: QueryDict) -> Chosen:
    """The agents of a dry run: named in one field by the page itself, or chosen on the list."""
    if "agents" in given:
        return Chosen([*_ids(given, "agents"), *_ids(given, "left_out")][:MOST_AGENTS])
    match given.get("scope"):
        case "filter":
            return _matching(tenant, QueryDict(given.get("filter", "").replace("\0", "")))
        case "page":
            return Chosen(_fit(given.getlist("shown")))
        case _:
            return Chosen(_fit(given.getlist("agent")))


def _ids(given: QueryDict, name: str) -> list[str]:
    """Many ids in one field, since a form may not have a thousand."""
    return _fit(given.get(name, "").split())


def _fit(ids: Sequence[str]) -> list[str]:
    """Each once, and only what can be an id."""
    return [each for each in dict.fromkeys(ids) if _AGENT_ID.fullmatch(each)][:MOST_AGENTS]


def _matching(tenant: str, query: QueryDict) -> Chosen:
    """Everybody who fits the filters, in the order of their ids, as far as it goes."""
    filters = filters_of(query)
    if filters.faults:
        return Chosen([])
    ids: list[str] = []
    after: str | None = None
    for _ in range(MOST_WALKS):
        page = fleet.page(tenant, filters.wanted, limit=MOST_AGENTS - len(ids), after=after)
        ids += [each.agent.agent_id for each in page.agents]
        after = page.next
        if after is None:
            return Chosen(ids)
        if len(ids) == MOST_AGENTS:
            break
    return Chosen(
        ids,
        f"These are the first {len(ids):,} that match, up to {ids[-1] if ids else after}. "
        f"More may match: at most {MOST_AGENTS:,} are done at once.",
    )


def _back(request: HttpRequest, principal: Principal) -> str:
    query = filters_of(QueryDict(request.POST.get("filter", "").replace("\0", "")))
    address = reverse("admin:agents", args=[principal.tenant])
    return f"{address}?{query.query}" if query else address
