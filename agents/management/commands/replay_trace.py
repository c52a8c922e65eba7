import math
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm

from agents.replay import cost, fleet
from agents.replay.http import HttpOrders, ServerRefused
from agents.replay.pace import Pace, Tally
from agents.replay.service import ServiceOrders
from agents.replay.simulation import HEARTBEAT_SECONDS, NobodyLeft, Simulation, Task
from agents.replay.trace import BadTrace, check, requests
from events.confidential.seal import check_key
from events.management.command import PlainCommand, check_tenant, operator
from events.vocabulary import Usage

MAX_AGENTS = 1_000
MAX_SPEED = 1_000_000.0
TAG = "replay"


class Command(PlainCommand):
    help = "Play a trace of real requests: each row is a task that an agent of a fleet carries out."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file", type=Path, help="CSV with TIMESTAMP, ContextTokens, GeneratedTokens"
        )
        parser.add_argument("--tenant", required=True)
        parser.add_argument("--agents", type=int, default=50, help="default: 50")
        parser.add_argument(
            "--speed", default="max", help="how much faster than it was, or max (default)"
        )
        parser.add_argument("--via", choices=["service", "http"], default="service")
        parser.add_argument("--url", help="the server's address, with --via http")
        parser.add_argument("--token", help="an operator's token, with --via http")

    def run(
        self,
        *,
        file: Path,
        tenant: str,
        agents: int,
        speed: str,
        via: str,
        url: str | None,
        token: str | None,
        **_: Any,
    ) -> None:
        factor = _speed(speed)
        if not 1 <= agents <= MAX_AGENTS:
            raise CommandError(f"--agents is 1 to {MAX_AGENTS:,}, not {agents}.")
        if (via == "http") != (url is not None and token is not None) or (
            via == "service" and (url or token)
        ):
            raise CommandError("--url and --token belong to --via http, which needs both.")
        try:
            rows = check(file)
            run = f"replay-{secrets.token_hex(4)}"
            orders: ServiceOrders | HttpOrders
            if url is None or token is None:
                by = operator("replay_trace")
                check_key(check_tenant(tenant))
                orders = ServiceOrders(tenant, by, Pace(factor), Tally())
            else:
                orders = HttpOrders(url, token, tenant, run, Pace(factor), Tally())
            self._play(orders, file, rows, agents, run, factor)
        except (BadTrace, ServerRefused, NobodyLeft, fleet.TooFew) as error:
            raise CommandError(str(error)) from error

    def _play(
        self,
        orders: ServiceOrders | HttpOrders,
        file: Path,
        rows: int,
        agents: int,
        run: str,
        speed: float | None,
    ) -> None:
        began = time.monotonic()
        members = fleet.enlist(orders, agents, TAG)
        # Slowed down, the fleet must still be seen in time: heartbeats never come slower than live.
        heartbeat_seconds = HEARTBEAT_SECONDS * min(1.0, speed or 1.0)
        simulation = Simulation(orders, members, heartbeat_seconds=heartbeat_seconds)
        with tqdm(total=rows, unit=" tasks", disable=None) as bar:
            orders.tally.ended = bar.update
            try:
                simulation.run(tasks(file, run))
            except KeyboardInterrupt:
                for agent_id, task in simulation.busy.items():
                    orders.give_up(agent_id, task)
                raise
        if isinstance(orders, HttpOrders):
            orders.close()
        self.stdout.write(_result(orders.tally, time.monotonic() - began))


def tasks(file: Path, run: str) -> Iterator[tuple[float, Task]]:
    """The trace's requests as tasks of this run, each with its arrival in seconds from the first's.

    The ids are the run's own, so that a trace can be played as often as one likes.
    """
    first = None
    for request in requests(file):
        first = first or request.arrived_at
        takes_ms = cost.execution_time_ms(request.context_tokens, request.generated_tokens)
        task = Task(
            f"{run}:{request.line}",
            # What comes out is not known yet, so the input says nothing of it.
            {
                "timestamp": request.timestamp,
                "context_tokens": request.context_tokens,
                "line": request.line,
            },
            Usage(request.context_tokens, request.generated_tokens),
            takes_ms,
            cost.failure(request.line),
        )
        yield (request.arrived_at - first).total_seconds(), task


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not 0 < speed <= MAX_SPEED:
        raise CommandError(
            f"--speed is max or a number above 0, at most {MAX_SPEED:,.0f}, not {text}."
        )
    return speed


def _result(tally: Tally, seconds: float) -> str:
    ended = f"{tally.tasks:,} tasks ({tally.failed:,} failed)"
    if tally.lost:
        ended = f"{tally.tasks:,} tasks ({tally.failed:,} failed, {tally.lost:,} ended by others)"
    rate = tally.events / seconds if seconds else 0.0
    return f"{ended}, {tally.events:,} events in {seconds:.1f} s: {rate:,.0f} events/s."
