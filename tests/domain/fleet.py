"""Agents of acme in every state that the tests begin with."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from agents.domain import decide
from agents.domain.evolve import fold
from agents.domain.state import Agent
from events.facts import DomainEvent
from events.vocabulary import Capability

NOW = datetime(2026, 1, 5, 9, 0, 0, 123456, tzinfo=UTC)
TIMEOUT_SECONDS = 90
HEARTBEAT: dict[str, Any] = {
    "success_rate": 0.5,
    "response_time_ms": 12,
    "cpu_usage_percent": 40.5,
    "memory_usage_percent": 100,
}


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def creation(**details: Any) -> list[DomainEvent]:
    order: dict[str, Any] = {
        "agent_id": "a-1",
        "tenant_id": "acme",
        "name": "Ada",
        "capabilities": (Capability("translate", 3),),
        "now": NOW,
    }
    return decide.create(**(order | details))


def registered(**details: Any) -> Agent:
    return fold(creation(**details))


def available(**details: Any) -> Agent:
    """Active since NOW, and not yet seen."""
    agent = registered(**details)
    return fold(decide.activate(agent, now=NOW), agent)


def busy(agent: Agent | None = None) -> Agent:
    """It works on t-7."""
    agent = agent or available()
    return fold(decide.assign(agent, task_id="t-7", now=NOW), agent)


def seen(agent: Agent, now: datetime = NOW) -> Agent:
    return fold(decide.health_passed(agent, **HEARTBEAT, now=now), agent)


def unhealthy(agent: Agent | None = None) -> Agent:
    agent = agent or available()
    return fold(decide.health_failed(agent, reason="no answer", now=NOW), agent)


def paused(agent: Agent | None = None, until: datetime | None = None) -> Agent:
    agent = agent or available()
    return fold(decide.pause(agent, reason="upgrade", until=until, now=NOW), agent)


def terminated(agent: Agent | None = None) -> Agent:
    agent = agent or available()
    return fold(decide.terminate(agent, reason="retired", force=True, now=NOW), agent)


EVERY_STATE: dict[str, Callable[[], Agent]] = {
    "registered": registered,
    "available": available,
    "busy": busy,
    "paused": paused,
    "paused_busy": lambda: paused(busy()),
    "unhealthy": unhealthy,
    "unhealthy_busy": lambda: unhealthy(busy()),
    "unhealthy_paused": lambda: unhealthy(paused()),
    "terminated": terminated,
}


def names(facts: Iterable[DomainEvent]) -> list[str]:
    """The facts' types without their common ends: `TaskAssigned`, `StatusChanged`."""
    return [fact.type.removeprefix("Agent").removesuffix("Event") for fact in facts]


def statuses(facts: list[DomainEvent]) -> tuple[str, str]:
    """From and to of the status change that comes last."""
    change = facts[-1]
    return getattr(change, "from_status", ""), getattr(change, "to_status", "")
