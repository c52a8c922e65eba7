"""The commands: load, decide, append. One function each, keyword-only, and no more than it says.

Every command takes the tenant's slug, the agent's id and `by`, a Context: who acts, why, and in
which chain of causes; `request` is what a door may add (see `agents.command.Request`), `now` the
moment, which only tests and replays name. It returns an Outcome, or raises

    AgentNotFound     no such agent
    InvalidCommand    a value no agent could take
    RuleViolated      the agent's state, or another agent's hold on a task, forbids it
    AlreadyExists     create: the id is taken
    VersionMismatch   a version was named and the agent is at another
    RaceLost          others were first every time, in a bounded number of tries
    ClaimLost         the rows contradict the log about the agent's task; rebuild them
    AnsweredBefore    an idempotency key was named and the same request was recorded meanwhile
    TenantUnknown     there is no such tenant
    CannotSeal        its payloads are confidential, and the key that encrypts is not configured
"""

import secrets
from collections.abc import Sequence
from datetime import datetime

from msgspec import UNSET, UnsetType

from agents import routing
from agents.candidates import Wanted
from agents.command import NOTHING_SPECIAL, Outcome, Request, run, run_creation
from agents.domain import decide
from agents.domain.routing import ANYBODY, Preference, Requirement
from events.facts import JSON, Number, utc_now
from events.idempotency import Once
from events.log.proposal import Context
from events.vocabulary import Capability, Usage


def new_agent_id() -> str:
    """For an agent whose maker names none."""
    return f"agent-{secrets.token_hex(6)}"


def create_agent(
    *,
    tenant: str,
    agent_id: str | None = None,
    name: str,
    capabilities: Sequence[Capability],
    description: str = "",
    agent_type: str = "",
    tags: Sequence[str] = (),
    metadata: dict[str, JSON] | None = None,
    health_check_timeout_seconds: int = 90,
    by: Context,
    request: Request = NOTHING_SPECIAL,
    now: datetime | None = None,
) -> Outcome:
    """Register a new agent; without an id it gets one."""
    agent_id = new_agent_id() if agent_id is None else agent_id
    facts = decide.create(
        agent_id=agent_id,
        tenant_id=tenant,
        name=name,
        capabilities=capabilities,
        description=description,
        agent_type=agent_type,
        tags=tags,
        metadata=metadata,
        health_check_timeout_seconds=health_check_timeout_seconds,
        now=now or utc_now(),
    )
    return run_creation(tenant, agent_id, facts, by, request)


def update_agent(
    *,
    tenant: str,
    agent_id: str,
    name: str | UnsetType = UNSET,
    description: str | UnsetType = UNSET,
    tags: Sequence[str] | UnsetType = UNSET,
    metadata: dict[str, JSON] | UnsetType = UNSET,
    health_check_timeout_seconds: int | UnsetType = UNSET,
    by: Context,
    request: Request = NOTHING_SPECIAL,
    now: datetime | None = None,
) -> Outcome:
    """Change an agent's details; what is left UNSET stays."""
    return run(
        tenant,
        agent_id,
        lambda agent: decide.update(
            agent,
            name=name,
            description=description,
            tags=tags,
            metadata=metadata,
            health_check_timeout_seconds=health_check_timeout_seconds,
            now=now or utc_now(),
        ),
        by,
        request,
    )


def activate_agent(
    *,
    tenant: str,
    agent_id: str,
    by: Context,
    request: Request = NOTHING_SPECIAL,
    now: datetime | None = None,
) -> Outcome:
    """Put a registered agent into service."""
    return run(
        tenant,
        agent_id,
        lambda agent: decide.activate(agent, now=now or utc_now()),
        by,
        request,
    )


def pause_agent(
    *,
    tenant: str,
    agent_id: str,
    reason: str,
    until: datetime | None = None,
    by: Context,
    request: Request = NOTHING_SPECIAL,
    now: datetime | None = None,
) -> Outcome:
    """Take an active agent out of work, for good or until a moment; it may finish its task."""
    return run(
        tenant,
        agent_id,
        lambda agent: decide.pause(agent, reason=reason, until=until, now=now or utc_now()),
        by,
        request,
    )


def resume_agent(
    *,
    tenant: str,
    agent_id: str,
    reason: str | None = None,
    by: Context,
    request: Request = NOTHING_SPECIAL,
    now: datetime | None = None,
) -> Outcome:
    """Let a paused agent take tasks again."""
    return run(
        tenant,
        agent_id,
        lambda agent: decide.resume(agent, reason=reason, now=now or utc_now()),
        by,
        request,
    )


def terminate_agent(
    *,
    tenant: str,
    agent_id: str,
    reason: str,
    force: bool = False,
    by: Context,
    request: Request = NOTHING_SPECIAL,
    now: datetime | None = None,
) -> Outcome:
    """End an agent's life; one with a task needs `force`, which fails the task first."""
    return run(
        tenant,
        agent_id,
        lambda agent: decide.terminate(agent, reason=reason, force=force, now=now or utc_now()),
        by,
        request,
    )


def add_capability(
    *,
    tenant: str,
    agent_id: str,
    name: str,
    proficiency_level: int,
    by: Context,
    request: Request = NOTHING_SPECIAL,
    now: datetime | None = None,
) -> Outcome:
    """Give an agent a new capability at a level of 1 to 5."""
    return run(
        tenant,
        agent_id,
        lambda agent: decide.add_capability(
            agent, name=name, proficiency_level=proficiency_level, now=now or utc_now()
        ),
        by,
        request,
    )


def upgrade_capability(
    *,
    tenant: str,
    agent_id: str,
    name: str,
    proficiency_level: int,
    by: Context,
    request: Request = NOTHING_SPECIAL,
    now: datetime | None = None,
) -> Outcome:
    """Raise the level of a capability."""
    return run(
        tenant,
        agent_id,
        lambda agent: decide.upgrade_capability(
            agent, name=name, proficiency_level=proficiency_level, now=now or utc_now()
        ),
        by,
        request,
    )


def record_heartbeat(
    *,
    tenant: str,
    agent_id: str,
    success_rate: Number,
    response_time_ms: Number,
    cpu_usage_percent: Number,
    memory_usage_percent: Number,
    by: Context,
    request: Request = NOTHING_SPECIAL,
    now: datetime | None = None,
) -> Outcome:
    """The agent is alive and says how it does; ends an outage."""
    return run(
        tenant,
        agent_id,
        lambda agent: decide.health_passed(
            agent,
            success_rate=success_rate,
            response_time_ms=response_time_ms,
            cpu_usage_percent=cpu_usage_percent,
            memory_usage_percent=memory_usage_percent,
            now=now or utc_now(),
        ),
        by,
        request,
    )


def record_health_failure(
    *,
    tenant: str,
    agent_id: str,
    reason: str,
    by: Context,
    request: Request = NOTHING_SPECIAL,
    now: datetime | None = None,
) -> Outcome:
    """A person or a monitor found the agent unhealthy; one outage is recorded once."""
    return run(
        tenant,
        agent_id,
        lambda agent: decide.health_failed(agent, reason=reason, now=now or utc_now()),
        by,
        request,
    )


def assign_task(
    *,
    tenant: str,
    agent_id: str,
    task_id: str,
    input: JSON = None,
    by: Context,
    request: Request = NOTHING_SPECIAL,
    now: datetime | None = None,
) -> Outcome:
    """Give an available agent a task that nobody else in the tenant holds or has completed."""
    return run(
        tenant,
        agent_id,
        lambda agent: decide.assign(agent, task_id=task_id, input=input, now=now or utc_now()),
        by,
        request,
    )


def route_task(
    *,
    tenant: str,
    task_id: str,
    required: Sequence[Requirement],
    prefer: Preference = ANYBODY,
    input: JSON = None,
    by: Context,
    render: routing.Render | None = None,
    once: Once | None = None,
    now: datetime | None = None,
) -> Outcome:
    """Give a task to the best available agent that can do it (`agents.domain.routing` says who is).

    `render` makes the door's answer of the agent with its task, how well it is suited, and what is
    recorded.
    Raises NoAgent and TooManyOthers too; whether the task is taken is asked before any candidate.
    """
    order = routing.Order(task_id=task_id, wanted=Wanted(required, prefer), input=input)
    return routing.assign_to_best(tenant, order, by, render=render, once=once, now=now)


def complete_task(
    *,
    tenant: str,
    agent_id: str,
    task_id: str,
    execution_time_ms: Number,
    result: JSON = None,
    usage: Usage | None = None,
    by: Context,
    request: Request = NOTHING_SPECIAL,
    now: datetime | None = None,
) -> Outcome:
    """End the agent's current task well."""
    return run(
        tenant,
        agent_id,
        lambda agent: decide.complete(
            agent,
            task_id=task_id,
            execution_time_ms=execution_time_ms,
            result=result,
            usage=usage,
            now=now or utc_now(),
        ),
        by,
        request,
    )


def fail_task(
    *,
    tenant: str,
    agent_id: str,
    task_id: str,
    error_message: str,
    error_code: str | None = None,
    by: Context,
    request: Request = NOTHING_SPECIAL,
    now: datetime | None = None,
) -> Outcome:
    """End the agent's current task badly."""
    return run(
        tenant,
        agent_id,
        lambda agent: decide.fail(
            agent,
            task_id=task_id,
            error_message=error_message,
            error_code=error_code,
            now=now or utc_now(),
        ),
        by,
        request,
    )


def let_time_pass(
    *,
    tenant: str,
    agent_id: str,
    by: Context,
    heard_since: datetime | None = None,
    now: datetime | None = None,
) -> Outcome:
    """Record what time alone demands: an ended pause, an outage, a lost task. Often nothing.

    Silence proves nothing before `heard_since`, where that is given.
    """
    return run(
        tenant,
        agent_id,
        lambda agent: decide.time_passes(agent, heard_since=heard_since, now=now or utc_now()),
        by,
    )
