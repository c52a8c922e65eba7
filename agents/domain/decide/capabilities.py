"""What an agent can do: it learns, and gets better at it, never worse."""

from datetime import datetime

from agents.domain import limits
from agents.domain.decide.conclusion import concluded
from agents.domain.decide.life import refuse_terminated
from agents.domain.errors import RuleViolated
from agents.domain.state import Agent
from events.facts import DomainEvent
from events.vocabulary import AgentCapabilityAddedEvent, AgentCapabilityUpgradedEvent


def add_capability(
    agent: Agent, *, name: str, proficiency_level: int, now: datetime
) -> list[DomainEvent]:
    """Something new that the agent can do."""
    limits.check_capability_name(name)
    limits.check_level(proficiency_level)
    refuse_terminated(agent, "learn anything")
    level = agent.level_of(name)
    if level is not None:
        raise RuleViolated(
            f"{agent.agent_id} has {name} already, at level {level}. Upgrade it instead.",
            rule="capability_exists",
        )
    fact = AgentCapabilityAddedEvent(
        agent.agent_id,
        capability_name=name,
        proficiency_level=proficiency_level,
        occurred_at=now,
    )
    return concluded(agent, now, fact)


def upgrade_capability(
    agent: Agent, *, name: str, proficiency_level: int, now: datetime
) -> list[DomainEvent]:
    """A higher level of something that the agent can do already."""
    limits.check_capability_name(name)
    limits.check_level(proficiency_level)
    refuse_terminated(agent, "learn anything")
    level = agent.level_of(name)
    if level is None:
        raise RuleViolated(
            f"{agent.agent_id} has no capability {name}. Add it first.", rule="capability_missing"
        )
    if proficiency_level <= level:
        raise RuleViolated(
            f"{name} of {agent.agent_id} is at level {level} and only rises. "
            + (
                f"Name a level from {level + 1} to {limits.MAX_LEVEL}."
                if level < limits.MAX_LEVEL
                else "There is none above."
            ),
            rule="level_not_higher",
        )
    fact = AgentCapabilityUpgradedEvent(
        agent.agent_id,
        capability_name=name,
        from_level=level,
        to_level=proficiency_level,
        occurred_at=now,
    )
    return concluded(agent, now, fact)
