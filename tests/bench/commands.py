"""One command through its service, as a ratio to a raw single-row INSERT in the same run.

Every process does a block of raw INSERTs, then a block of each kind of command, and again; the
blocks begin together in all processes. A figure is the sum over the processes; a ratio is taken
within a round, and the median of the rounds is told with the smallest and the largest.
"""

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import Any

import django

ROUNDS = 7
BLOCK_SECONDS = 1.2
KINDS = ("raw INSERT", "heartbeat", "complete", "heartbeat, 1 receiver")


class Blocks:
    """What one process does: a function for each kind, given when to stop, returning how often it
    did it and in how many seconds."""

    def __init__(self, tenant: str, agent_id: str) -> None:
        from tests.bench import fleet

        self.tenant = tenant
        self.agent_id = agent_id
        self.fleet = fleet
        self.raw = fleet.RawInsert()
        self.tasks = 0
        fleet.working_agent(tenant, agent_id)
        self.kinds: dict[str, Callable[[float], tuple[int, float]]] = {
            "raw INSERT": lambda until: self.repeat(self.raw, until),
            "heartbeat": lambda until: self.repeat(self.heartbeat, until),
            "complete": self.complete,
            "heartbeat, 1 receiver": self.with_receiver,
        }

    def heartbeat(self) -> None:
        self.fleet.heartbeat(self.tenant, self.agent_id)

    def repeat(self, step: Callable[[], None], until: float) -> tuple[int, float]:
        start, done = time.perf_counter(), 0
        while time.perf_counter() < until:
            step()
            done += 1
        return done, time.perf_counter() - start

    def complete(self, until: float) -> tuple[int, float]:
        """Only the completing counts; the assigning between is not timed."""
        from agents import services
        from events.vocabulary import Usage

        done, spent = 0, 0.0
        while time.perf_counter() < until:
            self.tasks += 1
            task: dict[str, Any] = {
                "tenant": self.tenant,
                "agent_id": self.agent_id,
                "task_id": f"{self.agent_id}-{self.tasks}",
                "by": self.fleet.BY,
            }
            services.assign_task(**task)
            start = time.perf_counter()
            services.complete_task(
                **task, execution_time_ms=1200, result={"ok": True}, usage=Usage(100, 20)
            )
            spent += time.perf_counter() - start
            done += 1
        return done, spent

    def with_receiver(self, until: float) -> tuple[int, float]:
        """A receiver in the transaction costs every command BEGIN and COMMIT as round trips."""
        from events.bus import events_appended

        def receive(**_: object) -> None:
            pass

        events_appended.connect(receive)
        try:
            return self.repeat(self.heartbeat, until)
        finally:
            events_appended.disconnect(receive)


def _work(number: int, barrier: Barrier, tenant: str, results: Any) -> None:
    django.setup()
    blocks = Blocks(tenant, f"agent-{number}")
    for kind in KINDS:
        blocks.kinds[kind](time.perf_counter() + 0.2)
    for round_number in range(ROUNDS):
        for kind in KINDS:
            barrier.wait(timeout=120)
            done, spent = blocks.kinds[kind](time.perf_counter() + BLOCK_SECONDS)
            results.put((round_number, kind, done / spent))


def measure(processes: int, *, one_tenant: bool = False) -> None:
    """Run the blocks in so many processes and print a row for each kind."""
    from tests.bench import fleet

    shared = fleet.fresh_tenant()
    tenants = [shared if one_tenant else fleet.fresh_tenant() for _ in range(processes)]
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(processes), spawn.Queue()
    workers = [
        spawn.Process(target=_work, args=(number, barrier, tenant, results))
        for number, tenant in enumerate(tenants)
    ]
    for worker in workers:
        worker.start()
    rates: dict[tuple[int, str], float] = {}
    for _ in range(processes * ROUNDS * len(KINDS)):
        round_number, kind, rate = results.get(timeout=300)
        rates[round_number, kind] = rates.get((round_number, kind), 0.0) + rate
    for worker in workers:
        worker.join(timeout=60)
    where = "one tenant" if one_tenant else "a tenant each"
    for kind in KINDS:
        each = [rates[number, kind] for number in range(ROUNDS)]
        ratios = [rates[number, kind] / rates[number, "raw INSERT"] for number in range(ROUNDS)]
        print(
            f"| {processes}, {where} | {kind} | {statistics.median(each):,.0f} | "
            f"{statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} |",
            flush=True,
        )


def main() -> None:
    django.setup()
    print("| processes | command | per second | ratio to raw INSERT | smallest to largest |")
    print("|---|---|---|---|---|", flush=True)
    measure(1)
    if "--one" in sys.argv:
        return
    measure(8)
    measure(8, one_tenant=True)


if __name__ == "__main__":
    main()
