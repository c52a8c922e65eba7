"""One task: the claim says how it stands now, the read model where its earlier attempts began."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from agents import tasks, trials
from agents.tasks import Attempt, Task, TaskNotFound
from agents.trials import Trial
from events.access import Principal, Right
from events.api.tasks import task_json
from events.confidential import reveal
from events.confidential.erase import is_anything_left
from events.models import Event
from events.pages import parameters, payloads
from events.pages.frame import render_page, tenant_page
from projections.tasks import queries, rows


@dataclass(frozen=True, slots=True)
class Tried:
    """An attempt as a line of its table. number: from 1. event: that assigned it, where the read
    model knows it already."""

    number: int
    attempt: Attempt
    event: Event | None


@require_safe
@tenant_page
def task_page(request: HttpRequest, principal: Principal, task_id: str) -> HttpResponse:
    """`?attempt=` says of which attempt the events are shown; the newest without it."""
    tenant = principal.tenant
    try:
        task = tasks.find(tenant, task_id)
    except TaskNotFound:
        raise Http404 from None
    attempts = _attempts(tenant, task)
    chosen = _chosen(attempts, parameters.position(request, "attempt"))
    plain = principal.may(Right.READ_PAYLOADS)
    body = task_json(task, given=task.input, result=task.result)
    (revealed,) = reveal.of_tasks(tenant, [body], plain=plain)
    may_erase = principal.may(Right.ADMINISTER) and is_anything_left(tenant, task_id)
    context = {
        "title": task.task_id,
        "section": "tasks",
        "task": task,
        "attempts": attempts,
        "chosen": chosen,
        "trial": _trial(tenant, task, chosen, is_newest=chosen is attempts[-1]),
        "given": payloads.shown(revealed["input"]),
        "result": payloads.shown(revealed["result"]),
        "may_erase": may_erase,
    }
    return render_page(request, principal, "tasks/task.html", context)


def _attempts(tenant: str, task: Task) -> list[Tried]:
    # The claim keeps when each attempt began, the read model also where: the agent had one task at
    # a time, so both name the same.
    found = queries.find(tenant, task.task_id)
    seqs = {_key(each): each.seq for each in found.attempts} if found else {}
    events = _assignments(tenant, list(seqs.values()))
    return [
        Tried(number, attempt, events.get(seqs.get(_key(attempt), 0)))
        for number, attempt in enumerate(task.attempts, 1)
    ]


def _key(attempt: Attempt | rows.Attempt) -> tuple[str, datetime]:
    return attempt.agent_id, attempt.assigned_at


def _assignments(tenant: str, seqs: list[int]) -> Mapping[int, Event]:
    events = Event.objects.filter(tenant=tenant, seq__in=seqs)
    return {event.seq: event for event in events.only("event_id", "tenant", "seq", "version")}


def _chosen(attempts: list[Tried], number: int | None) -> Tried:
    return next((each for each in attempts if each.number == number), attempts[-1])


def _trial(tenant: str, task: Task, tried: Tried, *, is_newest: bool) -> Trial | None:
    """None while the read model does not know yet where an earlier attempt began."""
    agent_id = tried.attempt.agent_id
    if is_newest and task.assigned_version is not None:
        return trials.between(tenant, agent_id, task.assigned_version, task.ended_version)
    if tried.event is None:
        return None
    return trials.between(tenant, agent_id, tried.event.version, None)
