"""GET /agents/{id}/diff: what changed about an agent between two of its versions."""

from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request

from agents import diff
from agents.api import shapes
from agents.api.door import AgentDoor, as_it_stood
from agents.current import Loaded
from agents.diff import Backwards, Change, Diff
from agents.history import Point, VersionNotReached
from events.api.openapi.operation import Operation, Parameter
from events.api.openapi.shape import whole
from events.api.problem import invalid_parameter
from events.moments import rfc3339


class AgentDiff(AgentDoor):
    """`from` 0 is before the agent was created; without `to` it is the agent as it stands."""

    known: ClassVar = {"GET": ("from", "to", "min_seq")}
    parameters: ClassVar = {
        **shapes.PARAMETERS,
        "from": Parameter(
            whole(), "The version to begin at; 0 is before the agent was created.", required=True
        ),
        "to": Parameter(whole(1), "The version to end at. Without it the agent as it stands."),
    }
    operations: ClassVar = {
        "GET": Operation(
            "diff_agent",
            "agents",
            "What changed about an agent between two versions",
            "The net difference: what changed and changed back is not in it.",
            answer=shapes.DIFF,
            has_etag=True,
        )
    }

    def get(self, request: Request, **_: str) -> HttpResponse:
        start, end = self.query.whole("from"), self.query.whole("to", least=1)
        if start is None:
            raise invalid_parameter("from", "is missing. Name the version to begin at, or 0.")
        head = self.head_seq()
        until = Point(version=end) if end is not None else Point(seq=head)
        try:
            found = diff.diff(self.tenant, self.agent_id, Point(version=start), until)
        except VersionNotReached as error:
            name = "to" if error.version == end else "from"
            raise invalid_parameter(name, "is one that the agent has not reached.") from None
        except Backwards as error:
            raise invalid_parameter("from", str(error)) from None
        seq = found.end.seq if end is not None else head
        return as_it_stood(request, _diff_json(self.agent_id, found), found.end.version, seq)


def _diff_json(agent_id: str, found: Diff) -> dict[str, Any]:
    return {
        "agent_id": agent_id,
        "from": _place(found.start),
        "to": _place(found.end),
        "changes": [_change_json(each) for each in found.changes],
    }


def _place(loaded: Loaded | None) -> dict[str, Any]:
    if loaded is None:
        return {"version": 0, "seq": None}
    return {"version": loaded.version, "seq": loaded.seq}


def _change_json(change: Change) -> dict[str, Any]:
    event = change.event
    return {
        "op": change.op,
        "path": change.path,
        "old": change.old,
        "new": change.new,
        "event": {
            "event_id": str(event.event_id),
            "seq": event.seq,
            "version": event.version,
            "type": event.type,
            "recorded_at": rfc3339(event.recorded_at),
            "actor": event.actor,
            "reason": event.reason,
        },
    }
