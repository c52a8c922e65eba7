"""Small values to append, and the log as the database holds it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from events.facts import JSON, Fact
from events.log.proposal import Context, Proposal
from events.log.rows import Put
from events.models import Event, Tenant, TenantHead
from events.vocabulary import AgentHealthCheckPassedEvent, AgentTaskAssignedEvent
from tests.log import chain_by_hand

ALICE = Context(actor="user:alice")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

ON_POSTGRESQL = connection.vendor == "postgresql"


def heartbeat(agent_id: str = "a-1") -> AgentHealthCheckPassedEvent:
    return AgentHealthCheckPassedEvent(agent_id, checked_at=NOON, occurred_at=NOON)


def heartbeats(number: int, agent_id: str = "a-1") -> list[Fact]:
    return [heartbeat(agent_id)] * number


def assigned(input: JSON, agent_id: str = "a-1") -> AgentTaskAssignedEvent:
    return AgentTaskAssignedEvent(agent_id, task_id="t-1", input=input)


def proposed(
    *facts: Fact,
    agent_id: str = "a-1",
    version: int = 0,
    rows: Sequence[Put] = (),
    by: Context = ALICE,
) -> Proposal:
    return Proposal("agent", agent_id, version, facts, by, rows)


def stored(tenant: str) -> list[dict[str, Any]]:
    """The tenant's events as they stand in the database, in seq order, hashes as bytes."""
    rows = list(Event.objects.filter(tenant=tenant).order_by("seq").values())
    return [row | {"tenant": row["tenant_id"], "hash": bytes(row["hash"])} for row in rows]


def head(tenant: str) -> tuple[int, datetime, bytes, bytes]:
    row = TenantHead.objects.get(tenant=tenant)
    return row.seq, row.recorded_at, bytes(row.hash), bytes(row.prior_hash)


def fault(tenant: str) -> str | None:
    """What is wrong with the tenant's log by the stranger's verifier, head included."""
    events = stored(tenant)
    log_id = Tenant.objects.get(slug=tenant).log_id
    found = chain_by_hand.first_fault(log_id, events)
    if found is not None:
        return found
    seq, recorded_at, tip, _ = head(tenant)
    if not events:
        return None if (seq, tip) == (0, chain_by_hand.genesis(log_id)) else "head of an empty log"
    last = events[-1]
    if (last["seq"], last["recorded_at"], last["hash"]) != (seq, recorded_at, tip):
        return "the head is not the last event"
    return None


def tenant_from_the_future(slug: str, by: timedelta) -> datetime:
    """Make a tenant whose head is ahead of the clock, as after a step back; returns its time."""
    future = datetime.now(UTC).replace(microsecond=123_456) + by
    tenant = Tenant.objects.create(slug=slug, name=slug)
    start = chain_by_hand.genesis(tenant.log_id)
    TenantHead.objects.create(tenant=tenant, recorded_at=future, hash=start, prior_hash=start)
    return future
