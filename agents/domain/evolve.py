"""What each fact makes of an agent.

Facts are history: evolve asks no rule and refuses nothing, whatever the order they come in. Rules
live in `decide`.
"""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from agents.domain.errors import AgentNotCreated
from agents.domain.state import Agent, Health, Intent
from events.facts import DomainEvent
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
    Capability,
)


def evolve(agent: Agent | None, event: DomainEvent) -> Agent:
    """The agent after the event. Raises AgentNotCreated when another fact comes before creation."""
    if agent is None:
        return _created(event)
    return _CHANGES[type(event)](agent, event)


def fold(events: Iterable[DomainEvent], agent: Agent | None = None) -> Agent:
    """The agent after all the events, from nothing or from an agent that was there before.

    Raises AgentNotCreated when there is neither an agent nor an AgentCreatedEvent to begin with.
    """
    following = iter(events)
    if agent is None:
        agent = _created(next(following, None))
    for event in following:
        agent = _CHANGES[type(event)](agent, event)
    return agent


def _created(event: DomainEvent | None) -> Agent:
    if not isinstance(event, AgentCreatedEvent):
        first = "no event at all" if event is None else f"{event.type} of {event.agent_id}"
        raise AgentNotCreated(f"A history begins with AgentCreatedEvent, but here is {first}.")
    return Agent(
        agent_id=event.agent_id,
        tenant_id=event.tenant_id,
        name=event.name,
        description=event.description,
        agent_type=event.agent_type,
        capabilities=event.capabilities,
        tags=event.tags,
        metadata=event.metadata,
        health_check_timeout_seconds=event.health_check_timeout_seconds,
        created_at=event.occurred_at,
    )


def _unchanged(agent: Agent, event: DomainEvent) -> Agent:
    return agent


def _activated(agent: Agent, event: AgentActivatedEvent) -> Agent:
    return replace(agent, intent=Intent.ACTIVE, activated_at=event.activated_at)


def _details_changed(agent: Agent, event: AgentDetailsChangedEvent) -> Agent:
    new = event.changed
    return replace(
        agent,
        name=new.get("name", agent.name),
        description=new.get("description", agent.description),
        tags=tuple(new.get("tags", agent.tags)),
        metadata=new.get("metadata", agent.metadata),
        health_check_timeout_seconds=new.get(
            "health_check_timeout_seconds", agent.health_check_timeout_seconds
        ),
    )


def _capability_added(agent: Agent, event: AgentCapabilityAddedEvent) -> Agent:
    return _at_level(agent, event.capability_name, event.proficiency_level)


def _capability_upgraded(agent: Agent, event: AgentCapabilityUpgradedEvent) -> Agent:
    return _at_level(agent, event.capability_name, event.to_level)


def _at_level(agent: Agent, name: str, level: int) -> Agent:
    """The capability keeps its place, or comes last when it is new."""
    learnt = Capability(name, level)
    if agent.level_of(name) is None:
        return replace(agent, capabilities=(*agent.capabilities, learnt))
    return replace(
        agent, capabilities=tuple(learnt if c.name == name else c for c in agent.capabilities)
    )


def _task_assigned(agent: Agent, event: AgentTaskAssignedEvent) -> Agent:
    return replace(
        agent,
        current_task_id=event.task_id,
        current_task_assigned_at=event.assigned_at,
        tasks_assigned=agent.tasks_assigned + 1,
    )


def _task_completed(agent: Agent, event: AgentTaskCompletedEvent) -> Agent:
    return replace(
        agent,
        current_task_id=None,
        current_task_assigned_at=None,
        tasks_completed=agent.tasks_completed + 1,
        last_task_ended_at=event.completed_at,
    )


def _task_failed(agent: Agent, event: AgentTaskFailedEvent) -> Agent:
    return replace(
        agent,
        current_task_id=None,
        current_task_assigned_at=None,
        tasks_failed=agent.tasks_failed + 1,
        last_task_ended_at=event.failed_at,
    )


def _health_check_passed(agent: Agent, event: AgentHealthCheckPassedEvent) -> Agent:
    return replace(
        agent,
        health=Health.HEALTHY,
        last_seen=event.checked_at,
        success_rate=event.success_rate,
        response_time_ms=event.response_time_ms,
        cpu_usage_percent=event.cpu_usage_percent,
        memory_usage_percent=event.memory_usage_percent,
    )


def _health_check_failed(agent: Agent, event: AgentHealthCheckFailedEvent) -> Agent:
    return replace(agent, health=Health.UNHEALTHY)


def _paused(agent: Agent, event: AgentPausedEvent) -> Agent:
    return replace(agent, intent=Intent.PAUSED, paused_until=event.until, pause_reason=event.reason)


def _resumed(agent: Agent, event: AgentResumedEvent) -> Agent:
    return replace(agent, intent=Intent.ACTIVE, paused_until=None, pause_reason=None)


def _terminated(agent: Agent, event: AgentTerminatedEvent) -> Agent:
    return replace(
        agent,
        intent=Intent.TERMINATED,
        terminated_at=event.terminated_at,
        paused_until=None,
        pause_reason=None,
    )


# By exact type: one lookup per event is what keeps a long replay short.
_CHANGES: dict[type[DomainEvent], Callable[[Agent, Any], Agent]] = {
    AgentCreatedEvent: _unchanged,  # an agent is created once
    AgentActivatedEvent: _activated,
    AgentDetailsChangedEvent: _details_changed,
    AgentCapabilityAddedEvent: _capability_added,
    AgentCapabilityUpgradedEvent: _capability_upgraded,
    AgentTaskAssignedEvent: _task_assigned,
    AgentTaskCompletedEvent: _task_completed,
    AgentTaskFailedEvent: _task_failed,
    AgentStatusChangedEvent: _unchanged,  # the status is derived
    AgentHealthCheckPassedEvent: _health_check_passed,
    AgentHealthCheckFailedEvent: _health_check_failed,
    AgentPausedEvent: _paused,
    AgentResumedEvent: _resumed,
    AgentTerminatedEvent: _terminated,
}
