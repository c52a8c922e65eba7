"""The agents of which the most tasks failed, as they are named and stand now."""

from dataclasses import dataclass
from datetime import datetime

from agents.models import CurrentAgent
from projections.analytics.queries import Failing, failing_agents

SHOWN = 5


@dataclass(frozen=True, slots=True)
class FailingAgent:
    """status: None for an agent that this log does not have (any more): one of an import."""

    counted: Failing
    name: str
    status: str | None


@dataclass(frozen=True, slots=True)
class FailingAgents:
    """since: from when on, a whole hour. number: how many there are in all."""

    since: datetime
    items: list[FailingAgent]
    number: int


def in_range(tenant: str, since: datetime, until: datetime) -> FailingAgents:
    failures = failing_agents(tenant, since, until, most=SHOWN)
    ids = [each.agent_id for each in failures.items]
    rows = CurrentAgent.objects.filter(tenant=tenant, agent_id__in=ids)
    known = {row[0]: row[1:] for row in rows.values_list("agent_id", "name", "status")}
    return FailingAgents(
        failures.since,
        [
            FailingAgent(each, *known.get(each.agent_id, (each.agent_id, None)))
            for each in failures.items
        ],
        failures.number,
    )
