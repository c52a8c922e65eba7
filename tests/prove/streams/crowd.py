"""Many clients, all live: each hears exactly the log, and how soon after the commit."""

import asyncio
import os
import time

from tests.prove.streams.clients import PATIENCE_SECONDS, Client, crowd, path, warm_up
from tests.prove.streams.places import Appending, Usage, appending, in_ms, server_connections
from tests.stream.people import Fleet
from tests.stream.server import Server, serving

IDLE_SECONDS = 5.0


def prove(clients: int, per_second: float, seconds: float) -> None:
    """Print what was measured. Raises AssertionError when a client did not hear the log."""
    fleet = Fleet.of(f"crowd-{time.time_ns()}")
    token = fleet.token()
    with (
        serving(dict(os.environ)) as server,
        appending(fleet.tenant, per_second, seconds) as writer,
    ):
        warm_up(server.port, path(fleet.tenant), token)
        asyncio.run(_listen(server, fleet, token, clients, writer))


async def _listen(
    server: Server, fleet: Fleet, token: str, clients: int, writer: Appending
) -> None:
    start = await asyncio.to_thread(lambda: fleet.head)
    everybody = await _wait(server, path(fleet.tenant), token, clients)
    before, began = Usage.of(server.process.pid), time.monotonic()
    writer.begin()
    appended = await asyncio.to_thread(writer.result)
    expected = [name.encode() for name in (await asyncio.to_thread(lambda: fleet.ids))[start:]]
    await _everything(everybody, len(expected))
    after, spent = Usage.of(server.process.pid), time.monotonic() - began
    wrong = sum(client.heard != expected for client in everybody)
    at = {each.seq - start - 1: each.at for each in appended}
    delays = [client.times[place] - moment for client in everybody for place, moment in at.items()]
    print(
        f"  {len(expected):,} events to each of {clients:,}: {wrong} did not hear exactly the log; "
        f"from the commit {in_ms(delays)}\n"
        f"  meanwhile {(after.cpu_seconds - before.cpu_seconds) / spent:.0%} of a core; then "
        f"{after.resident_bytes / 2**20:.0f} MiB in all and {after.threads} threads",
        flush=True,
    )
    for client in everybody:
        client.transport.abort()
    assert not wrong


async def _wait(server: Server, path: str, token: str, clients: int) -> list[Client]:
    """So many clients for which nothing happens, and what they cost."""
    pid = server.process.pid
    before, connections = Usage.of(pid), server_connections()
    began = time.monotonic()
    everybody = await crowd(server.port, path, token, clients)
    opening = time.monotonic() - began
    await asyncio.sleep(IDLE_SECONDS)
    waiting = Usage.of(pid)
    await asyncio.sleep(IDLE_SECONDS)
    waited = Usage.of(pid)
    each = (waited.resident_bytes - before.resident_bytes) / clients / 1024
    idle = (waited.cpu_seconds - waiting.cpu_seconds) / IDLE_SECONDS
    print(f"  {clients:,} came at once and were let in within {opening:.1f} s")
    print(
        f"  waiting: {each:.1f} KiB each, {waited.threads} threads (before: {before.threads}), "
        f"{idle:.1%} of a core"
    )
    if connections is not None:
        print(
            f"  connections of all here to the database: {server_connections()} "
            f"(before: {connections}; the pool keeps those of the openings for a while)",
            flush=True,
        )
    return everybody


async def _everything(everybody: list[Client], events: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while any(len(client.heard) < events for client in everybody):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
