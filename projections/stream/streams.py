"""All streams of this process: a tail for each tenant that is followed, and what they share."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any

from django.db import Error as DatabaseError

from events.bus import events_committed
from events.metrics import instruments
from projections.stream import passes, reading
from projections.stream.ear import Ear
from projections.stream.follower import Follower, Message, Order, Wire
from projections.stream.passes import Pass
from projections.stream.reading import ReadingThreads
from projections.stream.tail import Tail

logger = logging.getLogger(__name__)

# Beneath every wake-up: what is appended is noticed after this time at the latest.
PULSE_SECONDS = 1.0
CHECK_PASSES_SECONDS = 2.0  # a void pass is to be noticed within 5
MIND_SECONDS = 0.5  # how late a sign of life or a cut may be


class Streams:
    """Belongs to one event loop. While nobody listens it costs nothing: no task, no receiver."""

    def __init__(self) -> None:
        self._threads = ReadingThreads()
        self._tails: dict[str, tuple[Tail, asyncio.Task[None]]] = {}
        self._followers: set[Follower] = set()
        self._chores: list[asyncio.Task[None]] = []
        self._ear: Ear | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = False

    def is_idle(self) -> bool:
        return not (self._followers or self._tails or self._chores)

    async def follow(self, order: Order, start: Message, wire: Wire) -> None:
        """Serve one client until it or we end it. `start` begins the response."""
        tail = self._tail(order)
        follower = Follower(order, tail, self._threads, wire)
        self._enter(follower, tail)
        try:
            await follower.run(start)
        finally:
            self._leave(follower, tail)

    def close(self) -> None:
        """End every stream, and each that would still begin. To be called in the event loop."""
        self._closing = True
        for follower in tuple(self._followers):
            follower.end("The server is stopping; come back in a moment.")

    def _tail(self, order: Order) -> Tail:
        tenant = order.entry.tenant
        if tenant not in self._tails:
            tail = Tail(tenant, order.head, self._threads)
            tail.nudge()  # for what was appended since the order was written
            self._tails[tenant] = tail, self._start(tail.run())
        return self._tails[tenant][0]

    def _enter(self, follower: Follower, tail: Tail) -> None:
        self._followers.add(follower)
        instruments.streams_open.inc()
        tail.followers.add(follower)
        if not self._chores:
            self._loop = asyncio.get_running_loop()
            self._chores = [
                self._start(chore) for chore in (self._pulse(), self._check(), self._mind())
            ]
            self._ear = Ear(self._ring, lambda: tuple(self._tails))
            self._ear.open()
            events_committed.connect(self._hear, weak=False, dispatch_uid=id(self))
        if self._closing:
            follower.end("The server is stopping; come back in a moment.")

    def _leave(self, follower: Follower, tail: Tail) -> None:
        self._followers.discard(follower)
        instruments.streams_open.dec()
        tail.followers.discard(follower)
        if not tail.followers:
            _, task = self._tails.pop(tail.tenant)
            task.cancel()
        if not self._followers:
            events_committed.disconnect(dispatch_uid=id(self))
            if self._ear is not None:
                self._ear.shut()
            for chore in self._chores:
                chore.cancel()
            self._chores = []

    def _start(self, chore: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(chore)
        task.add_done_callback(self._end_all_if_it_failed)
        return task

    def _end_all_if_it_failed(self, chore: "asyncio.Task[None]") -> None:
        """A stream without its chores only looks alive; its client comes back to new ones."""
        error = None if chore.cancelled() else chore.exception()
        if error is not None:
            logger.critical("A chore of the streams failed; they all end here", exc_info=error)
            for follower in tuple(self._followers):
                follower.end("The server failed; come back in a moment.")

    def _hear(self, tenant: str, **_: object) -> None:
        """Receiver of events_committed, in whatever thread has committed."""
        self._ring((tenant,))

    def _ring(self, tenants: Iterable[str]) -> None:
        """In any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop was closed meanwhile
                self._loop.call_soon_threadsafe(self.nudge, tenants)

    def nudge(self, tenants: Iterable[str]) -> None:
        """Their logs may have grown. Any wake-up ends here, in the event loop."""
        for tenant in tenants:
            if tenant in self._tails:
                self._tails[tenant][0].nudge()

    async def _pulse(self) -> None:
        while True:
            await asyncio.sleep(PULSE_SECONDS)
            try:
                seqs = await self._threads.ask(reading.head_seqs, tuple(self._tails))
            except DatabaseError as error:
                logger.warning("The heads of the logs could not be read: %s", error)
                continue
            for tail, _ in self._tails.values():
                if seqs.get(tail.tenant) != tail.position.seq:
                    tail.nudge()

    async def _mind(self) -> None:
        """One clock for all followers: a timer of each, set anew with each event, costs more than
        to look at all of them now and then."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(MIND_SECONDS)
            now = loop.time()
            for follower in tuple(self._followers):
                follower.mind(now)

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(CHECK_PASSES_SECONDS)
            holders: dict[Pass, list[Follower]] = defaultdict(list)
            for follower in self._followers:
                holders[follower.order.entry].append(follower)
            try:
                void = await self._threads.ask(passes.void, tuple(holders))
            except DatabaseError as error:
                logger.warning("The streams' tokens and members could not be checked: %s", error)
                continue
            for each in void:
                for follower in holders[each]:
                    follower.end("What opened this stream opens nothing any more.")
