"""What came of a bulk, agent by agent, under its correlation id; a reload shows the same.

What was done is read from the log. What was refused is in no log: the append keeps it beside its
events, as the answer to a request that may come twice, for 24 hours.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgspec
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.views.decorators.http import require_safe

from agents.current import STREAM
from agents.fleet_commands import MOST_AGENTS, Summarize, Told
from events.access import Principal
from events.facts import utc_now
from events.idempotency import Answer, Once
from events.log.append import SINGLE_STATEMENT_EVENTS
from events.log.proposal import Context
from events.models import Event
from events.moments import parse_rfc3339, rfc3339
from events.pages import parameters
from events.pages.frame import render_page, tenant_page
from events.pages.routes import CorrelationId

LOOKED_AT = MOST_AGENTS * SINGLE_STATEMENT_EVENTS  # places of the log before the bulk's last event
TITLES = {
    "pause": ("Pause", "paused"),
    "resume": ("Resume", "resumed"),
    "terminate": ("Terminate", "terminated"),
    "import": ("Import", "created"),
}
_CORRELATION = re.compile(CorrelationId.regex)
OTHER = ("Many agents at once", "changed")
_ASIDE = ("AgentStatusChangedEvent", "AgentTaskFailedEvent")  # what follows from the command


@dataclass(slots=True)
class Done:
    """What was recorded of one agent. event_id, seq: of the event that the command was for."""

    agent_id: str
    first_seq: int
    line: int | None = None
    event_id: Any = None
    type: str = ""
    seq: int = 0
    words: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class NotDone:
    """Who was refused, or was never asked, and why. line: of the imported file."""

    agent_id: str
    why: str
    line: int | None


def correlation_of(given: QueryDict) -> str:
    """The one that the page before was given, so that its button pressed twice does it once; a new
    one where there is none."""
    correlation = given.get("correlation", "")
    return correlation if _CORRELATION.fullmatch(correlation) else uuid.uuid4().hex


def once_of(tenant: str, correlation: str) -> Once:
    """A bulk of people is named by its correlation id, and everybody in the tenant may look."""
    return Once.of(
        tenant=tenant,
        principal="",
        method="bulk",
        path="fleet",
        key=correlation,
        body=correlation.encode(),
    )


def address(tenant: str, correlation: str, seq: int | None) -> str:
    """Where the results stay, also when what was refused is forgotten."""
    found = reverse("admin:bulk_result", args=[tenant, correlation])
    return found if seq is None else f"{found}?seq={seq}"


def summary(
    command: str,
    by: Context,
    left_out: Sequence[Told] = (),
    lines: Mapping[str, int] | None = None,
    skipped: Sequence[int] = (),
) -> Summarize:
    """What is kept of a bulk. left_out: those that were not asked, as the rehearsal told of them.
    lines: of the imported file, by agent. skipped: lines that had faults."""

    def summarize(told: Sequence[Told]) -> Answer:
        body = {
            "command": command,
            "at": rfc3339(utc_now()),
            "by": by.actor,
            "reason": by.reason,
            "refused": {each.agent_id: str(each.refusal) for each in told if each.refusal},
            "left_out": {
                each.agent_id: str(each.refusal) if each.refusal else "" for each in left_out
            },
            "lines": dict(lines or {}),
            "skipped": list(skipped),
            "seq": None,
        }
        return Answer(HTTPStatus.OK, body)

    return summarize


@require_safe
@tenant_page
def results(request: HttpRequest, principal: Principal, correlation: str) -> HttpResponse:
    tenant = principal.tenant
    answer = once_of(tenant, correlation).earlier_answer()
    kept: dict[str, Any] = answer.body if answer and isinstance(answer.body, dict) else {}
    seq = (answer.seq if answer else None) or parameters.position(request, "seq")
    lines = kept.get("lines", {})
    done = _done(tenant, correlation, seq, lines) if seq is not None else []
    if not kept and not done:
        raise Http404
    title, verb = TITLES.get(kept.get("command", ""), OTHER)
    refused, left_out = (_not_done(kept.get(name, {}), lines) for name in ("refused", "left_out"))
    context = {
        "title": f"{title}: what came of it" if kept else OTHER[0],
        "section": "fleet",
        "verb": verb,
        "correlation": correlation,
        "timeline_query": _timeline_query(correlation, done, seq),
        "done": done,
        "refused": refused,
        "left_out": left_out,
        "kept": kept,
        "at": parse_rfc3339(kept["at"]) if kept else None,
        "has_lines": bool(lines),
    }
    return render_page(request, principal, "agents/bulk_result.html", context)


def _timeline_query(correlation: str, done: Sequence[Done], last: int | None) -> str:
    """In the timeline's own language. With the places, so that it need not look far."""
    places = f" seq:{done[0].first_seq}..{last}" if done else ""
    return f"correlation:{correlation}{places}"


def _done(tenant: str, correlation: str, last: int, lines: Mapping[str, int]) -> list[Done]:
    """Of the events up to `last` those of the bulk, gathered by agent in the order of the log."""
    rows = Event.objects.filter(
        tenant=tenant,
        seq__gt=last - LOOKED_AT,
        seq__lte=last,
        correlation_id=correlation,
        stream_type=STREAM,
    ).order_by("seq")
    found: dict[str, Done] = {}
    for seq, event_id, agent_id, kind, data in rows.values_list(
        "seq", "event_id", "stream_id", "type", "data"
    ):
        each = found.setdefault(agent_id, Done(agent_id, seq, lines.get(agent_id)))
        words = _aside(kind, data)
        if words:
            each.words.append(words)
        if not each.event_id or kind not in _ASIDE:
            each.event_id, each.type, each.seq = event_id, kind, seq
    return list(found.values())


def _aside(kind: str, data: str) -> str:
    if kind not in _ASIDE:
        return ""
    try:
        said: Mapping[str, Any] = msgspec.json.decode(data)
        if kind == "AgentTaskFailedEvent":
            return f"its task {said['task_id']} failed"
        return f"{said['from_status']} → {said['to_status']}"
    except (msgspec.DecodeError, LookupError, TypeError):
        return ""  # a damaged row, which its page shows raw


def _not_done(told: Mapping[str, str], lines: Mapping[str, int]) -> list[NotDone]:
    return [NotDone(agent_id, why, lines.get(agent_id)) for agent_id, why in told.items()]
