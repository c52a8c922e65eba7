"""Begins and ends with the server: tells those who would keep it from stopping that it stops.

A server sends `lifespan.shutdown` when the last response is finished, and an open stream never is:
so the signals that stop the server are heard here too, before the server acts on them.
"""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from types import FrameType
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Lifespan:
    """`application`, and each of `at_the_end` called in its event loop once the end is certain.

    They may be called again, by the signal and by the server.
    """

    def __init__(self, application: Any, *at_the_end: Callable[[], None]) -> None:
        self._application = application
        self._at_the_end = at_the_end

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._application(scope, receive, send)
            return
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._listen_for_signals()
                await send({"type": "lifespan.startup.complete"})
            else:
                self._end()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _end(self) -> None:
        for each in self._at_the_end:
            each()

    def _listen_for_signals(self) -> None:
        """In front of the server's own handlers, which it has set by now and restores itself."""
        if threading.current_thread() is not threading.main_thread():
            return  # then the server has no handlers either
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            theirs = signal.getsignal(number)
            if callable(theirs):
                signal.signal(number, self._before(theirs, loop))

    def _before(
        self, theirs: Callable[[int, FrameType | None], Any], loop: asyncio.AbstractEventLoop
    ) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._end)
            theirs(number, frame)

        return handle
