"""What runs beside the worker: one session after the other, for as long as the worker runs.

Nothing that the broker or the database does ends it, and nothing of it waits in a worker's thread:
an event loop of its own, a thread that listens, and few in which the database is asked.
"""

import asyncio
import itertools
import logging
import random
import threading
from collections.abc import Iterable
from contextlib import suppress

from django.conf import settings
from django.db import Error as DatabaseError
from nats.js.errors import NotFoundError

from events.duties import Beside
from projections.relay import notes
from projections.relay.connecting import Connection, Server, Trouble
from projections.relay.pipeline import Doubt
from projections.relay.session import Session
from projections.relay.stream import Unusable
from projections.relay.told import Told
from projections.stream.reading import ReadingThreads

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0
EAR_SECONDS = 0.5
FAREWELL_SECONDS = 2.5  # the worker is gone within 5


class Wakeups:
    """Tenants whose logs may have grown, from the thread that listens into the event loop."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._names: set[str] = set()
        self._any = asyncio.Event()

    async def wait(self, timeout_seconds: float) -> frozenset[str]:
        """Those since the last call; none when the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._any.wait()
        self._any.clear()
        names, self._names = frozenset(self._names), set()
        return names

    def listen(self, beside: Beside) -> None:
        """In a thread of its own, until the worker ends."""
        with suppress(RuntimeError):  # the loop was closed before the worker ended
            while not beside.stop.is_set():
                names = beside.ear.wait(EAR_SECONDS)
                if names:
                    self._loop.call_soon_threadsafe(self._put, names)
            self._loop.call_soon_threadsafe(self.stopped.set)

    def _put(self, names: Iterable[str]) -> None:
        self._names.update(names)
        self._any.set()


def run(beside: Beside) -> None:
    """Relay until `beside.stop` is set."""
    asyncio.run(_run(beside, [Server.of(url) for url in settings.NATS_URLS]))


async def _run(beside: Beside, servers: list[Server]) -> None:
    wakeups = Wakeups()
    threading.Thread(target=wakeups.listen, args=[beside], name="relay-ear", daemon=True).start()
    sessions = asyncio.create_task(_sessions(wakeups, servers))
    stopped = asyncio.create_task(wakeups.stopped.wait())
    await asyncio.wait({sessions, stopped}, return_when=asyncio.FIRST_COMPLETED)
    sessions.cancel()
    stopped.cancel()
    await asyncio.wait({sessions}, timeout=FAREWELL_SECONDS)
    if sessions.done() and not sessions.cancelled():
        sessions.result()  # raises what nobody foresaw; the worker logs it and calls again


async def _sessions(wakeups: Wakeups, servers: list[Server]) -> None:
    threads, told = ReadingThreads("relay-reading"), Told()
    pause = FIRST_PAUSE_SECONDS
    for server in itertools.cycle(servers):
        connection = Connection(server)
        session = Session(connection, threads, wakeups, told)
        try:
            await connection.open()
            await session.run()
        except (*Trouble, Doubt, Unusable, NotFoundError, DatabaseError) as error:
            reason = server.without_secrets(f"{error}" or type(error).__name__)
            told.say("broker", logging.WARNING, f"No relay to {server.name}: {reason}. Trying on.")
            with suppress(DatabaseError):  # it may be what is away
                await threads.ask(notes.trouble, f"{server.name}: {reason}")
        finally:
            await connection.close()
        pause = FIRST_PAUSE_SECONDS if session.worked else min(pause * 2, LONGEST_PAUSE_SECONDS)
        await asyncio.sleep(pause * random.uniform(0.5, 1))
