"""Loading an agent: from its current row, or by replay when that is missing or made by other rules.

The row is a shortcut and never the truth: it can be dropped at any time, and every append proves
it, because a row that is behind its stream leads to a version that is taken.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Exists, OuterRef

from agents.domain.deadlines import due_at, silent_at
from agents.domain.evolve import fold
from agents.domain.state import Agent
from agents.models import CurrentAgent
from events.log import prepared, read
from events.log.rows import How, Put
from events.models import Event

STREAM = "agent"
FOLD = 2  # raise it whenever `evolve` or the form of `Agent` changes: older rows are then replayed
# The keys of `labels` begin with what no capability's name does.
CAPABILITIES, TAGS = "-capabilities", "-tags"

_decode = msgspec.json.Decoder(Agent).decode
_encode = msgspec.json.encode


class AgentNotFound(LookupError):
    """The tenant has no such agent, or had none at that point."""

    def __init__(self, tenant: str, agent_id: str) -> None:
        super().__init__(f"There is no agent {agent_id!r} in {tenant}.")


@dataclass(frozen=True, slots=True)
class Loaded:
    """An agent at a version of its stream. seq: of the event that made this version.

    has_row: whether a current row of this very version stands in the database.
    """

    agent: Agent
    version: int
    seq: int
    has_row: bool = False


def load(tenant: str, agent_id: str) -> Loaded:
    """The agent now. Costs one indexed row whatever the history. Raises AgentNotFound."""
    row = _row(tenant, agent_id)
    if row is None:
        return rebuild_agent(tenant, agent_id)
    version, seq, fold, state = row
    return loaded(tenant, agent_id, version=version, seq=seq, fold=fold, state=state)


def load_many(
    tenant: str, agent_ids: Collection[str], *, suspicious: bool = False
) -> dict[str, Loaded | None]:
    """These agents now, None for one that is not there: one query, and another for those without a
    row. suspicious: rows that have contradicted the log are to be told from it, and replayed."""
    found: dict[str, Loaded | None] = dict.fromkeys(agent_ids)
    chosen = CurrentAgent.objects.filter(tenant=tenant, agent_id__in=found)
    columns = ("agent_id", "version", "seq", "fold", "state")
    for agent_id, version, seq, fold_number, state in chosen.values_list(*columns):
        found[agent_id] = loaded(
            tenant, agent_id, version=version, seq=seq, fold=fold_number, state=state
        )
    doubtful = [agent_id for agent_id, each in found.items() if each is None]
    created = Event.objects.filter(
        tenant=tenant, stream_type=STREAM, stream_id__in=doubtful, version=1
    )
    doubtful = list(created.values_list("stream_id", flat=True)) if doubtful else []
    if suspicious:
        its = Event.objects.filter(
            tenant=OuterRef("tenant_id"), stream_type=STREAM, stream_id=OuterRef("agent_id")
        )
        is_newest = Exists(its.filter(version=OuterRef("version"))) & ~Exists(
            its.filter(version=OuterRef("version") + 1)
        )
        doubtful += chosen.exclude(is_newest).values_list("agent_id", flat=True)
    for agent_id in doubtful:
        found[agent_id] = rebuild_agent(tenant, agent_id)
    return found


def loaded(
    tenant: str, agent_id: str, *, version: int, seq: int, fold: int, state: str | bytes
) -> Loaded:
    """The agent of a current row; replayed when the row was made by other rules."""
    found = stored(version=version, seq=seq, fold=fold, state=state, has_row=True)
    return rebuild_agent(tenant, agent_id) if found is None else found


def stored(
    *, version: int, seq: int, fold: int, state: str | bytes, has_row: bool = False
) -> Loaded | None:
    """The agent of a stored row; None when other rules made the row, or it cannot be read."""
    if fold != FOLD:
        return None
    try:
        return Loaded(_decode(state), version, seq, has_row)
    except msgspec.DecodeError:  # somebody's hand was in it; the log is the truth
        return None


def encoded(agent: Agent) -> str:
    """The agent's whole state as JSON, as rows store it."""
    return _encode(agent).decode()


def rebuild_agent(tenant: str, agent_id: str, *, version: int | None = None) -> Loaded:
    """The agent as its events alone tell it, at `version` or at its newest. Raises AgentNotFound
    when it had not been created, or when there is no such version yet."""
    counted = _Counted(read.stream_facts(tenant, STREAM, agent_id, to_version=version))
    if version is not None and version < 1:
        raise AgentNotFound(tenant, agent_id)
    first = next(counted, None)
    if first is None:
        raise AgentNotFound(tenant, agent_id)
    agent = fold(counted, fold([first]))
    if version is not None and counted.number != version:
        raise AgentNotFound(tenant, agent_id)
    seq = Event.objects.values_list("seq", flat=True).get(
        tenant=tenant, stream_type=STREAM, stream_id=agent_id, version=counted.number
    )
    return Loaded(agent, counted.number, seq)


class _Counted:
    """An iterator that knows how many it has given."""

    def __init__(self, facts: Any) -> None:
        self.facts = facts
        self.number = 0

    def __iter__(self) -> "_Counted":
        return self

    def __next__(self) -> Any:
        fact = next(self.facts)
        self.number += 1
        return fact


def put(loaded: Loaded | None, agent: Agent, version: int) -> Put:
    """The current row to be written with the events that led from `loaded` to `agent`."""
    values = columns(agent) | {"version": version}
    key = {"tenant_id": agent.tenant_id, "agent_id": agent.agent_id}
    if loaded is not None and loaded.has_row:
        return Put(
            CurrentAgent, How.UPDATE, key, values, "seq", only_if={"version": loaded.version}
        )
    return Put(CurrentAgent, How.UPSERT, key, values, "seq")


def columns(agent: Agent) -> dict[str, Any]:
    """What the current row says of an agent, apart from its version and seq."""
    return {
        "fold": FOLD,
        "state": encoded(agent),
        "name": agent.name,
        "status": str(agent.status),
        "intent": str(agent.intent),
        "health": str(agent.health),
        "labels": _encode(
            {
                CAPABILITIES: {c.name: c.proficiency_level for c in agent.capabilities},
                TAGS: agent.tags,
            }
        ).decode(),
        "last_seen": agent.last_seen,
        "due_at": due_at(agent),
        "silent_at": silent_at(agent),
        "tasks_completed": agent.tasks_completed,
        "tasks_failed": agent.tasks_failed,
        "idle_since": agent.idle_since,
    }


def _row(tenant: str, agent_id: str) -> tuple[int, int, int, str | bytes] | None:
    """version, seq, fold and state of the current row."""
    database = connections[DEFAULT_DB_ALIAS]
    if database.connection is None:
        database.ensure_connection()
    columns = "SELECT version, seq, fold, state FROM agents_currentagent WHERE tenant_id = "
    with database.wrap_database_errors:
        if database.vendor != "postgresql":
            row: tuple[int, int, int, str] | None = database.connection.execute(
                columns + "? AND agent_id = ?", (tenant, agent_id)
            ).fetchone()
            return row
        rows = prepared.execute(
            database.connection,
            columns.replace("fold", "fold::bigint") + "$1::text AND agent_id = $2::text",
            (tenant, agent_id),
        )
    if not rows:
        return None
    version, seq, fold_number, state = rows[0]
    return (
        prepared.integer(version),
        prepared.integer(seq),
        prepared.integer(fold_number),
        state or b"",
    )
