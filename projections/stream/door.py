"""The ASGI application in front of Django, which would hold a thread for as long as a stream lasts.

Every request goes through Django, and every answer comes from it, except where its view has left an
Order in the scope: then the head of Django's response begins a stream.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from events.api.handover import CONNECTION, Connection
from projections.stream.follower import Message, Order, Receive, Send, Wire
from projections.stream.opening import ORDER
from projections.stream.streams import Streams

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

PATH_END = "/stream"
METHODS = frozenset({"GET", "HEAD"})  # another's path may end so too, and its body counts
# Fewer than the threads that answer requests. When a server comes back, all its clients do so at
# once, and other requests shall have their turn beside them.
OPENINGS_AT_ONCE = 8


class StreamDoor:
    """`django` with streams. One for each event loop."""

    def __init__(self, django: Application, streams: Streams) -> None:
        self._django = django
        self._streams = streams
        self._openings = asyncio.Semaphore(OPENINGS_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _may_open_a_stream(scope):
            await self._django(scope, receive, send)
            return
        start: Message | None = None

        async def hold_back_what_begins_a_stream(message: Message) -> None:
            nonlocal start
            if ORDER not in scope:
                await send(message)
            elif message["type"] == "http.response.start":
                start = message

        connection: Connection | None = scope.get("state", {}).get(CONNECTION)
        async with self._openings:
            if connection is not None and connection.is_lost():
                return  # left while it stood in line; to let it in would only make the line longer
            await self._django(scope, _without_body(receive), hold_back_what_begins_a_stream)
        if start is None:
            return
        start["headers"] = [
            (name, value) for name, value in start["headers"] if name.lower() != b"content-length"
        ]
        order: Order | None = scope[ORDER]
        if order is None:
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            return
        await self._streams.follow(order, start, Wire(receive, send, connection))


def _may_open_a_stream(scope: Scope) -> bool:
    return (
        scope["type"] == "http" and scope["method"] in METHODS and scope["path"].endswith(PATH_END)
    )


def _without_body(receive: Receive) -> Receive:
    """No stream needs a body, and nobody shall keep an opening busy by sending one slowly."""
    asked = False

    async def receive_no_body() -> Message:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while (message := await receive())["type"] != "http.disconnect":
            pass
        return message

    return receive_no_body
