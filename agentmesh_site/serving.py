"""What `manage.py serve` runs in each of its processes; other servers run `asgi.application`.

All of it is named by import paths, since a worker process is a new interpreter.
"""

import asyncio
import multiprocessing
import os
import signal
import socket
import sqlite3
import threading
from typing import Any

from django.db import connection
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from agentmesh_site import beside
from agentmesh_site.asgi import door, streams
from agentmesh_site.lifespan import Lifespan
from events.api.handover import CONNECTION
from events.worker import wakeups

HARD_STOP_SECONDS = 4.0  # 5 are promised
UNSENT_BYTES = 64 * 1024
HEAD_SECONDS = 20.0  # what a client is given to send the head of a request


def send_at_once(transport: asyncio.Transport) -> None:
    """Have each part of an answer sent when it is written, not when the last one was acknowledged.

    asyncio does so only for sockets that name their protocol, which an accepted one inherits from
    its listener and `socket.create_server` does not name. Without it an answer of two parts waits
    for the client's delayed acknowledgement, 40 ms.
    """
    accepted = transport.get_extra_info("socket")
    if accepted is not None and accepted.family in (socket.AF_INET, socket.AF_INET6):
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            # What a client does not read waits here, where it is counted, and not in the kernel,
            # which took 3 MB for a connection that nobody read.
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)


class Protocol(H11Protocol):
    """HTTP/1.1 that tells the application more of the connection than ASGI has words for."""

    _patience: asyncio.TimerHandle | None = None  # for a request that has not come whole

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        send_at_once(transport)
        self.app_state: dict[str, Any] = {**self.app_state, CONNECTION: self}
        self._limit_the_wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._limit_the_wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_the_wait()
        super().connection_lost(exc)

    def _limit_the_wait(self) -> None:
        """A head that comes byte by byte, or not at all, keeps its place for so long and no longer;
        the server itself limits only the time between two requests."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._end_the_wait()
        elif self._patience is None:
            self._patience = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _end_the_wait(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def abort(self) -> None:
        """Drop the connection together with what is buffered for it, where closing would wait until
        the client has read everything."""
        self.transport.abort()

    def takes_more(self) -> bool:
        """Whether `send` would write at once, and not wait for the client to read."""
        return not self.flow.write_paused and not self.transport.is_closing()

    def is_lost(self) -> bool:
        """Whether nobody is there any more, so that nobody has to be answered."""
        return self.cycle.disconnected


def stop_hard_in_time() -> None:
    """Whatever still hangs then, in a thread perhaps, dies with the process.

    Nothing is lost by that: what was acknowledged is durable, and the rest was never promised.
    """
    if signal.getitimer(signal.ITIMER_REAL)[0] == 0:
        signal.setitimer(signal.ITIMER_REAL, HARD_STOP_SECONDS)


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


if multiprocessing.parent_process() is not None:
    # A worker that outlives its parent would keep the port, and nobody would know of it.
    threading.Thread(target=_end_with_the_parent, name="parent-watch", daemon=True).start()


def _keep_the_write_ahead_log() -> sqlite3.Connection | None:
    """A connection to SQLite that stays, however often others come and go.

    Whoever closes the last one copies the write-ahead log into the database and removes it; in a
    quiet server that would be every reader of a stream.
    """
    if connection.vendor != "sqlite":
        return None
    staying = sqlite3.connect(connection.settings_dict["NAME"], check_same_thread=False)
    staying.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the log
    return staying


_staying = _keep_the_write_ahead_log()
wakeups.tell_others()
application = Lifespan(door, streams.close, beside.tell_to_stop, stop_hard_in_time)
