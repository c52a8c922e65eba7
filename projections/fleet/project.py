"""What each event makes of its agent's row: the fields that it changes, and nothing else."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from events.facts import DomainEvent, Envelope
from events.readmodels import Key, Known
from events.vocabulary import (
    AgentActivatedEvent,
    AgentCapabilityAddedEvent,
    AgentCapabilityUpgradedEvent,
    AgentCreatedEvent,
    AgentDetailsChangedEvent,
    AgentHealthCheckFailedEvent,
    AgentHealthCheckPassedEvent,
    AgentPausedEvent,
    AgentResumedEvent,
    AgentStatusChangedEvent,
    AgentTaskAssignedEvent,
    AgentTaskCompletedEvent,
    AgentTaskFailedEvent,
    AgentTerminatedEvent,
)
from projections.fleet.rows import HEALTHY, UNHEALTHY, FleetAgent

Changes = dict[str, Any]

MILLISECOND = timedelta(milliseconds=1)


def project(event: Any, known: Known) -> tuple[FleetAgent, ...]:
    if type(event) is AgentCreatedEvent:
        return (_created(event),)
    agent = known(FleetAgent, event.agent_id)
    if agent is None:
        return ()  # a history without a creation was not written by our commands
    place = event.envelope
    changes = _CHANGES[type(event)](agent, event)
    return (replace(agent, version=place.stream_version, seq=place.seq, **changes),)


def touches(event: Any) -> Iterable[tuple[type[FleetAgent], Key]]:
    return ((FleetAgent, (event.agent_id,)),)


def _created(event: AgentCreatedEvent) -> FleetAgent:
    place: Envelope = event.envelope  # type: ignore[assignment]  # it has been in a log
    return FleetAgent(
        event.agent_id,
        event.name,
        event.agent_type,
        _text(event.tags),
        place.stream_version,
        place.seq,
    )


def _nothing(agent: FleetAgent, event: DomainEvent) -> Changes:
    return {}


def _details_changed(agent: FleetAgent, event: AgentDetailsChangedEvent) -> Changes:
    new = event.changed
    return {
        "name": new.get("name", agent.name),
        "tags": _text(new["tags"]) if "tags" in new else agent.tags,
    }


def _status_changed(agent: FleetAgent, event: AgentStatusChangedEvent) -> Changes:
    return {"status": event.to_status}


def _seen(agent: FleetAgent, event: AgentHealthCheckPassedEvent) -> Changes:
    return {
        "health": HEALTHY,
        "last_seen": event.checked_at,
        "success_rate": float(event.success_rate),
        "response_time_ms": float(event.response_time_ms),
        "cpu_usage_percent": float(event.cpu_usage_percent),
        "memory_usage_percent": float(event.memory_usage_percent),
        **_outage_over(agent, event.checked_at),
    }


def _found_unhealthy(agent: FleetAgent, event: AgentHealthCheckFailedEvent) -> Changes:
    return {
        "health": UNHEALTHY,
        "unhealthy_since": agent.unhealthy_since or event.checked_at,
        "outages": agent.outages + (agent.unhealthy_since is None),
        "last_outage_reason": event.reason,
    }


def _outage_over(agent: FleetAgent, moment: datetime) -> Changes:
    since = agent.unhealthy_since
    if since is None:
        return {}
    lasted = max(0, (moment - since) // MILLISECOND)  # two machines' clocks may disagree
    return {"unhealthy_since": None, "downtime_ms": agent.downtime_ms + lasted}


def _assigned(agent: FleetAgent, event: AgentTaskAssignedEvent) -> Changes:
    return {"current_task_id": event.task_id}


def _completed(agent: FleetAgent, event: AgentTaskCompletedEvent) -> Changes:
    return {
        "current_task_id": None,
        "tasks_completed": agent.tasks_completed + 1,
        "consecutive_failures": 0,
    }


def _failed(agent: FleetAgent, event: AgentTaskFailedEvent) -> Changes:
    return {
        "current_task_id": None,
        "tasks_failed": agent.tasks_failed + 1,
        "consecutive_failures": agent.consecutive_failures + 1,
    }


def _paused(agent: FleetAgent, event: AgentPausedEvent) -> Changes:
    return {"paused_until": event.until}


def _resumed(agent: FleetAgent, event: AgentResumedEvent) -> Changes:
    return {"paused_until": None}


def _terminated(agent: FleetAgent, event: AgentTerminatedEvent) -> Changes:
    # Nobody watches it any more: an outage that went on for ever would spoil every sum.
    return {"paused_until": None, **_outage_over(agent, event.terminated_at)}


def _text(tags: Iterable[str]) -> str:
    return msgspec.json.encode(tags).decode()


# By exact type: one lookup per event is what keeps a long rebuild short.
_CHANGES: dict[type[DomainEvent], Callable[[FleetAgent, Any], Changes]] = {
    AgentActivatedEvent: _nothing,  # the change of status comes beside it
    AgentDetailsChangedEvent: _details_changed,
    AgentCapabilityAddedEvent: _nothing,
    AgentCapabilityUpgradedEvent: _nothing,
    AgentTaskAssignedEvent: _assigned,
    AgentTaskCompletedEvent: _completed,
    AgentTaskFailedEvent: _failed,
    AgentStatusChangedEvent: _status_changed,
    AgentHealthCheckPassedEvent: _seen,
    AgentHealthCheckFailedEvent: _found_unhealthy,
    AgentPausedEvent: _paused,
    AgentResumedEvent: _resumed,
    AgentTerminatedEvent: _terminated,
}
