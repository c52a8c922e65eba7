"""What a request costs over HTTP, beside a bare DRF view that inserts one row by the ORM.

Four servers run, ours and the bare one (`tests.bench.bare`) with one process and with two, none
with a worker beside; one is asked at a time, in turn, round after round, and a ratio is taken
within a round. BENCH_ROUNDS=2 BENCH_SECONDS=0.5 makes it shorter, BENCH_ONLY=1 leaves the servers
of two processes away.

python -m tests.bench http
"""

import os
import random
import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import django

from tests.bench.load import Block, Generator, generator, request, something_that_answers

if TYPE_CHECKING:
    from tests.stream.server import Server

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "1.5"))
PROCESSES = (1,) if "BENCH_ONLY" in os.environ else (1, 2)
CLIENTS = (1, 8)
AGENTS = 1_000
PAGE = 100
TASKS = 300  # of one block; each has an agent of its own
BARE, COMPLETE = "bare view, one INSERT", "complete"
HEARTBEAT = (
    b'{"success_rate":0.98,"response_time_ms":120.5,"cpu_usage_percent":35.0,'
    b'"memory_usage_percent":61.5}'
)
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    django.setup()
    with ExitStack() as stack:
        sender = stack.enter_context(generator())
        _print_ceiling(sender)
        tenant, secret = _fleet()
        ours = stack.enter_context(_servers("agentmesh_site.settings"))
        bare = stack.enter_context(_servers("tests.bench.bare_settings"))
        asking = Asking(tenant, secret)
        cells = {
            (processes, clients, kind): Cell()
            for processes in PROCESSES
            for clients in CLIENTS
            for kind in KINDS
        }
        for _ in range(ROUNDS):
            for (processes, clients, kind), cell in cells.items():
                server = (bare if kind == BARE else ours)[processes]
                before = _cpu_seconds(server.process.pid)
                block = asking.block(kind, server.port, clients)
                result = sender.run(block)
                cpu = _cpu_seconds(server.process.pid) - before
                sent = len(result.latencies) + len(block.before)
                cell.add(result.rate, result.latencies, cpu / sent)
    _print(cells)


class Asking:
    """The requests of each kind, in the tenant with its fleet."""

    def __init__(self, tenant: str, secret: str) -> None:
        from events.api.paging import cursor_of

        self._path = f"/api/v1/tenants/{tenant}"
        self._headers = {"Authorization": f"Bearer {secret}"}
        self._tasks = 0
        names = [_name(number) for number in range(AGENTS)]
        self._heartbeats = [
            self._to("POST", f"/agents/{name}/heartbeat", HEARTBEAT) for name in names
        ]
        self._bare = [request("POST", f"/agents/{name}/heartbeat", HEARTBEAT) for name in names]
        somewhere = [random.randrange(AGENTS - PAGE) for _ in range(100)]
        self._agents = [
            self._to("GET", f"/agents?limit={PAGE}&cursor={cursor_of(names[place])}")
            for place in somewhere
        ]
        # Three events were recorded of each agent before the first request.
        self._events = [
            self._to("GET", f"/events?limit={PAGE}&after={place}") for place in somewhere
        ]

    def block(self, kind: str, port: int, clients: int) -> Block:
        if kind == COMPLETE:
            assigned, completed = zip(*(self._task() for _ in range(TASKS)), strict=True)
            return Block(port, clients, completed, None, assigned)
        requests = {
            BARE: self._bare,
            "heartbeat": self._heartbeats,
            "agent list, 100 of 1,000": self._agents,
            "event page, 100 events": self._events,
        }[kind]
        return Block(port, clients, requests, SECONDS)

    def _task(self) -> tuple[bytes, bytes]:
        self._tasks += 1
        task, agent = f"t-{self._tasks}", f"/agents/{_name(self._tasks % AGENTS)}"
        return (
            self._to("POST", f"{agent}/tasks", b'{"task_id":"%b"}' % task.encode()),
            self._to(
                "POST", f"{agent}/tasks/{task}/complete", b'{"execution_time_ms":1200,"result":{}}'
            ),
        )

    def _to(self, method: str, path: str, body: bytes = b"") -> bytes:
        return request(method, self._path + path, body, **self._headers)


KINDS = (BARE, "heartbeat", COMPLETE, "agent list, 100 of 1,000", "event page, 100 events")


@dataclass
class Cell:
    """What was measured of one kind; one entry for each round, latencies of all."""

    rates: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, rate: float, latencies: Sequence[float], cpu: float) -> None:
        self.rates.append(rate)
        self.latencies += latencies
        self.cpu.append(cpu)


def _print(cells: dict[tuple[int, int, str], Cell]) -> None:
    print(
        "| processes, clients | what | requests/s (median) | p50, ms | p99, ms "
        "| ratio to the bare view | smallest to largest | the server's CPU, ms |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for (processes, clients, kind), cell in cells.items():
        bare = cells[processes, clients, BARE].rates
        ratios = [rate / limit for rate, limit in zip(cell.rates, bare, strict=True)]
        percent = statistics.quantiles(cell.latencies, n=100)
        print(
            f"| {processes}, {clients} | {kind} | {statistics.median(cell.rates):,.0f} "
            f"| {percent[49] * 1000:.2f} | {percent[98] * 1000:.2f} "
            f"| {statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} "
            f"| {statistics.median(cell.cpu) * 1000:.2f} |",
            flush=True,
        )


def _print_ceiling(sender: Generator) -> None:
    """What the client itself can do, against somebody who answers without thinking."""
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n" + b"x" * 500
    with something_that_answers(answer) as port:
        for clients in CLIENTS:
            asked = [request("POST", "/", HEARTBEAT)]
            result = sender.run(Block(port, clients, asked, SECONDS))
            print(f"The client alone, {clients} at once: {result.rate:,.0f} requests/s.")
    print(flush=True)


def _fleet() -> tuple[str, str]:
    """A tenant with its agents, and a token that may work there."""
    from django.db import connection

    from events import tenants
    from events.models import Role
    from tests.bench import bare, fleet

    tenant = fleet.fresh_tenant()
    for number in range(AGENTS):
        fleet.working_agent(tenant, _name(number))
    _, secret = tenants.issue_token(tenant, "bench", Role.OPERATOR, by=fleet.BY)
    bare.make_table()
    connection.close()
    return tenant, secret


def _name(number: int) -> str:
    return f"agent-{number:05}"


@contextmanager
def _servers(settings: str) -> "Iterator[dict[int, Server]]":
    from tests.stream.server import serving

    environment = os.environ | {"DJANGO_SETTINGS_MODULE": settings, "PYTHONWARNINGS": "ignore"}
    with ExitStack() as stack:
        yield {
            processes: stack.enter_context(serving(environment, "--workers", str(processes)))
            for processes in PROCESSES
        }


def _cpu_seconds(pid: int) -> float:
    """Of the process and those it has started."""
    own = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return (int(own[11]) + int(own[12])) / TICKS + sum(_cpu_seconds(int(each)) for each in children)


if __name__ == "__main__":
    main()
