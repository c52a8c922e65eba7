"""The page of an event with what the other rooms know of it."""

from dataclasses import dataclass

import msgspec

from agents import diff
from agents.current import AgentNotFound
from agents.diff import Backwards, Change
from agents.domain.errors import AgentNotCreated
from agents.history import Point
from events.access import Principal
from events.cloudevents import AGENT_STREAM
from events.models import Event
from events.pages import log
from events.pages.log import Panel

ABSENT = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One path of the agent; before and after as JSON, empty where there was no such path."""

    path: str
    before: str
    after: str


def change_of_agent(principal: Principal, event: Event) -> Panel | None:
    """What the event changed about its agent, path by path."""
    if event.stream_type != AGENT_STREAM or not principal.sees_agent(event.stream_id):
        return None
    before, after = Point(version=event.version - 1), Point(version=event.version)
    try:
        changes = diff.diff(principal.tenant, event.stream_id, before, after).changes
    except (AgentNotCreated, AgentNotFound, Backwards, msgspec.DecodeError, LookupError):
        return None  # events that make no agent, as a foreign log may hold them
    # At its creation an agent has many values that only say that nothing is there yet.
    told = [each for each in changes if each.op != "add" or each.new is not None]
    context = {"rows": [_row(each) for each in told]}
    return Panel("Before and after", "events/change.html", context)


def _row(change: Change) -> Row:
    return Row(
        change.path,
        ABSENT if change.op == "add" else _json(change.old),
        ABSENT if change.op == "remove" else _json(change.new),
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


event_page = log.event_page(change_of_agent)
