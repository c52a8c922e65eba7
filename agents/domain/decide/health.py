"""What is observed of an agent."""

from datetime import datetime

from agents.domain import limits
from agents.domain.decide.conclusion import concluded
from agents.domain.errors import RuleViolated
from agents.domain.state import Agent, Health, Intent
from events.facts import DomainEvent, Number
from events.vocabulary import AgentHealthCheckFailedEvent, AgentHealthCheckPassedEvent


def health_passed(
    agent: Agent,
    *,
    success_rate: Number,
    response_time_ms: Number,
    cpu_usage_percent: Number,
    memory_usage_percent: Number,
    now: datetime,
) -> list[DomainEvent]:
    """A heartbeat of an agent in service. It ends an outage."""
    limits.check_ratio(success_rate, "success_rate")
    limits.check_milliseconds(response_time_ms, "response_time_ms")
    limits.check_percent(cpu_usage_percent, "cpu_usage_percent")
    limits.check_percent(memory_usage_percent, "memory_usage_percent")
    _refuse_out_of_service(agent)
    fact = AgentHealthCheckPassedEvent(
        agent.agent_id,
        success_rate=success_rate,
        response_time_ms=response_time_ms,
        cpu_usage_percent=cpu_usage_percent,
        memory_usage_percent=memory_usage_percent,
        checked_at=now,
        occurred_at=now,
    )
    return concluded(agent, now, fact)


def health_failed(agent: Agent, *, reason: str, now: datetime) -> list[DomainEvent]:
    """A person or a monitor found an agent in service unhealthy. One outage is recorded once.

    The current task stays; `time_passes` fails it later.
    """
    limits.check_reason(reason)
    _refuse_out_of_service(agent)
    if agent.health is Health.UNHEALTHY:
        return []
    return concluded(agent, now, outage(agent, reason, now))


def outage(agent: Agent, reason: str, now: datetime) -> AgentHealthCheckFailedEvent:
    return AgentHealthCheckFailedEvent(
        agent.agent_id,
        reason=reason,
        last_seen=agent.last_seen,
        timeout_seconds=agent.health_check_timeout_seconds,
        checked_at=now,
        occurred_at=now,
    )


def _refuse_out_of_service(agent: Agent) -> None:
    if not agent.is_in_service:
        next_step = "Activate it" if agent.intent is Intent.REGISTERED else "Create a new one"
        raise RuleViolated(
            f"{agent.agent_id} is {agent.intent}, so its health is not watched. {next_step} first.",
            rule="agent_not_in_service",
        )
