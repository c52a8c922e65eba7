"""Workers that are killed or paused at any moment: every event counts, and none counts twice."""

import os
import random
import signal
import time
from collections.abc import Callable

import pytest

from events import tenants
from events.bus import EventBus
from events.durable.catching_up import catch_up
from events.models import Event, SubscriptionCheckpoint
from tests.durable.tables import count, counted, tallied, tallies
from tests.jobs.conftest import until
from tests.log.crew import Hand, started
from tests.log.sample import head

AGENTS = [f"a-{number}" for number in range(5)]
LEASE_SECONDS = 0.5
WORK = ("work", {"lease_seconds": LEASE_SECONDS})


@pytest.fixture
def tenant(scratch: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("acme")).slug


def growing(tenant: str) -> tuple[str, dict[str, object]]:
    return "grow", {"tenant": tenant, "agents": AGENTS, "events": 10**6, "pause_seconds": 0.002}


def all_was_counted_once(bus: EventBus, tenant: str) -> None:
    subscriptions = [
        bus.project("Agent*", count, name="counts"),
        bus.project("Agent*", tallies("tallies")),
    ]
    SubscriptionCheckpoint.objects.filter(tenant=tenant).update(leased_until=None)
    for each in subscriptions:
        catch_up(each, tenant)
    by_agent: dict[str, list[int]] = {}
    for agent_id, seq in Event.objects.filter(tenant=tenant).values_list("stream_id", "seq"):
        by_agent.setdefault(agent_id, []).append(seq)
    assert counted(tenant) == {name: (len(seqs), sum(seqs)) for name, seqs in by_agent.items()}
    assert tallied(tenant) == {name: (len(seqs), max(seqs)) for name, seqs in by_agent.items()}


def progress(tenant: str) -> int:
    seqs = SubscriptionCheckpoint.objects.filter(tenant=tenant).values_list("seq", flat=True)
    return min(seqs, default=0)


def test_workers_that_are_killed_leave_nothing_uncounted_and_nothing_counted_twice(
    tenant: str, scratch_env: dict[str, str], bus: EventBus
) -> None:
    chance = random.Random()
    with started([growing(tenant)], scratch_env):
        for _ in range(2):
            before = progress(tenant)
            with started([WORK, WORK], scratch_env) as workers:
                until(lambda before=before: progress(tenant) > before)  # type: ignore[misc]
                for worker in workers:
                    time.sleep(chance.uniform(0.0, 0.3))
                    worker.kill()
    assert progress(tenant) > 0
    all_was_counted_once(bus, tenant)


def test_a_worker_that_was_paused_past_its_lease_writes_nothing_when_it_wakes_up(
    tenant: str, scratch_env: dict[str, str], bus: EventBus
) -> None:
    chance = random.Random(7)
    with started([WORK, WORK, growing(tenant)], scratch_env) as (one, two, grower):
        until(lambda: progress(tenant) > 0)
        for worker in (one, two):
            _pause_past_the_lease(worker, tenant, chance)
        grower.kill()
        end = head(tenant)[0]
        until(lambda: progress(tenant) >= end)
        time.sleep(0.2)  # for what a woken worker might still do
        all_was_counted_once(bus, tenant)


def _pause_past_the_lease(worker: Hand, tenant: str, chance: random.Random) -> None:
    time.sleep(chance.uniform(0.0, 0.2))
    os.kill(worker.pid, signal.SIGSTOP)
    time.sleep(LEASE_SECONDS * 2)
    os.kill(worker.pid, signal.SIGCONT)
    before = progress(tenant)
    until(lambda: progress(tenant) > before)
