"""What a verification by the worker costs those who command meanwhile, and how fast it goes on.

A worker runs as a process of its own; heartbeats are timed in turn while it has nothing to verify
and while it verifies a long log. BENCH_EVENTS=200000 python -m tests.bench verification
"""

import os
import statistics
import subprocess
import sys
import time

import django

EVENTS = int(os.environ.get("BENCH_EVENTS", "200000"))
ROUNDS = 6
SECONDS = 2.0


def main() -> None:
    django.setup()
    from events.models import Verification
    from events.verifications.asking import OPEN
    from tests.bench import fleet, verify

    long, busy = fleet.fresh_tenant(), fleet.fresh_tenant()
    verify._fill(long, EVENTS)
    fleet.working_agent(busy, "agent-1")
    worker = subprocess.Popen([sys.executable, "manage.py", "worker"], stderr=subprocess.DEVNULL)
    idle: list[float] = []
    verifying: list[float] = []
    spent = []
    try:
        time.sleep(10)  # the subscriptions have read what there is
        for _ in range(ROUNDS):
            idle += _beats(busy)
            asked = Verification.objects.create(tenant_id=long, head=0, requested_by="bench")
            mine = Verification.objects.filter(tenant=long, pk=asked.pk)
            while mine.get().status == "queued":
                time.sleep(0.02)
            began = time.monotonic()
            verifying += _beats(busy)
            while mine.get().status in OPEN:
                time.sleep(0.05)
            spent.append(time.monotonic() - began)
            assert mine.get().status == "passed", mine.get().why
    finally:
        worker.terminate()
        worker.wait()
    print("| a heartbeat | median | 99 % | how many |\n|---|---|---|---|")
    for name, times in (("nothing to verify", idle), ("while a log is verified", verifying)):
        late = sorted(times)[int(len(times) * 0.99)]
        print(f"| {name} | {statistics.median(times):.2f} ms | {late:.2f} ms | {len(times):,} |")
    print(f"\n{EVENTS:,} events verified in {statistics.median(spent):.1f} s (median).")


def _beats(tenant: str) -> list[float]:
    from tests.bench import fleet

    until, times = time.monotonic() + SECONDS, []
    while time.monotonic() < until:
        start = time.perf_counter()
        fleet.heartbeat(tenant, "agent-1")
        times.append((time.perf_counter() - start) * 1_000)
    return times


if __name__ == "__main__":
    main()
