"""The one place that knows when a status has changed."""

from datetime import datetime

from agents.domain.evolve import fold
from agents.domain.state import Agent
from events.facts import DomainEvent
from events.vocabulary import AgentStatusChangedEvent


def concluded(agent: Agent, now: datetime, *facts: DomainEvent) -> list[DomainEvent]:
    """The facts, and last the change of status that follows from them, if one does."""
    before, after = agent.status, fold(facts, agent).status
    if after is before:
        return list(facts)
    reasons = [reason for fact in facts if (reason := getattr(fact, "reason", None))]
    change = AgentStatusChangedEvent(
        agent.agent_id,
        from_status=before.value,
        to_status=after.value,
        reason=reasons[-1] if reasons else None,
        changed_at=now,
        occurred_at=now,
    )
    return [*facts, change]
