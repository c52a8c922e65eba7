"""Acme and Globex on a day of their own, and fleets that beat.

A sweep looks at all tenants, and no test removes what it made. So each test lives on an earlier day
than those before it: what they left behind is not due yet.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from agents import current, services, sweep
from agents.domain.state import Agent
from events import tenants
from events.facts import Fact
from events.log import read
from events.log.proposal import Context
from events.models import Event
from events.vocabulary import Capability

ALICE = Context(actor="user:alice")
TIMEOUT = 90
LOST = 2 * TIMEOUT
INSTANT = 0.000001
At = Callable[[float], datetime]

_days = (datetime(2001, 1, 1, tzinfo=UTC) - timedelta(days=number) for number in count())


@pytest.fixture
def at(committed_db: None) -> At:
    """A moment of this test's day, by its seconds."""
    day = next(_days)
    return lambda seconds: day + timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is not to cut a sweep short."""
    monkeypatch.setattr(sweep, "SECONDS", 60.0)


@pytest.fixture
def acme(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("acme")).slug


@pytest.fixture
def globex(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("globex")).slug


def register(tenant: str, agent_id: str, now: datetime) -> None:
    services.create_agent(
        tenant=tenant,
        agent_id=agent_id,
        name="x",
        capabilities=[Capability("translate", 2)],
        by=ALICE,
        now=now,
    )


def activate(tenant: str, agent_id: str, now: datetime) -> None:
    register(tenant, agent_id, now)
    services.activate_agent(tenant=tenant, agent_id=agent_id, by=ALICE, now=now)


def beat(tenant: str, *agent_ids: str, now: datetime) -> None:
    for agent_id in agent_ids:
        services.record_heartbeat(
            tenant=tenant,
            agent_id=agent_id,
            success_rate=1,
            response_time_ms=12,
            cpu_usage_percent=5,
            memory_usage_percent=40,
            by=ALICE,
            now=now,
        )


def assign(tenant: str, agent_id: str, now: datetime) -> None:
    services.assign_task(
        tenant=tenant, agent_id=agent_id, task_id=f"t-{agent_id}", by=ALICE, now=now
    )


def pause(tenant: str, agent_id: str, now: datetime, until: datetime | None = None) -> None:
    services.pause_agent(
        tenant=tenant, agent_id=agent_id, reason="lunch", until=until, by=ALICE, now=now
    )


def fleet(tenant: str, size: int, now: datetime) -> list[str]:
    """So many agents that beat at this moment."""
    ids = [f"a-{number:02}" for number in range(1, size + 1)]
    for agent_id in ids:
        activate(tenant, agent_id, now)
    beat(tenant, *ids, now=now)
    return ids


def agent(tenant: str, agent_id: str) -> Agent:
    return current.load(tenant, agent_id).agent


def unhealthy(tenant: str) -> list[str]:
    """Whose outage the log tells, once for each time, in order."""
    return [row.stream_id for row in rows(tenant) if row.type == "AgentHealthCheckFailedEvent"]


def lost(tenant: str) -> list[str]:
    return [row.stream_id for row in rows(tenant) if '"AGENT_LOST"' in row.data]


def told(tenant: str) -> list[Fact]:
    """What the tenant's own stream tells."""
    return [read.fact(row) for row in rows(tenant) if row.stream_type == "tenant"]


def rows(tenant: str, after: int = 0) -> list[Event]:
    return list(Event.objects.filter(tenant=tenant, seq__gt=after).order_by("seq"))


def seq(tenant: str) -> int:
    head = read.head(tenant)
    assert head is not None
    return head.seq


@pytest.fixture
def nothing_raised(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record.getMessage() for record in caplog.get_records("call")] == []
