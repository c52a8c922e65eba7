"""The fleet as its current rows tell it: who needs care, and how many there are of which kind."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count

from agents import fleet
from agents.domain.state import Agent, Health, Status
from agents.models import CurrentAgent

NEEDING_CARE = 5


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a list. unseen_seconds: since it was last seen; None: never."""

    agent: Agent
    unseen_seconds: int | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many agents there are; those by health are the living."""

    by_status: dict[Status, int]
    by_health: dict[Health, int]

    @property
    def living(self) -> int:
        return sum(self.by_health.values())

    @property
    def total(self) -> int:
        return sum(self.by_status.values())


def unhealthy(tenant: str, now: datetime) -> list[Listed]:
    """Some of the agents that need care, those that were silent longest first."""
    rows = CurrentAgent.objects.filter(tenant=tenant, status=Status.UNHEALTHY.value)
    return [
        listed(fleet.as_it_is(row).agent, now)
        for row in rows.order_by("last_seen", "agent_id")[:NEEDING_CARE]
    ]


def counts(tenant: str) -> Counts:
    by_status: Counter[Status] = Counter()
    by_health: Counter[Health] = Counter()
    kinds = CurrentAgent.objects.filter(tenant=tenant).values_list("status", "health")
    for status, health, number in kinds.annotate(number=Count("agent_id")).order_by():
        by_status[Status(status)] += number
        if status != Status.TERMINATED:
            by_health[Health(health)] += number
    return Counts(
        {status: by_status[status] for status in Status},
        {health: by_health[health] for health in Health},
    )


def listed(agent: Agent, now: datetime) -> Listed:
    return Listed(agent, unseen_seconds(agent, now))


def unseen_seconds(agent: Agent, now: datetime) -> int | None:
    """Whole seconds since the last heartbeat, not below 0; None when there was none."""
    return None if agent.last_seen is None else max(int((now - agent.last_seen).total_seconds()), 0)
