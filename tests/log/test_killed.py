"""A process that is killed in the middle of its work leaves whole commands or none."""

import random
import time

import pytest
from django.db import connection

from agents import current
from agents.models import CurrentAgent, TaskClaim
from events.models import Event, IdempotencyKey
from tests.log.crew import started
from tests.log.sample import fault, head
from tests.log.test_concurrency import available

WORKERS = 3


@pytest.mark.parametrize("round_", range(3))
def test_whoever_is_killed_leaves_whole_commands_or_none(
    acme: str, subprocess_env: dict[str, str], round_: int
) -> None:
    agents = [f"a-{number}" for number in range(WORKERS)]
    available(acme, *agents)
    chance = random.Random(round_)

    for _ in range(2):
        jobs = [("toil", {"tenant": acme, "agent_id": agent_id}) for agent_id in agents]
        with started(jobs, subprocess_env) as crew:
            for process in crew:
                time.sleep(chance.uniform(0.05, 0.4))
                process.kill()  # SIGKILL: no clean-up, no rollback by the client
        _await_silence(acme)
        _nothing_is_half_done(acme, agents)


def _await_silence(tenant: str) -> None:
    """PostgreSQL may still finish a statement whose client has died."""
    if connection.vendor == "postgresql":
        until, before = time.monotonic() + 5, -1
        while time.monotonic() < until and before != (before := head(tenant)[0]):
            time.sleep(0.1)


def _nothing_is_half_done(tenant: str, agents: list[str]) -> None:
    assert fault(tenant) is None
    for agent_id in agents:
        live, rebuilt = current.load(tenant, agent_id), current.rebuild_agent(tenant, agent_id)
        assert live.has_row
        assert (live.agent, live.version, live.seq) == (rebuilt.agent, rebuilt.version, rebuilt.seq)

    tasks = Event.objects.filter(tenant=tenant)
    for status, type_ in (("assigned", "Assigned"), ("completed", "Completed")):
        claims = TaskClaim.objects.filter(tenant=tenant)
        if status == "completed":
            claims = claims.filter(status="completed")
        assert claims.count() == tasks.filter(type=f"AgentTask{type_}Event").count()

    # Every command of the workers came with a key, and ended with a change of status.
    commands = tasks.filter(type="AgentStatusChangedEvent").exclude(actor="user:alice")
    keys = IdempotencyKey.objects.filter(tenant=tenant)
    assert set(keys.values_list("seq")) == set(commands.values_list("seq"))
    assert keys.count() == commands.count()
    assert keys.exists(), "nobody came to do anything"
    assert CurrentAgent.objects.filter(tenant=tenant).count() == len(agents)
