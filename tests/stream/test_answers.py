"""How the server puts its answers on the wire."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from agentmesh_site import serving
from agentmesh_site.serving import Protocol, send_at_once


class Accepted(asyncio.Transport):
    """The server's side of a real connection, as `socket.create_server` accepts it."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__({"socket": connection})


def test_no_part_of_an_answer_waits_for_the_acknowledgement_of_the_one_before() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0

            send_at_once(Accepted(connection))

            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


@pytest.mark.parametrize("sent", [b"", b"GET /health/live HTTP/1.1\r\nX-Slow: ", b"G"])
def test_a_head_that_does_not_come_keeps_no_place(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.1)

    async def scenario() -> None:
        async with connected(answering) as (reader, writer):
            writer.write(sent)
            with suppress(ConnectionResetError):
                assert not await asyncio.wait_for(reader.read(), 5)

    asyncio.run(scenario())


def test_an_answer_may_take_longer_than_a_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.1)

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.3)
        await answering(scope, receive, send)

    async def scenario() -> None:
        async with connected(late) as (reader, writer):
            for _ in range(2):
                writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert await asyncio.wait_for(reader.readuntil(b"Well."), 5)

    asyncio.run(scenario())


async def answering(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"Well."})


@asynccontextmanager
async def connected(
    application: Any,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client of a server of its own."""
    config = uvicorn.Config(application, interface="asgi3", log_config=None, lifespan="off")
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: Protocol(config, state, {}), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            async with asyncio.timeout(5):
                while state.connections:  # noqa: ASYNC110 -- the server's own set
                    await asyncio.sleep(0.01)
