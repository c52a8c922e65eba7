"""An agent's life as people want it: made, described, put to work, held back, ended."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import UNSET, UnsetType

from agents.domain import limits
from agents.domain.decide.conclusion import concluded
from agents.domain.decide.tasks import task_failed
from agents.domain.errors import RuleViolated
from agents.domain.state import Agent, Intent
from events.facts import JSON, DomainEvent
from events.vocabulary import (
    AgentActivatedEvent,
    AgentCreatedEvent,
    AgentDetailsChangedEvent,
    AgentPausedEvent,
    AgentResumedEvent,
    AgentTerminatedEvent,
    Capability,
    ChangedDetails,
)

AGENT_TERMINATED = "AGENT_TERMINATED"


def create(
    *,
    agent_id: str,
    tenant_id: str,
    name: str,
    capabilities: Sequence[Capability],
    description: str = "",
    agent_type: str = "",
    tags: Sequence[str] = (),
    metadata: dict[str, JSON] | None = None,
    health_check_timeout_seconds: int = 90,
    now: datetime,
) -> list[DomainEvent]:
    """A new agent, registered. That its id is new in the tenant is for the log to enforce."""
    metadata = {} if metadata is None else metadata
    limits.check_agent_id(agent_id)
    limits.check_name(name)
    limits.check_description(description)
    limits.check_agent_type(agent_type)
    limits.check_capabilities(capabilities)
    limits.check_tags(tags)
    limits.check_metadata(metadata)
    limits.check_timeout(health_check_timeout_seconds)
    return [
        AgentCreatedEvent(
            agent_id,
            tenant_id=tenant_id,
            name=name,
            description=description,
            agent_type=agent_type,
            capabilities=tuple(capabilities),
            tags=tuple(tags),
            metadata=metadata,
            health_check_timeout_seconds=health_check_timeout_seconds,
            occurred_at=now,
        )
    ]


def update(
    agent: Agent,
    *,
    name: str | UnsetType = UNSET,
    description: str | UnsetType = UNSET,
    tags: Sequence[str] | UnsetType = UNSET,
    metadata: dict[str, JSON] | UnsetType = UNSET,
    health_check_timeout_seconds: int | UnsetType = UNSET,
    now: datetime,
) -> list[DomainEvent]:
    """Other details: a value left UNSET stays. Nothing happened when no value really differs."""
    wanted = ChangedDetails()
    if name is not UNSET:
        limits.check_name(name)
        wanted["name"] = name
    if description is not UNSET:
        limits.check_description(description)
        wanted["description"] = description
    if tags is not UNSET:
        limits.check_tags(tags)
        wanted["tags"] = list(tags)
    if metadata is not UNSET:
        limits.check_metadata(metadata)
        wanted["metadata"] = metadata
    if health_check_timeout_seconds is not UNSET:
        limits.check_timeout(health_check_timeout_seconds)
        wanted["health_check_timeout_seconds"] = health_check_timeout_seconds
    refuse_terminated(agent, "be changed")
    changed = _what_differs(agent, wanted)
    if not changed:
        return []
    fact = AgentDetailsChangedEvent(agent.agent_id, changed=changed, occurred_at=now)
    return concluded(agent, now, fact)


def _what_differs(agent: Agent, wanted: ChangedDetails) -> ChangedDetails:
    # As JSON, since to Python 1, 1.0 and True are all the same.
    text_of = msgspec.json.Encoder(order="deterministic").encode
    changed = wanted.copy()
    for field, value in wanted.items():
        if text_of(getattr(agent, field)) == text_of(value):
            del changed[field]  # type: ignore[misc]  # field is one of its own keys
    return changed


def activate(agent: Agent, *, now: datetime) -> list[DomainEvent]:
    """Puts a registered agent into service."""
    if agent.intent is not Intent.REGISTERED:
        next_step = {
            Intent.ACTIVE: "There is nothing left to do.",
            Intent.PAUSED: "Resume it instead.",
            Intent.TERMINATED: "Create a new one.",
        }[agent.intent]
        raise RuleViolated(
            f"Only a registered agent is activated; {agent.agent_id} is {agent.intent}. "
            f"{next_step}",
            rule="agent_not_registered",
        )
    return concluded(
        agent, now, AgentActivatedEvent(agent.agent_id, activated_at=now, occurred_at=now)
    )


def pause(
    agent: Agent, *, reason: str, until: datetime | None = None, now: datetime
) -> list[DomainEvent]:
    """No new task for an active agent, for good or until a moment; it may finish the one it has."""
    limits.check_reason(reason)
    if until is not None:
        limits.check_until(until, now=now)
        until = until.astimezone(UTC)
    if agent.intent is not Intent.ACTIVE:
        next_step = {
            Intent.REGISTERED: "Activate it first.",
            Intent.PAUSED: "Resume it first to pause it anew.",
            Intent.TERMINATED: "Create a new one.",
        }[agent.intent]
        raise RuleViolated(
            f"Only an active agent can be paused; {agent.agent_id} is {agent.intent}. {next_step}",
            rule="agent_not_active",
        )
    fact = AgentPausedEvent(
        agent.agent_id, reason=reason, until=until, paused_at=now, occurred_at=now
    )
    return concluded(agent, now, fact)


def resume(agent: Agent, *, reason: str | None = None, now: datetime) -> list[DomainEvent]:
    """Lets a paused agent take tasks again."""
    limits.check_optional_reason(reason)
    if agent.intent is not Intent.PAUSED:
        next_step = {
            Intent.REGISTERED: "Activate it instead.",
            Intent.ACTIVE: "There is nothing left to do.",
            Intent.TERMINATED: "Create a new one.",
        }[agent.intent]
        raise RuleViolated(
            f"Only a paused agent can be resumed; {agent.agent_id} is {agent.intent}. {next_step}",
            rule="agent_not_paused",
        )
    fact = AgentResumedEvent(agent.agent_id, reason=reason, resumed_at=now, occurred_at=now)
    return concluded(agent, now, fact)


def terminate(
    agent: Agent, *, reason: str, force: bool = False, now: datetime
) -> list[DomainEvent]:
    """Ends an agent's life, once. One with a task needs force, which fails the task first."""
    limits.check_reason(reason)
    refuse_terminated(agent, "be terminated again", "There is nothing left to do.")
    facts: list[DomainEvent] = []
    task_id = agent.current_task_id
    if task_id is not None:
        if not force:
            raise RuleViolated(
                f"{agent.agent_id} works on {task_id}. Pause it and wait until the task has ended, "
                "or terminate it with force, which fails the task.",
                rule="agent_busy",
                current_task_id=task_id,
            )
        message = f"{agent.agent_id} was terminated: {reason}"
        facts.append(task_failed(agent, task_id, message, AGENT_TERMINATED, now))
    facts.append(
        AgentTerminatedEvent(
            agent.agent_id,
            reason=reason,
            tasks_completed=agent.tasks_completed,
            tasks_failed=agent.tasks_failed + len(facts),
            terminated_at=now,
            occurred_at=now,
        )
    )
    return concluded(agent, now, *facts)


def refuse_terminated(agent: Agent, what: str, next_step: str = "Create a new one.") -> None:
    if agent.intent is Intent.TERMINATED:
        raise RuleViolated(
            f"{agent.agent_id} is terminated and cannot {what}. {next_step}",
            rule="agent_terminated",
        )
