"""Verifying one long log, beside reading the same rows raw; and its memory at two lengths.

BENCH_EVENTS=1000000 python -m tests.bench verify
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import django

EVENTS = int(os.environ.get("BENCH_EVENTS", "1000000"))
BATCH = 5_000
AGENTS = 100
ROUNDS = 3


def main() -> None:
    if len(sys.argv) > 1:
        _measure_memory(sys.argv[1])
        return
    django.setup()
    from tests.bench import fleet

    short, long = fleet.fresh_tenant(), fleet.fresh_tenant()
    _fill(short, EVENTS // 10)
    _fill(long, EVENTS)
    _measure_speed(long)
    print("\n| events | peak memory of the process |\n|---|---|")
    for tenant in (short, long):
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.verify", tenant],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        print(done.stdout.strip(), flush=True)


def _fill(tenant: str, events: int) -> None:
    """The log grows by appends of thousands of events, which go the bulk way."""
    from events.facts import utc_now
    from events.log.append import append
    from events.log.proposal import Proposal
    from events.vocabulary import AgentHealthCheckPassedEvent
    from tests.bench import fleet

    each = BATCH // AGENTS
    for number in range(events // BATCH):
        now = utc_now()
        proposals = []
        for agent in range(AGENTS):
            fact = AgentHealthCheckPassedEvent(
                f"agent-{agent}",
                success_rate=0.98,
                response_time_ms=120.5,
                cpu_usage_percent=35.0,
                memory_usage_percent=61.5,
                checked_at=now,
                occurred_at=now,
            )
            version = number * each
            proposals.append(Proposal("agent", f"agent-{agent}", version, [fact] * each, fleet.BY))
        append(tenant, *proposals)


def _measure_speed(tenant: str) -> None:
    from events.log.crew import Crew
    from events.log.verify import verify

    jobs = os.cpu_count() or 2
    with Crew(jobs) as crew:
        ways: dict[str, Callable[[], object]] = {
            "reading the rows raw": partial(_read_raw, tenant),
            "verify_log": partial(verify, tenant),
            f"verify_log --jobs {jobs}": partial(verify, tenant, walk=crew.walk),
        }
        best = dict.fromkeys(ways, (0.0, 0.0))
        for _ in range(ROUNDS):
            for name, way in ways.items():
                start, cpu = time.perf_counter(), time.process_time()
                way()
                cpu = (time.process_time() - cpu) / EVENTS * 1e6
                best[name] = max(best[name], (EVENTS / (time.perf_counter() - start), cpu))
    print("| what | events/s (best of 3) | ratio to raw | CPU of this process, µs an event |")
    print("|---|---|---|---|")
    raw = best["reading the rows raw"][0]
    for name, (rate, cpu) in best.items():
        print(f"| {name} | {rate:,.0f} | {rate / raw:.2f} | {cpu:.1f} |", flush=True)


def _read_raw(tenant: str) -> int:
    """Every column of every row, as the driver hands it over."""
    import psycopg
    from django.db import connection

    connection.ensure_connection()
    sql = "SELECT * FROM events_event WHERE tenant_id = "
    if connection.vendor == "sqlite":
        return sum(1 for _ in connection.connection.execute(sql + "? ORDER BY seq", (tenant,)))
    with psycopg.Cursor(connection.connection) as cursor:
        copied = f"COPY ({sql}%s ORDER BY seq) TO STDOUT"
        with cursor.copy(copied, (tenant,)) as copy:
            return sum(1 for _ in copy)


def _measure_memory(tenant: str) -> None:
    django.setup()
    from events.log.verify import verify

    events = verify(tenant).seq
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"| {events:,} | {peak / 1024:,.0f} MB |")


if __name__ == "__main__":
    main()
