"""A task's way: given to an agent, and ended well or badly by that agent alone."""

from datetime import datetime

from agents.domain import limits
from agents.domain.decide.conclusion import concluded
from agents.domain.errors import RuleViolated
from agents.domain.state import Agent, Status
from events.facts import JSON, DomainEvent, Number
from events.vocabulary import (
    AgentTaskAssignedEvent,
    AgentTaskCompletedEvent,
    AgentTaskFailedEvent,
    Usage,
)


def assign(agent: Agent, *, task_id: str, input: JSON = None, now: datetime) -> list[DomainEvent]:
    """Gives an available agent a task. That no other agent holds it is for the log to enforce."""
    limits.check_task_id(task_id)
    limits.check_task_payload(input, "input")
    if agent.status is not Status.AVAILABLE:
        raise RuleViolated(
            _why_not_available(agent),
            rule="agent_not_available",
            current_task_id=agent.current_task_id,
        )
    fact = AgentTaskAssignedEvent(
        agent.agent_id, task_id=task_id, assigned_at=now, input=input, occurred_at=now
    )
    return concluded(agent, now, fact)


def _why_not_available(agent: Agent) -> str:
    status = agent.status
    if agent.current_task_id is not None:
        return (
            f"{agent.agent_id} works on {agent.current_task_id}. "
            "Wait until it has ended, or choose another agent."
        )
    next_step = {
        Status.REGISTERED: "Activate it first.",
        Status.PAUSED: "Resume it first, or choose another agent.",
        Status.UNHEALTHY: "Wait for its next heartbeat, or choose another agent.",
        Status.TERMINATED: "Choose another agent.",
    }[status]
    return f"{agent.agent_id} takes no task: it is {status}. {next_step}"


def complete(
    agent: Agent,
    *,
    task_id: str,
    execution_time_ms: Number,
    result: JSON = None,
    usage: Usage | None = None,
    now: datetime,
) -> list[DomainEvent]:
    """Ends the current task well, whatever became of the agent meanwhile."""
    limits.check_task_id(task_id)
    limits.check_milliseconds(execution_time_ms, "execution_time_ms")
    limits.check_task_payload(result, "result")
    limits.check_usage(usage)
    _refuse_task_not_current(agent, task_id)
    fact = AgentTaskCompletedEvent(
        agent.agent_id,
        task_id=task_id,
        result=result,
        execution_time_ms=execution_time_ms,
        completed_at=now,
        usage=usage,
        occurred_at=now,
    )
    return concluded(agent, now, fact)


def fail(
    agent: Agent,
    *,
    task_id: str,
    error_message: str,
    error_code: str | None = None,
    now: datetime,
) -> list[DomainEvent]:
    """Ends the current task badly, whatever became of the agent meanwhile."""
    limits.check_task_id(task_id)
    limits.check_error(error_message, error_code)
    _refuse_task_not_current(agent, task_id)
    return concluded(agent, now, task_failed(agent, task_id, error_message, error_code, now))


def task_failed(
    agent: Agent, task_id: str, message: str, code: str | None, now: datetime
) -> AgentTaskFailedEvent:
    return AgentTaskFailedEvent(
        agent.agent_id,
        task_id=task_id,
        error_message=message,
        error_code=code,
        failed_at=now,
        occurred_at=now,
    )


def _refuse_task_not_current(agent: Agent, task_id: str) -> None:
    current = agent.current_task_id
    if task_id != current:
        instead = "has no task" if current is None else f"works on {current}"
        raise RuleViolated(
            f"Task {task_id} is not current; {agent.agent_id} {instead}.",
            rule="task_not_current",
            current_task_id=current,
        )
