"""A long answer without a thread: Django gives the head of a response, and we send the body.

Under ASGI Django keeps a request's thread, and that thread's connection, until its response has
been sent. So a view that has much to say hands it over here and returns; between two chunks nobody
waits but the client's own task.

    return handed_over(request, response, chunks)

A body that breaks off is never ended properly, so that no client takes it for a whole one.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from django.db import connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

KEY = "agentmesh.handover"  # in the scope, from the door to the view
CONNECTION = "connection"  # in the scope's state, from a server of ours
THREADS = 2  # so at most as many connections, whatever the number of clients
STALLED_SECONDS = 60.0  # a client that takes nothing for so long is cut off


class Connection(Protocol):
    """What a server of ours tells of a connection, beyond what ASGI has words for."""

    def abort(self) -> None:
        """Drop it together with all that is buffered for it, which closing would wait for."""

    def takes_more(self) -> bool:
        """Whether `send` would write at once, and not wait for the client to read."""

    def is_lost(self) -> bool:
        """Whether nobody is there any more, so that nobody has to be answered."""


@dataclass(eq=False)
class Handover:
    """What a view has left to be sent. Each chunk is made in one go; the connection is closed."""

    chunks: Iterator[bytes] | None = None


def handed_over(
    request: HttpRequest, response: HttpResponse, chunks: Iterator[bytes]
) -> HttpResponseBase:
    """`response` with `chunks` for its body, which are made as the client takes them."""
    scope: Scope = getattr(request, "scope", {})
    handover: Handover | None = scope.get(KEY)
    if handover is not None:
        handover.chunks = chunks
        return response
    # Without the door in front (WSGI, tests) Django itself streams.
    streamed = StreamingHttpResponse(
        _in_threads(_THREADS, chunks) if scope else chunks, status=response.status_code
    )
    streamed.headers = response.headers
    return streamed


class HandoverDoor:
    """`django`, whose views may hand their bodies over."""

    def __init__(self, django: Application) -> None:
        self._django = django

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._django(scope, receive, send)
            return
        handover = scope[KEY] = Handover()
        start: Message | None = None

        async def hold_back_what_is_handed_over(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and message["status"] != HTTPStatus.OK:
                handover.chunks = None  # what came after the view has made it another answer
            if handover.chunks is None:
                await send(message)
            elif message["type"] == "http.response.start":
                start = message

        await self._django(scope, receive, hold_back_what_is_handed_over)
        if handover.chunks is None or start is None:
            return
        start["headers"] = [
            (name, value) for name, value in start["headers"] if name.lower() != b"content-length"
        ]
        sending = asyncio.ensure_future(_send_body(start, handover.chunks, send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        except TimeoutError:
            connection: Connection | None = scope.get("state", {}).get(CONNECTION)
            if connection is None:
                raise
            connection.abort()
        finally:
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_body(start: Message, chunks: Iterator[bytes], send: Send) -> None:
    await send(start)
    async for chunk in _in_threads(_THREADS, chunks):
        if not chunk:  # a page in which nothing fitted; whether the client left was asked meanwhile
            continue
        async with asyncio.timeout(STALLED_SECONDS):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


_THREADS = ThreadPoolExecutor(THREADS, thread_name_prefix="handover")


async def _in_threads(threads: ThreadPoolExecutor, chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    while (chunk := await loop.run_in_executor(threads, _next, chunks)) is not None:
        yield chunk


def _next(chunks: Iterator[bytes]) -> bytes | None:
    try:
        return next(chunks, None)
    finally:
        connections.close_all()
