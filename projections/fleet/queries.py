"""What a dashboard asks of the fleet: how many are in which state, and who is in trouble."""

from collections import Counter
from dataclasses import dataclass

from django.db.models import Count, F, Q, QuerySet

from events import generations
from projections.fleet.readmodel import NAME
from projections.fleet.rows import TERMINATED, UNHEALTHY, FleetAgent
from projections.models import FleetRow


@dataclass(frozen=True, slots=True)
class Counts:
    """How many agents have each status, and each health; nobody has what is not there, and asking
    gives 0. Terminated agents have a status alone: nobody watches their health any more."""

    by_status: Counter[str]
    by_health: Counter[str]


def counts(tenant: str) -> Counts:
    by_status: Counter[str] = Counter()
    by_health: Counter[str] = Counter()
    grouped = _live(tenant).values("status", "health").annotate(agents=Count("id")).order_by()
    for status, health, agents in grouped.values_list("status", "health", "agents"):
        by_status[status] += agents
        if status != TERMINATED:
            by_health[health] += agents
    return Counts(by_status, by_health)


def failing(tenant: str, *, limit: int) -> list[FleetAgent]:
    """Agents that are unhealthy or whose last task failed, none of them terminated: the longest
    outage first, then by how many tasks failed in a row."""
    in_trouble = Q(health=UNHEALTHY) | Q(consecutive_failures__gt=0)
    worst_first = (F("unhealthy_since").asc(nulls_last=True), "-consecutive_failures", "agent_id")
    found = _live(tenant).filter(in_trouble).exclude(status=TERMINATED).order_by(*worst_first)
    return _read(found[:limit])


def find(tenant: str, agent_id: str) -> FleetAgent | None:
    found = _read(_live(tenant).filter(agent_id=agent_id))
    return found[0] if found else None


def _live(tenant: str) -> QuerySet[FleetRow]:
    return generations.live(FleetRow, NAME, tenant)


def _read(found: QuerySet[FleetRow]) -> list[FleetAgent]:
    return [FleetAgent(*values) for values in found.values_list(*FleetAgent.__struct_fields__)]
