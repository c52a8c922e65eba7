"""Agents with a past, for the tests of their pages."""

from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import current, services, states
from agents.domain import decide
from events.facts import utc_now
from events.log.append import append
from events.log.proposal import Context, Proposal
from tests.pages.conftest import SETUP, World

VITALS: dict[str, Any] = {
    "success_rate": 1,
    "response_time_ms": 12,
    "cpu_usage_percent": 3.5,
    "memory_usage_percent": 40,
}


def by(world: World, who: str, why: str | None = None) -> dict[str, Any]:
    """What a command of this person to agent-1 begins with."""
    actor = who if ":" in who else f"user:{who}"
    return {"tenant": world.acme, "agent_id": "agent-1", "by": Context(actor=actor, reason=why)}


def beat(world: World, times: int = 1) -> None:
    for _ in range(times):
        services.record_heartbeat(**world.to(), **VITALS)


def long_life(world: World, agent_id: str, heartbeats: int) -> None:
    """So many heartbeats, in one append; it can only be told apart by its one moment."""
    loaded = current.load(world.acme, agent_id)
    facts = decide.health_passed(loaded.agent, **VITALS, now=utc_now())[:1] * heartbeats
    agent, rows = states.on_the_way(loaded.agent, loaded.version, facts)
    rows.append(current.put(loaded, agent, loaded.version + heartbeats))
    append(
        world.acme,
        Proposal(current.STREAM, agent_id, loaded.version, facts, SETUP, rows),
    )


def queries(world: World, page: str) -> list[str]:
    """The statements that the page takes."""
    with CaptureQueriesContext(connection) as captured:
        assert world.alice.get(world.page(page)).status_code == 200
    return [query["sql"] for query in captured.captured_queries]
