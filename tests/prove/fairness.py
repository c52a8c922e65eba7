"""`python -m tests.prove.fairness [events]`: a tenant that is far behind delays nobody.

One tenant has a million events that no projection has read. A worker begins; while it catches up,
another tenant's agent beats every few hundred milliseconds, and each beat's row must be there
within a second.
"""

import signal
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tests.prove.engines import HERE, on_both
from tests.prove.forks import end, fleet, forked, work

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from projections.models import FleetRow

EVENTS = 1_000_000
BEATS = 40
WITHIN_SECONDS = 1.0


def main(arguments: list[str]) -> int:
    if HERE in arguments:
        prove(int(arguments[1]))
        return 0
    return on_both("tests.prove.fairness", arguments or [str(EVENTS)])


def prove(events: int) -> None:
    """Print what was measured. Raises AssertionError."""
    import django

    django.setup()
    from events import tenants
    from events.durable import status
    from events.generations import live
    from events.worker import wakeups
    from projections.models import FleetRow
    from tests.bench.fleet import heartbeat
    from tests.bench.projections import fill

    tenants.create_tenant("behind")
    fill("behind", events)
    fleet("acme", 1)
    worker = forked(partial(work, 10.0))
    wakeups.tell_others()
    taken = []
    rows = live(FleetRow, "fleet", "acme").filter(agent_id="a-0")
    try:
        _await(rows.exists, 60)
        for number in range(BEATS):
            time.sleep(0.1 + number % 5 / 20)
            heartbeat("acme", "a-0")
            began, version = time.perf_counter(), number + 4  # created, activated, available
            _await(partial(_stands_at, rows, version), 30)
            taken.append(time.perf_counter() - began)
        behind = [state.lag_events for state in status.states("behind")]
    finally:
        end(worker, signal.SIGTERM)
    assert max(behind), "the other had caught up before the end: give it more events"
    print(
        f"  {BEATS} beats beside a backlog of {events:,}: median "
        f"{statistics.median(taken) * 1000:.0f} ms, at most {max(taken) * 1000:.0f} ms; "
        f"{max(behind):,} events of the backlog were left",
        flush=True,
    )
    assert max(taken) < WITHIN_SECONDS


def _stands_at(rows: "QuerySet[FleetRow]", version: int) -> bool:
    return rows.filter(version__gte=version).exists()


def _await(condition: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.002)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
