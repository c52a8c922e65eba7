"""Appends with all subscriptions on against all off: what readers cost writers.

Two processes order heartbeats and tasks for agents of a tenant each. In turn, a round with a worker
process beside them, which keeps every projection and reaction up to date, and a round without.

python -m tests.bench subscribers
"""

import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import django

ROUNDS = 6
BLOCK_SECONDS = 4.0
PROCESSES = 2


def main() -> None:
    django.setup()
    from events.durable import status
    from tests.bench import fleet

    tenants = [fleet.fresh_tenant() for _ in range(PROCESSES)]
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(PROCESSES + 1), spawn.Queue()
    writers = [
        spawn.Process(target=_write, args=(tenant, barrier, results), daemon=True)
        for tenant in tenants
    ]
    for writer in writers:
        writer.start()
    rates: dict[str, list[float]] = {"off": [], "on": []}
    worker_cpu = 0.0
    for number in range(ROUNDS * 2):
        kind = "on" if number % 2 else "off"
        with _worker(wanted=kind == "on") as spent:
            barrier.wait(timeout=120)
            rate = sum(results.get(timeout=120) for _ in writers)
            rates[kind].append(rate)
            if kind == "on":
                worker_cpu += spent()
                lag = max(state.lag_events for tenant in tenants for state in status.states(tenant))
                print(f"  round {number}: {rate:,.0f}/s, the furthest is {lag:,} events behind")
    for writer in writers:
        writer.join(timeout=60)
    ratios = [on / off for on, off in zip(rates["on"], rates["off"], strict=True)]
    per_event = worker_cpu / (sum(rates["on"]) * BLOCK_SECONDS) * 1e6
    print("\n| subscriptions | commands/s (median) | ratio to off | smallest to largest |")
    print("|---|---|---|---|")
    print(f"| all off | {statistics.median(rates['off']):,.0f} | 1.00 | |")
    print(
        f"| all on | {statistics.median(rates['on']):,.0f} | {statistics.median(ratios):.2f} | "
        f"{min(ratios):.2f} to {max(ratios):.2f} |"
    )
    print(f"\nThe worker spent {per_event:,.0f} µs of CPU for each command, all subscriptions.")


@contextmanager
def _worker(*, wanted: bool) -> Iterator[Any]:
    """A worker that has caught up; yields what CPU it has spent since (seconds)."""
    if not wanted:
        time.sleep(1)
        yield lambda: 0.0
        return
    worker = subprocess.Popen(
        [sys.executable, "manage.py", "worker", "--until-input-ends"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        if worker.stdout is not None:
            worker.stdout.readline()
        _await_heads()
        before = _cpu_seconds(worker.pid)
        yield lambda: _cpu_seconds(worker.pid) - before
    finally:
        if worker.stdin is not None:
            worker.stdin.close()
        worker.wait(10)


def _await_heads() -> None:
    from events.durable import status
    from events.models import Tenant

    until = time.monotonic() + 120
    while time.monotonic() < until:
        slugs = Tenant.objects.values_list("slug", flat=True)
        if all(not state.lag_events for slug in slugs for state in status.states(slug)):
            return
        time.sleep(0.2)
    raise AssertionError("the worker does not catch up")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _write(tenant: str, barrier: Barrier, results: Any) -> None:
    django.setup()
    from agents import services
    from events.worker import wakeups
    from tests.bench import fleet

    fleet.working_agent(tenant, "agent-1")
    task = 0
    wakeups.tell_others()
    for _ in range(ROUNDS * 2):
        barrier.wait(timeout=300)
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < BLOCK_SECONDS:
            task += 1
            to: dict[str, Any] = {"tenant": tenant, "agent_id": "agent-1", "by": fleet.BY}
            fleet.heartbeat(tenant, "agent-1")
            services.assign_task(task_id=f"t-{task}", **to)
            services.complete_task(task_id=f"t-{task}", execution_time_ms=12, **to)
            done += 3
        results.put(done / (time.perf_counter() - began))


if __name__ == "__main__":
    main()
