"""What the benchmarks work on: fresh tenants, agents in service, and the raw INSERT beside them."""

import uuid
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from agents import services
from events.log.postgresql import EVENT_COLUMNS
from events.log.proposal import Context, uuid7
from events.tenants import create_tenant
from events.vocabulary import Capability

BY = Context(actor="system:bench", correlation_id="bench")
PAYLOAD = (
    '{"agent_id":"agent-1","success_rate":0.98,"response_time_ms":120.5,"cpu_usage_percent":35.0,'
    '"memory_usage_percent":61.5,"checked_at":"2026-01-01T00:00:00.123456Z",'
    '"occurred_at":"2026-01-01T00:00:00.123456Z"}'
)


def fresh_tenant() -> str:
    return create_tenant(f"bench-{uuid.uuid4().hex[:12]}").slug


def working_agent(tenant: str, agent_id: str) -> None:
    services.create_agent(
        tenant=tenant,
        agent_id=agent_id,
        name=agent_id,
        agent_type="coder",
        capabilities=[Capability("python", 4), Capability("review", 3)],
        tags=["bench", "blue"],
        by=BY,
    )
    services.activate_agent(tenant=tenant, agent_id=agent_id, by=BY)


def heartbeat(tenant: str, agent_id: str) -> None:
    services.record_heartbeat(
        tenant=tenant,
        agent_id=agent_id,
        success_rate=0.98,
        response_time_ms=120.5,
        cpu_usage_percent=35.0,
        memory_usage_percent=61.5,
        by=BY,
    )


class RawInsert:
    """The limit that a command is measured against: one single-row INSERT into the log's own table,
    by the driver, in autocommit, with its default durability. Its tenant exists nowhere else."""

    def __init__(self) -> None:
        connection.ensure_connection()
        self.tenant = f"raw-{uuid.uuid4().hex[:12]}"
        self.number = 0
        self.sqlite = connection.vendor == "sqlite"
        marks = ", ".join(["?" if self.sqlite else "%s"] * len(EVENT_COLUMNS))
        self.sql: Any = f"INSERT INTO events_event ({', '.join(EVENT_COLUMNS)}) VALUES ({marks})"
        self.cursor = connection.connection.cursor()

    def __call__(self) -> None:
        self.number += 1
        now: Any = datetime.now(UTC)
        event_id: Any = uuid7()
        if self.sqlite:
            now, event_id = str(now.replace(tzinfo=None)), event_id.hex
        self.cursor.execute(
            self.sql,
            (
                event_id,
                self.tenant,
                "agent",
                "agent-1",
                self.number,
                "AgentHealthCheckPassedEvent",
                "1.0",
                now,
                "system:bench",
                None,
                "bench",
                None,
                None,
                None,
                PAYLOAD,
                self.number,
                now,
                b"\x00" * 32,
            ),
        )
