"""Logs of every kind to be damaged, or to be left alone."""

from datetime import UTC, datetime, timedelta
from random import Random

from events.facts import JSON, Fact
from events.log.append import append
from events.log.proposal import Context, Proposal
from events.tenants import create_tenant
from events.vocabulary import (
    AgentHealthCheckPassedEvent,
    AgentStatusChangedEvent,
    AgentTaskAssignedEvent,
)

WORDS = ("", "a", "because", "ünïcödé", "日本語", "😀", '{"k": "v"}', "x" * 300, "'; --", "\n\t")


def grow(slug: str, random: Random, events: int) -> str:
    """A new tenant with so many events, give or take a few, of several streams and sizes of append;
    its slug."""
    tenant = create_tenant(slug).slug
    versions: dict[str, int] = {}
    written = 0
    while written < events:
        proposals = []
        names = random.sample(["a-1", "a-2", "b", "ü", "stream-5"], random.choice([1, 1, 1, 2, 3]))
        for name in names:
            facts = [_fact(name, random) for _ in range(random.choice([1, 1, 2, 3, 7]))]
            version = versions.get(name, 0)
            proposals.append(Proposal("agent", name, version, facts, _context(random)))
            versions[name] = version + len(facts)
            written += len(facts)
        append(tenant, *proposals)
    return tenant


def _fact(agent_id: str, random: Random) -> Fact:
    at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(microseconds=random.randrange(10**12))
    kind = random.randrange(4)
    if kind == 0:
        payload: JSON = {"text": random.choice(WORDS), "n": [1, 2.5, None, True]}
        return AgentTaskAssignedEvent(agent_id, task_id=f"t-{random.random()}", input=payload)
    if kind == 1:
        return AgentStatusChangedEvent(
            agent_id, from_status="AVAILABLE", to_status="BUSY", occurred_at=at
        )
    # Without microseconds too, which is another form on SQLite.
    return AgentHealthCheckPassedEvent(
        agent_id, success_rate=random.random(), occurred_at=at.replace(microsecond=0)
    )


def _context(random: Random) -> Context:
    def some(text: str) -> str | None:
        return random.choice([None, text])

    return Context(
        actor=random.choice(["user:alice", "agent:a-1", "system:health"]),
        reason=some(random.choice(WORDS)),
        correlation_id=some("c-1"),
        causation_id=some("because-of"),
        traceparent=some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        origin=some('{"address":"127.0.0.1"}'),
    )
