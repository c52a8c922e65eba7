"""Projections: how soon they follow a commit, and how fast they are made anew from a long log.

BENCH_EVENTS=1000000 python -m tests.bench projections

The log is made of what agents do: a task assigned and ended (each with its change of status), and a
heartbeat. Rebuilding is held against reading the same events and decoding them, which is the least
that any reader has to do.
"""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import django

EVENTS = int(os.environ.get("BENCH_EVENTS", "1000000"))
AGENTS = 200
COMMITS = 100
ROUNDS = 2
CYCLE = 5  # events of one agent with one task


def main() -> None:
    if len(sys.argv) > 2:
        _rebuild_here(sys.argv[1], sys.argv[2])
        return
    django.setup()
    from tests.bench import fleet

    _measure_latency(fleet.fresh_tenant())
    tenant = fleet.fresh_tenant()
    fill(tenant, EVENTS)
    _measure_rebuilding(tenant)


def _measure_latency(tenant: str) -> None:
    """From the return of a command to the row that a projection's reader finds."""
    from events.generations import live
    from events.worker import wakeups
    from projections.models import FleetRow  # the rows of the projection "fleet"
    from tests.bench import fleet

    wakeups.tell_others()
    fleet.working_agent(tenant, "agent-1")
    worker = subprocess.Popen(
        [sys.executable, "manage.py", "worker", "--until-input-ends"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    rows = live(FleetRow, "fleet", tenant).filter(agent_id="agent-1")
    taken = []
    try:
        if worker.stdout is not None:
            worker.stdout.readline()
        time.sleep(2)
        for number in range(COMMITS):
            time.sleep(0.1 + number % 7 / 100)
            fleet.heartbeat(tenant, "agent-1")
            began, version = time.perf_counter(), number + 4  # created, activated, available
            while rows.values_list("version", flat=True).get() < version:
                if time.perf_counter() - began > 10:
                    raise AssertionError("the projection does not follow")
            taken.append((time.perf_counter() - began) * 1000)
    finally:
        if worker.stdin is not None:
            worker.stdin.close()
        worker.wait(10)
    taken.sort()
    print("| from a commit to the row of a projection | ms |\n|---|---|")
    print(f"| median of {COMMITS} | {statistics.median(taken):.1f} |")
    print(f"| 95 of 100 are below | {taken[COMMITS * 95 // 100 - 1]:.1f} |")
    print(f"| largest | {taken[-1]:.1f} |\n", flush=True)


def fill(tenant: str, events: int, agents: int = AGENTS) -> None:
    from events.log.append import append
    from events.log.proposal import Proposal
    from events.vocabulary import AgentCreatedEvent, Capability
    from tests.bench import fleet

    created = [
        Proposal(
            "agent",
            f"agent-{number}",
            0,
            [
                AgentCreatedEvent(
                    f"agent-{number}",
                    tenant_id=tenant,
                    capabilities=(Capability("python", 4),),
                    agent_type=f"type-{number % 5}",
                )
            ],
            fleet.BY,
        )
        for number in range(agents)
    ]
    append(tenant, *created)
    for cycle in range(events // (agents * CYCLE)):
        version = 1 + cycle * CYCLE
        append(
            tenant,
            *(
                Proposal("agent", f"agent-{number}", version, _cycle(number, cycle), fleet.BY)
                for number in range(agents)
            ),
        )


def _cycle(number: int, cycle: int) -> list[Any]:
    from events.vocabulary import (
        AgentHealthCheckPassedEvent,
        AgentStatusChangedEvent,
        AgentTaskAssignedEvent,
        AgentTaskCompletedEvent,
        AgentTaskFailedEvent,
        Usage,
    )

    agent, task = f"agent-{number}", f"task-{number}-{cycle}"
    ended: Any
    if (number + cycle) % 20:
        ended = AgentTaskCompletedEvent(
            agent,
            task_id=task,
            result={"ok": True},
            execution_time_ms=500 + (number * 7919 + cycle * 104729) % 20_000,
            usage=Usage(900, 120),
        )
    else:
        ended = AgentTaskFailedEvent(agent, task_id=task, error_message="It did not work.")
    return [
        AgentHealthCheckPassedEvent(agent, response_time_ms=12.5, cpu_usage_percent=30),
        AgentTaskAssignedEvent(agent, task_id=task, input={"file": "a.py"}),
        AgentStatusChangedEvent(agent, from_status="AVAILABLE", to_status="BUSY"),
        ended,
        AgentStatusChangedEvent(agent, from_status="BUSY", to_status="AVAILABLE"),
    ]


def _measure_rebuilding(tenant: str) -> None:
    from events.bus import event_bus
    from events.log import read

    head = read.head(tenant)
    events = head.seq if head else 0
    print(f"| {events:,} events | events/s | ratio to reading | peak memory |")
    print("|---|---|---|---|", flush=True)
    raw = max(events / _seconds(partial(_read_and_decode, tenant)) for _ in range(ROUNDS))
    print(f"| reading and decoding all of them | {raw:,.0f} | 1.00 | |", flush=True)
    for name, each in event_bus.subscriptions.items():
        if each.read_model is None:
            continue
        rates, memory = [], 0
        for _ in range(ROUNDS):
            done = subprocess.run(
                [sys.executable, "-m", "tests.bench.projections", name, tenant],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
            seconds, kilobytes = done.stdout.split()
            rates.append(events / float(seconds))
            memory = max(memory, int(kilobytes))
        best = max(rates)
        print(
            f"| rebuild {name} | {best:,.0f} | {best / raw:.2f} | {memory / 1024:.0f} MB |",
            flush=True,
        )


def _rebuild_here(name: str, tenant: str) -> None:
    django.setup()
    from events.bus import event_bus
    from events.durable import rebuilding

    seconds = _seconds(partial(rebuilding.rebuild, event_bus.subscriptions[name], tenant))
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _read_and_decode(tenant: str) -> None:
    """By a cursor on the server where there is one, straight by the driver, into typed events."""
    from django.db import connection

    from events.registry import decoder

    query = "SELECT type, schema_version, data FROM events_event WHERE tenant_id = {} ORDER BY seq"
    connection.ensure_connection()
    if connection.vendor == "postgresql":
        with (
            connection.connection.transaction(),
            connection.connection.cursor("bench") as cursor,
        ):
            cursor.itersize = 5_000
            for kind, version, data in cursor.execute(query.format("%s"), (tenant,)):
                decoder(kind, version)(data)
        return
    for kind, version, data in connection.connection.execute(query.format("?"), (tenant,)):
        decoder(kind, version)(data)


def _seconds(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
