"""Clients of the stream on raw sockets, a thousand of which one process can be."""

import asyncio
import time
from array import array
from collections.abc import Callable

START = b"event: stream-"
PATIENCE_SECONDS = 120


class Client(asyncio.Protocol):
    """One connection: keeps the id of each event that it hears, and when.

    Takes HTTP/1.1 and chunks. `last` is the last event's id, to come back with.
    """

    __slots__ = (
        "_chunks",
        "_frames",
        "_head",
        "_request",
        "ended",
        "heard",
        "is_whole",
        "on_event",
        "opened",
        "refused",
        "times",
        "transport",
    )

    def __init__(
        self,
        path: str,
        token: str,
        *,
        last_event_id: str | None = None,
        on_event: Callable[["Client"], None] | None = None,
    ) -> None:
        header = "" if last_event_id is None else f"Last-Event-ID: {last_event_id}\r\n"
        self._request = request(path, token, header)
        self._head: bytes | None = b""
        self._chunks = self._frames = b""
        self.heard: list[bytes] = []
        self.times = array("d")
        self.on_event = on_event
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.refused = b""
        self.is_whole = False  # the server has ended the response, rather than broken it off

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 200 "):
                self.refused = head + end + data
                self.transport.close()
                return
            self._head = None
        self._take_chunks(self._chunks + data if self._chunks else data, time.monotonic())

    def _take_chunks(self, data: bytes, now: float) -> None:
        start = 0
        while (line_end := data.find(b"\r\n", start)) >= 0:
            size = int(data[start:line_end], 16)
            end = line_end + 2 + size
            if len(data) < end + 2:
                break
            self.is_whole = size == 0
            if size:
                self._take(data[line_end + 2 : end], now)
            start = end + 2
        self._chunks = data[start:]

    def _take(self, body: bytes, now: float) -> None:
        *frames, self._frames = (self._frames + body if self._frames else body).split(b"\n\n")
        for frame in frames:
            if frame.startswith(b"event: "):
                if not frame.startswith(START):
                    self._hear(frame, now)
            elif START in frame and not self.opened.done():
                self.opened.set_result(None)

    def _hear(self, frame: bytes, now: float) -> None:
        start = frame.index(b"\nid: ") + 5
        self.heard.append(frame[start : frame.index(b"\n", start)])
        self.times.append(now)
        if self.on_event is not None:
            self.on_event(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(self.refused or b"closed before it began"))
            self.opened.exception()  # whoever waits for it is told; nobody else has to be
        if not self.ended.done():
            self.ended.set_result(None)


def request(path: str, token: str, header: str = "") -> bytes:
    """A request for a stream; header: one more line, with its end."""
    said = f"Host: localhost\r\nAuthorization: Bearer {token}\r\n{header}"
    return f"GET {path} HTTP/1.1\r\n{said}\r\n".encode()


def path(tenant: str, query: str = "") -> str:
    return f"/api/v1/tenants/{tenant}/stream{query}"


async def opened(port: int, path: str, token: str) -> Client:
    """A client that has heard how its stream begins."""
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: Client(path, token), "127.0.0.1", port)
    await asyncio.wait_for(client.opened, PATIENCE_SECONDS)
    return client


async def crowd(port: int, path: str, token: str, clients: int) -> list[Client]:
    """So many clients, all of which come at once."""
    return await asyncio.gather(*(opened(port, path, token) for _ in range(clients)))


def warm_up(port: int, path: str, token: str) -> None:
    """What a server's first client costs is not what a client costs."""

    async def come_and_go() -> None:
        client = await opened(port, path, token)
        await asyncio.sleep(1)
        client.transport.abort()

    asyncio.run(come_and_go())
