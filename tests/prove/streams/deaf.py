"""Clients that ask for everything and read nothing: what they cost the server, and whoever appends.

Appends are measured without them, with them, and without them again. Whoever is cut off comes back
at once.
"""

import asyncio
import os
import socket
import time
from pathlib import Path

from agents import services
from tests.prove.streams.clients import path, request, warm_up
from tests.prove.streams.places import Usage, appending, in_ms
from tests.stream.people import BY, Fleet
from tests.stream.server import Server, serving

EVENTS, EVENT_BYTES = 200, 30_000  # more than all buffers on the way hold
RECEIVE_BYTES = 4_096
MOST_BYTES_EACH = 300_000
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def prove(clients: int, per_second: float, seconds: float) -> None:
    """Print what was measured. Raises AssertionError when memory grows beyond its bound."""
    fleet = Fleet.of(f"deaf-{time.time_ns()}", "a-1")
    token = fleet.token()
    for number in range(EVENTS):
        services.update_agent(
            tenant=fleet.tenant,
            agent_id="a-1",
            metadata={str(number): "x" * EVENT_BYTES},
            by=BY,
        )
    with serving(dict(os.environ)) as server:
        warm_up(server.port, path(fleet.tenant, "?after=0"), token)
        before = Usage.of(server.process.pid).resident_bytes
        print(f"  without: {_appends(fleet, per_second, seconds)}", flush=True)
        grown, kernel, with_them = asyncio.run(
            _beside(server, fleet, token, clients, per_second, seconds)
        )
        print(f"  with {clients}: {with_them}", flush=True)
        print(f"  without: {_appends(fleet, per_second, seconds)}", flush=True)
    most = grown - before
    print(
        f"  they took at most {most / 2**20:.0f} MiB, {most / clients / 1024:.0f} KiB each; and "
        f"{kernel / 2**20:.0f} MiB of the kernel's for all sockets of this machine",
        flush=True,
    )
    assert most < clients * MOST_BYTES_EACH + 32 * 2**20


def _appends(fleet: Fleet, per_second: float, seconds: float) -> str:
    with appending(fleet.tenant, per_second, seconds) as writer:
        writer.begin()
        took = [each.took_seconds for each in writer.result()]
    return f"{len(took):,} appends, {in_ms(took)}"


async def _beside(
    server: Server, fleet: Fleet, token: str, clients: int, per_second: float, seconds: float
) -> tuple[int, int, str]:
    """The most that the server took, the most that the kernel took, and the appends."""
    what = request(path(fleet.tenant, "?after=0"), token)
    everybody = [asyncio.create_task(_be_deaf(server.port, what)) for _ in range(clients)]
    await asyncio.sleep(clients / 50)  # until they are in
    appends = asyncio.create_task(asyncio.to_thread(_appends, fleet, per_second, seconds))
    most = kernel = 0
    while not appends.done():
        most = max(most, Usage.of(server.process.pid).resident_bytes)
        kernel = max(kernel, _kernel_bytes())
        await asyncio.sleep(0.2)
    for each in everybody:
        each.cancel()
    await asyncio.gather(*everybody, return_exceptions=True)
    return most, kernel, appends.result()


async def _be_deaf(port: int, what: bytes) -> None:
    loop = asyncio.get_running_loop()
    while True:
        with socket.socket() as connection:
            connection.setblocking(False)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
            await loop.sock_connect(connection, ("127.0.0.1", port))
            await loop.sock_sendall(connection, what)
            await _until_it_is_cut(connection)


async def _until_it_is_cut(connection: socket.socket) -> None:
    """Without reading: a connection that was reset says so when its error is asked for."""
    while connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:  # noqa: ASYNC110
        await asyncio.sleep(0.5)


def _kernel_bytes() -> int:
    lines = Path("/proc/net/sockstat").read_text(encoding="ascii").splitlines()
    (tcp,) = [line.split() for line in lines if line.startswith("TCP:")]
    return int(tcp[tcp.index("mem") + 1]) * PAGE_BYTES
