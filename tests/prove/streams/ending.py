"""SIGTERM with many open streams: the server is out within 5 s, and every client is told."""

import asyncio
import os
import time

from tests.prove.streams.clients import crowd, path
from tests.stream.people import Fleet
from tests.stream.server import Server, serving

PROMISED_SECONDS = 5.0


def prove(clients: int) -> None:
    """Print what was measured. Raises AssertionError."""
    fleet = Fleet.of(f"ending-{time.time_ns()}", "a-1")
    with serving(dict(os.environ)) as server:
        asyncio.run(_end(server, fleet, fleet.token(), clients))


async def _end(server: Server, fleet: Fleet, token: str, clients: int) -> None:
    everybody = await crowd(server.port, path(fleet.tenant, "?after=0"), token, clients)
    took = await asyncio.to_thread(server.stop)
    async with asyncio.timeout(PROMISED_SECONDS):
        await asyncio.gather(*(client.ended for client in everybody))
    whole = sum(client.is_whole for client in everybody)
    print(
        f"  out {took:.1f} s after SIGTERM with {clients:,} open streams, {whole:,} of which were "
        f"ended in good order; code {server.process.returncode}",
        flush=True,
    )
    assert took < PROMISED_SECONDS
    assert whole == clients
