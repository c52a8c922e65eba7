"""A sweep: finding who is due among 100,000 agents when nobody is, judging a tenant of all of them,
and recording the silence of 1,000.

Beside it what finding would cost with nothing but the driver, and as many heartbeats, one after
another, since each failure is a command of its own as they are.
"""

import os
import statistics
import time
from collections.abc import Callable
from datetime import timedelta

import django

AGENTS = int(os.environ.get("BENCH_AGENTS", "100000"))
DUE = 1_000
RUNS = 9


def measure(what: str, act: Callable[[], object], runs: int = RUNS) -> None:
    spent = []
    for _ in range(runs):
        start = time.perf_counter()
        act()
        spent.append(time.perf_counter() - start)
    ms = [each * 1_000 for each in spent]
    print(f"| {what} | {min(ms):,.1f} ms | {statistics.median(ms):,.1f} ms | {max(ms):,.1f} ms |")


def main() -> None:
    django.setup()
    from django.db import connection

    from agents import current, mass_loss, sweep
    from agents.domain.mass_loss import Silence
    from agents.models import CurrentAgent
    from events.facts import utc_now
    from tests.bench import fleet

    home, small = fleet.fresh_tenant(), fleet.fresh_tenant()
    fleet.working_agent(home, "template")
    fleet.heartbeat(home, "template")
    columns = current.columns(current.load(home, "template").agent)
    rows = (
        CurrentAgent(tenant_id=home, agent_id=f"agent-{number}", version=1, seq=1, **columns)
        for number in range(AGENTS)
    )
    CurrentAgent.objects.bulk_create(rows, batch_size=5_000)
    for number in range(DUE):
        fleet.working_agent(small, f"agent-{number}")
    now = utc_now() - timedelta(days=1)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

    def count_raw() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM agents_currentagent WHERE due_at <= '2020-01-01'")

    def heartbeats() -> None:
        for number in range(DUE):
            fleet.heartbeat(small, f"agent-{number}")

    print("| what | smallest | median | largest |")
    print("|---|---|---|---|", flush=True)
    measure(f"the driver alone, among {AGENTS:,}", count_raw)
    measure(f"a sweep when nobody is due, among {AGENTS:,}", lambda: sweep.let_time_pass(now))
    measure(f"judging a tenant of {AGENTS:,}", lambda: mass_loss.measure(home, now))
    measure(f"{DUE:,} heartbeats", heartbeats, 3)
    sweep.SECONDS = 600.0
    # The agents of the large tenant have rows alone; theirs must not be due.
    CurrentAgent.objects.filter(tenant=home).update(due_at=None)
    late = utc_now() + timedelta(seconds=100)
    mass_loss.measure = lambda tenant, now: Silence(0, 0, 0)  # else the breaker would hold
    measure(f"a sweep that records the silence of {DUE:,}", lambda: sweep.let_time_pass(late), 1)


if __name__ == "__main__":
    main()
