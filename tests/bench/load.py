"""A light client for HTTP benchmarks: a process of its own with raw sockets that stay open.

It parses as much of an answer as it needs to know where that ends, so that the server's limit is
measured and not the client's. `ceiling` says what it can send at most.
"""

import asyncio
import itertools
import multiprocessing
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

CHUNKED = -1
WARM = 20  # requests of each block that are not counted


@dataclass(frozen=True)
class Block:
    """What to send: `before` once through, not counted; then `requests`, over and over for
    `seconds`, or once through where that is None."""

    port: int
    clients: int
    requests: Sequence[bytes]
    seconds: float | None
    before: Sequence[bytes] = ()


@dataclass(frozen=True)
class Result:
    """What came of a block. latencies: seconds, of each request."""

    seconds: float
    latencies: Sequence[float]

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds


class Generator:
    """The process that sends. `run` waits for a block's end; raises what went wrong there."""

    def __init__(self, asking: Connection) -> None:
        self._asking = asking

    def run(self, block: Block) -> Result:
        self._asking.send(block)
        if not self._asking.poll(300):
            raise TimeoutError("The generator does not come to an end.")
        answer: Result | Exception = self._asking.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextmanager
def generator() -> Iterator[Generator]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve_blocks, args=(theirs,), daemon=True)
    process.start()
    try:
        yield Generator(ours)
    finally:
        ours.send(None)
        process.join(10)


@contextmanager
def something_that_answers(answer: bytes) -> Iterator[int]:
    """The port of a server that does nothing but say `answer`."""
    spawn = multiprocessing.get_context("spawn")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = spawn.Process(target=_answer_all, args=(listener, answer), daemon=True)
        process.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            process.terminate()
            process.join(10)


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """The bytes of a request; headers with _ for -."""
    given = {"Host": "127.0.0.1", "Accept": "*/*", "User-Agent": "bench"}
    if body:
        given |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _serve_blocks(asked: Connection) -> None:
    while (block := asked.recv()) is not None:
        try:
            asked.send(asyncio.run(_run(block)))
        except Exception as error:  # noqa: BLE001 -- whatever it is, the one who asked is to know
            asked.send(error)


async def _run(block: Block) -> Result:
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(_Client, "127.0.0.1", block.port) for _ in range(block.clients)
    ]
    clients = [client for _, client in made]
    if block.before:
        await _send_all(clients, iter(block.before))
    elif block.seconds is not None:
        await _send_all(clients, itertools.islice(itertools.cycle(block.requests), WARM))
    for client in clients:
        client.latencies.clear()
    began = time.perf_counter()
    if block.seconds is None:
        await _send_all(clients, iter(block.requests))
    else:
        await _send_all(clients, itertools.cycle(block.requests), began + block.seconds)
    seconds = time.perf_counter() - began
    for client in clients:
        client.transport.abort()
    return Result(seconds, [each for client in clients for each in client.latencies])


async def _send_all(
    clients: "Sequence[_Client]", requests: Iterator[bytes], until: float | None = None
) -> None:
    await asyncio.gather(*(client.send_all(requests, until) for client in clients))


class _Client(asyncio.Protocol):
    """One connection. Sends the next request when it has the whole answer to the one before."""

    transport: Any

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self._requests: Iterator[bytes] = iter(())
        self._until: float | None = None
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._received = b""
        self._expected = 0
        self._began = 0.0

    def send_all(self, requests: Iterator[bytes], until: float | None) -> "asyncio.Future[None]":
        self._requests, self._until = requests, until
        self._done = asyncio.get_running_loop().create_future()
        self._next()
        return self._done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(ConnectionError("The server closed a connection."))

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._expected:
            head, separator, _ = self._received.partition(b"\r\n\r\n")
            if not separator:
                return
            length = head.lower().partition(b"\r\ncontent-length:")[2].split(b"\r\n", 1)[0]
            self._expected = len(head) + 4 + int(length) if length else CHUNKED
        if self._expected == CHUNKED:
            if not self._received.endswith(b"\r\n0\r\n\r\n"):
                return
        elif len(self._received) < self._expected:
            return
        now = time.perf_counter()
        self.latencies.append(now - self._began)
        if self._received[9:10] != b"2":
            self._done.set_exception(AssertionError(self._received[:2_000].decode()))
            return
        if self._until is not None and now >= self._until:
            self._done.set_result(None)
            return
        self._next()

    def _next(self) -> None:
        following = next(self._requests, None)
        if following is None:
            self._done.set_result(None)
            return
        self._received, self._expected = b"", 0
        self._began = time.perf_counter()
        self.transport.write(following)


def _answer_all(listener: socket.socket, answer: bytes) -> None:
    class Answering(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport: Any = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(answer)

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Answering, sock=listener)
        await server.serve_forever()

    asyncio.run(serve())
