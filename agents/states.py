"""States of the past: each agent as it stood at every sixteenth version, so that no question about
its past folds more than fifteen events.

They are written by the append that brings the version about, can be dropped at any time, one or
all, and cost nothing but time then; `agents.rebuild` brings them back and checks them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import OuterRef, Subquery

from agents import current
from agents.current import FOLD, STREAM, Loaded
from agents.domain.evolve import fold
from agents.domain.state import Agent
from agents.models import AgentState
from events.facts import DomainEvent
from events.log.rows import How, Put
from events.models import Event

EVERY = 16  # versions; a longer step saves rows and costs time, see ADR 111
TRIED = 8  # states of one agent that cannot be read, before the fold begins at its creation


def due(version: int) -> bool:
    """Whether an agent's state at this version is kept."""
    return version % EVERY == 0


def on_the_way(
    agent: Agent | None, version: int, facts: Sequence[DomainEvent]
) -> tuple[Agent, list[Put]]:
    """The agent after facts that were decided at `version`, and the states to write with them."""
    last = version + len(facts)
    rows, done = [], 0
    for kept in range(version - version % EVERY + EVERY, last + 1, EVERY):
        agent = fold(facts[done : kept - version], agent)
        done = kept - version
        # Whatever stands at this version was never true: the version is taken only now.
        rows.append(
            Put(
                AgentState,
                How.UPSERT,
                {"tenant_id": agent.tenant_id, "agent_id": agent.agent_id, "version": kept},
                columns(agent),
                "seq",
                events_after=last - kept,
            )
        )
    return fold(facts[done:], agent), rows


def columns(agent: Agent) -> dict[str, Any]:
    """What a state says of the agent, apart from its version and seq."""
    return {"fold": FOLD, "state": current.encoded(agent)}


def nearest(tenant: str, agent_ids: Iterable[str], seq: int) -> dict[str, Loaded]:
    """Of each of these agents the newest state at or below `seq` that can be trusted, if any.

    Two statements for all, and one more for an agent whose nearest state cannot be read.
    """
    states = AgentState.objects.filter(tenant=tenant, fold=FOLD)
    newest = states.filter(agent_id=OuterRef("stream_id"), seq__lte=seq).order_by("-seq")
    # Not bounded by seq: an engine that knows no better would look through the log up to there.
    creations = Event.objects.filter(
        tenant=tenant, stream_type=STREAM, stream_id__in=list(agent_ids), version=1
    )
    keys = creations.annotate(state=Subquery(newest.values("pk")[:1])).values_list(
        "state", flat=True
    )
    found = {}
    # By their keys alone, which are the tenant's; with the tenant it would look through all of its.
    chosen = AgentState.objects.across_tenants().filter(pk__in=[key for key in keys if key])
    for row in chosen:
        loaded = _trusted(row)
        if loaded is None:
            older = states.filter(agent_id=row.agent_id, seq__lt=row.seq).order_by("-seq")
            loaded = next(filter(None, map(_trusted, older[:TRIED])), None)
        if loaded is not None:
            found[row.agent_id] = loaded
    return found


def _trusted(row: AgentState) -> Loaded | None:
    return current.stored(version=row.version, seq=row.seq, fold=row.fold, state=row.state)
