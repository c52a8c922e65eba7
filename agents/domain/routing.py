"""Whom to give a task: who can do it at all, and how well each of them is suited.

    score = 0.5 · capability + 0.3 · success + 0.2 · idle          each factor 0 to 1

    capability   the mean level in what the task requires, over 5
    success      (completed + 4) / (completed + failed + 5): a new agent counts as one with four
                 good ends of five tasks, which its own record outweighs soon
    idle         s / (s + 600), s being whole seconds since its last task ended, or since its
                 activation: ten minutes are a half

`agents.candidates` computes the same in the database, operation by operation, so that both order
agents alike to the last bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from agents.domain import limits
from agents.domain.errors import InvalidCommand
from agents.domain.state import Agent

CAPABILITY_WEIGHT, SUCCESS_WEIGHT, IDLE_WEIGHT = 0.5, 0.3, 0.2
ASSUMED_TASKS, ASSUMED_COMPLETED = 5.0, 4.0
HALF_IDLE_SECONDS = 600.0
MAX_REQUIRED = 20


@dataclass(frozen=True, slots=True)
class Requirement:
    """A capability that the task takes, at this level or above."""

    name: str
    min_level: int = limits.MIN_LEVEL

    def __str__(self) -> str:
        least = f" at level {self.min_level} or more"
        return self.name + (least if self.min_level > limits.MIN_LEVEL else "")


@dataclass(frozen=True, slots=True)
class Preference:
    """Who comes first, of those who can, whatever the scores: an agent that is or has all this."""

    agent_id: str | None = None
    tags: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.agent_id is not None or bool(self.tags)

    def fits(self, agent: Agent) -> bool:
        return self.agent_id in (None, agent.agent_id) and set(self.tags) <= set(agent.tags)


ANYBODY = Preference()


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """How well an agent is suited. The three factors are 0 to 1, and so is the score."""

    capability: float
    success: float
    idle: float
    idle_seconds: int

    @property
    def score(self) -> float:
        return (
            CAPABILITY_WEIGHT * self.capability
            + SUCCESS_WEIGHT * self.success
            + IDLE_WEIGHT * self.idle
        )


def check(required: Sequence[Requirement], prefer: Preference) -> None:
    """Raises InvalidCommand for what no task can require, or nobody can be preferred for."""
    if not 1 <= len(required) <= MAX_REQUIRED:
        raise InvalidCommand(
            "required_capabilities", f"must name 1 to {MAX_REQUIRED} capabilities."
        )
    seen: set[str] = set()
    for index, each in enumerate(required):
        field = f"required_capabilities/{index}"
        limits.check_capability_name(each.name, f"{field}/name")
        limits.check_level(each.min_level, f"{field}/min_level")
        if each.name in seen:
            raise InvalidCommand(
                f"{field}/name", "must be given once; this capability stands before already."
            )
        seen.add(each.name)
    if prefer.agent_id is not None:
        limits.check_agent_id(prefer.agent_id, "prefer/agent_id")
    limits.check_tags(prefer.tags, "prefer/tags")


def match(agent: Agent, required: Sequence[Requirement], now: datetime) -> Match | None:
    """How well the agent is suited, whatever its status; None when it cannot do it."""
    levels = [agent.level_of(each.name) or 0 for each in required]
    if any(level < each.min_level for level, each in zip(levels, required, strict=True)):
        return None
    seconds = max(0, _whole_seconds(now) - _whole_seconds(agent.idle_since or now))
    completed, failed = agent.tasks_completed, agent.tasks_failed
    return Match(
        capability=sum(levels) / (5.0 * len(required)),
        success=(completed + ASSUMED_COMPLETED) / (completed + failed + ASSUMED_TASKS),
        idle=seconds / (seconds + HALF_IDLE_SECONDS),
        idle_seconds=seconds,
    )


def _whole_seconds(moment: datetime) -> int:
    return int(moment.replace(microsecond=0).timestamp())
