"""Several web processes and several workers on one database, as in production."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from events.durable import status
from events.generations import live
from events.models import SubscriptionCheckpoint
from projections.models import FleetRow, TaskRow
from tests.jobs.conftest import ROOT, manage, until
from tests.stream.people import Fleet
from tests.stream.server import serving

WORKERS, TASKS, CLIENTS = 2, 6, 3
CATCHES_UP_WITHIN_SECONDS = 30


@contextmanager
def working(env: dict[str, str]) -> "Iterator[subprocess.Popen[str]]":
    """A worker that runs, until the block is over."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "worker", "--lease-seconds", "1", "--until-input-ends"],
        cwd=ROOT,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "The worker runs (Ctrl-C stops it).\n"
        yield process
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def work(url: str, fleet: Fleet, token: str, agent_id: str) -> None:
    """One agent's tasks over HTTP, each on whatever web process takes the connection."""
    api = f"{url}/api/v1/tenants/{fleet.tenant}/agents/{agent_id}/tasks"
    headers = {"Authorization": f"Bearer {token}"}
    for number in range(TASKS):
        task_id = f"{agent_id}-{number}"
        httpx.post(api, headers=headers, json={"task_id": task_id}).raise_for_status()
        done = httpx.post(
            f"{api}/{task_id}/complete", headers=headers, json={"execution_time_ms": 5}
        )
        done.raise_for_status()


def is_followed(tenant: str) -> bool:
    return all(
        state.lag_events == 0 and not state.retrying and not state.parked
        for state in status.states(tenant)
    )


def test_web_processes_and_workers_do_all_of_the_work_once_though_one_is_killed(
    fresh_slug: Callable[[str], str],
    quiet_env: dict[str, str],
) -> None:
    agents = [f"agent-{number}" for number in range(CLIENTS)]
    fleet = Fleet.of(fresh_slug("acme"), *agents)
    token = fleet.token()
    with ExitStack() as stack:
        server = stack.enter_context(serving(quiet_env, "--workers", "2"))
        workers = [stack.enter_context(working(quiet_env)) for _ in range(WORKERS)]
        clients = [
            threading.Thread(target=work, args=(server.url, fleet, token, agent_id))
            for agent_id in agents
        ]
        for client in clients:
            client.start()
        time.sleep(0.5)
        workers[0].kill()
        for client in clients:
            client.join()
        until(lambda: is_followed(fleet.tenant), CATCHES_UP_WITHIN_SECONDS)

    completed = live(TaskRow, "tasks", fleet.tenant).filter(status="completed")
    assert completed.count() == TASKS * CLIENTS
    rows = live(FleetRow, "fleet", fleet.tenant)
    assert dict(rows.values_list("agent_id", "tasks_completed")) == dict.fromkeys(agents, TASKS)
    assert (
        "0 rows were not as the log tells"
        in manage("rebuild", "--all", "--check", "--tenant", fleet.tenant).out
    )


def test_the_worker_that_serve_starts_reads_on_and_is_started_again_when_it_dies(
    fresh_slug: Callable[[str], str], quiet_env: dict[str, str]
) -> None:
    fleet = Fleet.of(fresh_slug("acme"), "agent-1")
    checkpoints = SubscriptionCheckpoint.objects.filter(tenant=fleet.tenant)
    with serving(quiet_env, worker=True) as server:
        until(lambda: checkpoints.exists() and is_followed(fleet.tenant))
        (worker,) = _children(server.process.pid)
        os.kill(worker, signal.SIGKILL)
        fleet.beat(3)
        until(lambda: is_followed(fleet.tenant), CATCHES_UP_WITHIN_SECONDS)
        (second,) = _children(server.process.pid)
        seconds = server.stop()

    assert second != worker
    assert seconds < 5
    assert live(FleetRow, "fleet", fleet.tenant).get().version == 6


def _children(pid: int) -> list[int]:
    # Each thread has its own.
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for each in tasks for child in each.read_text(encoding="ascii").split()]
