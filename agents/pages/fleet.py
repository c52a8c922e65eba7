"""The fleet as its current rows tell it: a page of agents, and how many there are of which kind."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count

from agents import fleet
from agents.domain.state import Agent, Health, Status
from agents.models import CurrentAgent

PAGE = 50
NEEDING_CARE = 5


@dataclass(frozen=True, slots=True)
class Filters:
    """Empty means any; terminated agents are asked for by status or intent, or are left out.

    text: part of the name, id, description or type.
    """

    status: str = ""
    intent: str = ""
    health: str = ""
    text: str = ""

    def __bool__(self) -> bool:
        return bool(self.status or self.intent or self.health or self.text)

    @property
    def wanted(self) -> fleet.Wanted:
        return fleet.Wanted(
            statuses=(self.status,) if self.status else None,
            intents=(self.intent,) if self.intent else None,
            healths=(self.health,) if self.health else None,
            text=self.text or None,
        )


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a list. unseen_seconds: since it was last seen; None: never."""

    agent: Agent
    unseen_seconds: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """Agents in the order of their ids. next: the `after` of the next page; None at the end."""

    agents: list[Listed]
    next: str | None


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


def page(tenant: str, filters: Filters, after: str, now: datetime, size: int = PAGE) -> Page:
    found = fleet.page(tenant, filters.wanted, limit=size, after=after or None)
    return Page([listed(each.agent, now) for each in found.agents], found.next)


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
