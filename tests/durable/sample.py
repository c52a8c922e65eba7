"""Subscribers that remember what they heard, and what stands in the database about them."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from django.db.models.functions import Now

from events.bus import Subscription
from events.durable import lease, waiting
from events.durable.catching_up import catch_up
from events.durable.turn import Due, Turn
from events.log.append import append
from events.models import Event, HeldStream, SubscriptionCheckpoint
from events.vocabulary import AgentTaskFailedEvent
from tests.log.sample import heartbeats, proposed

Refuse = Callable[[Any], Exception | None]


class Ledger:
    """A handler that writes down whom it heard of and at which seq; it fails where it is told to.

    fails: streams, or seqs, at which it does.
    """

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.by_stream: defaultdict[str, list[int]] = defaultdict(list)
        self.tried: list[int] = []
        self.fails: dict[str | int, BaseException] = {}

    def handle(self, event: Any) -> None:
        seq, stream = event.envelope.seq, event.envelope.stream_id
        self.tried.append(seq)
        error = self.fails.get(seq) or self.fails.get(stream) or self.fails.get("*")
        if error is not None:
            raise error
        self.heard.append(seq)
        self.by_stream[stream].append(seq)


def record(tenant: str, *agents: str, each: int = 1) -> None:
    """`each` heartbeats of every agent, agent by agent, wherever their streams stand."""
    for agent_id in agents:
        stream = Event.objects.filter(tenant=tenant, stream_type="agent", stream_id=agent_id)
        append(
            tenant,
            proposed(*heartbeats(each, agent_id), agent_id=agent_id, version=stream.count()),
        )


def record_failed_task(tenant: str, agent_id: str, words: str) -> None:
    stream = Event.objects.filter(tenant=tenant, stream_type="agent", stream_id=agent_id)
    fact = AgentTaskFailedEvent(agent_id, task_id="t-1", error_message=words)
    append(tenant, proposed(fact, agent_id=agent_id, version=stream.count()))


def checkpoint(tenant: str, name: str) -> SubscriptionCheckpoint:
    return SubscriptionCheckpoint.objects.get(tenant=tenant, subscription=name)


def held(tenant: str, name: str) -> dict[str, HeldStream]:
    rows = HeldStream.objects.filter(tenant=tenant, subscription=name)
    return {row.stream_id: row for row in rows}


def make_due(tenant: str, name: str) -> None:
    """Let the wait of whatever waits be over."""
    HeldStream.objects.filter(tenant=tenant, subscription=name, parked_at=None).update(
        retry_at=Now()
    )
    SubscriptionCheckpoint.objects.filter(tenant=tenant, subscription=name).update(retry_at=None)


def retry_at_once(subscription: Subscription, tenant: str) -> int:
    make_due(tenant, subscription.name)
    return catch_up(subscription, tenant)


def until_parked(subscription: Subscription, tenant: str) -> None:
    """All the tries that there are, without the waits between them."""
    for _ in range(8):
        retry_at_once(subscription, tenant)


def due(subscription: Subscription, tenant: str) -> Due | None:
    found = waiting.due(subscription, [tenant])
    return found[0] if found else None


def take(subscription: Subscription, tenant: str, holder: str = "another worker") -> Turn | None:
    """A turn, as another worker would take it that looked just now."""
    found = due(subscription, tenant)
    return Turn.take(subscription, found, holder) if found else None


def take_over(tenant: str, name: str) -> lease.Lease:
    """The lease of whoever holds it is over, and another worker takes it."""
    SubscriptionCheckpoint.objects.filter(tenant=tenant, subscription=name).update(
        leased_until=None
    )
    seen = lease.see(name, tenant)
    assert seen is not None
    taken = lease.take(seen, "the other worker", 10)
    assert taken is not None
    return taken
