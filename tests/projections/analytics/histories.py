"""Made-up ends of tasks, what they come to when they are counted naively, and their rows."""

import math
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import strategies as st

from events.facts import DomainEvent, Envelope
from events.vocabulary import (
    AgentCreatedEvent,
    AgentTaskCompletedEvent,
    AgentTaskFailedEvent,
    Capability,
    Usage,
)
from projections.analytics.readmodel import AgentType, TaskStatistics, analytics, finish, project
from projections.models import AgentTypeRow, TaskStatisticsRow

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
TYPES = {"a-one": "writer", "a-two": "writer", "a-three": "reader", "a-four": ""}


def recorded(fact: Any, at: datetime, tenant: str = "acme") -> Any:
    """The fact as the log gives it."""
    return fact.with_envelope(
        Envelope(
            event_id=uuid.uuid4(),
            tenant=tenant,
            seq=1,
            stream_type="agent",
            stream_id=fact.agent_id,
            stream_version=1,
            type=fact.type,
            schema_version=fact.version,
            occurred_at=at - timedelta(days=400),  # says nothing of when it was recorded
            recorded_at=at,
            actor="user:alice",
            hash=b"",
        )
    )


def created(agent_id: str, agent_type: str = "", at: datetime = MONDAY) -> Any:
    fact = AgentCreatedEvent(
        agent_id, tenant_id="acme", capabilities=(Capability("c", 1),), agent_type=agent_type
    )
    return recorded(fact, at)


def completed(agent_id: str, at: datetime, ms: float = 1, usage: Usage | None = None) -> Any:
    fact = AgentTaskCompletedEvent(agent_id, task_id="t", execution_time_ms=ms, usage=usage)
    return recorded(fact, at)


def failed(agent_id: str, at: datetime) -> Any:
    return recorded(AgentTaskFailedEvent(agent_id, task_id="t", error_message="no"), at)


FLEET = [created(agent_id, agent_type) for agent_id, agent_type in TYPES.items()]

moments = st.integers(0, 3 * 24 * 3600 * 1_000_000 - 1).map(
    lambda us: MONDAY + timedelta(microseconds=us)
)
execution_times = st.one_of(
    st.just(0),
    st.integers(0, 10_000),
    st.integers(0, 2**63 - 1),
    st.floats(0, 1_000),
    st.floats(0, 9.2e18),
)
usages = st.none() | st.builds(
    Usage, input_tokens=st.integers(0, 2**63 - 1), output_tokens=st.integers(0, 2**63 - 1)
)
agents = st.sampled_from(sorted(TYPES))
ends = st.one_of(
    st.builds(completed, agents, moments, execution_times, usages),
    st.builds(failed, agents, moments),
)
histories = st.lists(ends, max_size=40)


def fold(events: Iterable[DomainEvent], rows: dict[Any, Any] | None = None) -> dict[Any, Any]:
    """The rows by kind and key, finished after these events, which are one batch."""
    rows = {} if rows is None else rows
    for event in events:
        for row in project(event, lambda table, *key: rows.get((table, key))):
            rows[type(row), analytics.key(row)] = row
    return {
        (table, key): finish(row) if table is TaskStatistics else row
        for (table, key), row in rows.items()
    }


@dataclass
class Naive:
    """What ended, one by one."""

    failed: int = 0
    us: list[int] = field(default_factory=list)
    input_tokens: int = 0
    output_tokens: int = 0

    def exact(self, percent: int) -> int:
        """The nearest-rank percentile."""
        return sorted(self.us)[math.ceil(percent * len(self.us) / 100) - 1]


def count_naively(events: Sequence[Any]) -> dict[tuple[str, str, datetime, str], Naive]:
    found: dict[Any, Naive] = defaultdict(Naive)
    for event in events:
        at = event.envelope.recorded_at
        for resolution, form in (("minute", "%Y%m%d%H%M"), ("hour", "%Y%m%d%H"), ("day", "%Y%m%d")):
            bucket = datetime.strptime(at.strftime(form), form).replace(tzinfo=UTC)
            for kind, name in (
                ("tenant", ""),
                ("type", TYPES[event.agent_id]),
                ("agent", event.agent_id),
            ):
                if (resolution, kind) == ("minute", "agent"):
                    continue  # not kept
                count_one(found[resolution, kind, bucket, name], event)
    return found


def count_one(naive: Naive, event: Any) -> None:
    if isinstance(event, AgentTaskFailedEvent):
        naive.failed += 1
        return
    # Exactly, by integers: a float is a fraction with a power of two below.
    above, below = event.execution_time_ms.as_integer_ratio()
    whole, rest = divmod(above * 1000, below)
    naive.us.append(whole + (2 * rest > below or (2 * rest == below and whole % 2 == 1)))
    if event.usage:
        naive.input_tokens += event.usage.input_tokens
        naive.output_tokens += event.usage.output_tokens


TABLES: dict[Any, Any] = {AgentType: AgentTypeRow, TaskStatistics: TaskStatisticsRow}


def store(tenant: str, rows: dict[Any, Any], generation: int = 1) -> None:
    """Write them as the tables hold them, in place of what was there."""
    for kind, model in TABLES.items():
        model.objects.filter(tenant=tenant, generation=generation).delete()
        model.objects.bulk_create(
            model(tenant_id=tenant, generation=generation, **msgspec.structs.asdict(row))
            for (table, _), row in rows.items()
            if table is kind
        )


def stored(tenant: str) -> dict[Any, Any]:
    """Read them back."""
    rows: dict[Any, Any] = {}
    for kind, model in TABLES.items():
        for values in model.objects.filter(tenant=tenant).values_list(*kind.__struct_fields__):
            row = kind(*(bytes(v) if isinstance(v, memoryview) else v for v in values))
            rows[kind, analytics.key(row)] = row
    return rows
