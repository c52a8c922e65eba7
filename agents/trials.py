"""What befell an agent while it had a task: the part of its stream between assignment and end."""

from dataclasses import dataclass

from django.db.models import Q

from agents.current import STREAM
from events.models import Event

WINDOW = 2_000  # versions of the stream that are looked at, however long the task lasts
SHOWN = 50
ENDINGS = ("AgentTaskCompletedEvent", "AgentTaskFailedEvent")
HEARTBEAT = "AgentHealthCheckPassedEvent"  # of which a long task has thousands, all alike


@dataclass(frozen=True, slots=True)
class Trial:
    """events: in their order, without heartbeats. has_gap: whether there may be more before the
    last ones, which are the task's end."""

    events: list[Event]
    has_gap: bool


def between(tenant: str, agent_id: str, assigned: int, ended: int | None) -> Trial:
    """assigned, ended: versions of the agent's stream. Where `ended` is None the end is looked for
    within the WINDOW. At most two queries."""
    stream = Event.objects.filter(tenant=tenant, stream_type=STREAM, stream_id=agent_id)
    told = stream.exclude(type=HEARTBEAT).order_by("version")
    last = assigned + WINDOW if ended is None else min(ended + 1, assigned + WINDOW)
    found = list(told.filter(version__gte=assigned, version__lte=last)[: SHOWN + 1])
    events = _up_to_the_end(found, assigned)[:SHOWN]
    if ended is None:
        is_open = not any(each.type in ENDINGS for each in events)
        return Trial(events, has_gap=is_open and len(found) > SHOWN)
    if events and events[-1].version >= ended:
        return Trial(events, has_gap=False)
    end = Q(version=ended) | Q(version=ended + 1, type="AgentStatusChangedEvent")
    return Trial([*events, *told.filter(end)], has_gap=True)


def _up_to_the_end(events: list[Event], assigned: int) -> list[Event]:
    """Those of this task: an agent has one at a time, so the first end is its own. With it goes
    the change of status that the same command made."""
    for number, event in enumerate(events):
        if event.type in ENDINGS and event.version > assigned:
            following = events[number + 1 : number + 2]
            same = [each for each in following if each.type == "AgentStatusChangedEvent"]
            return [*events[: number + 1], *same]
    return events
