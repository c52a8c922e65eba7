"""One client's connection: a position in the log, moved forward by what is written."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from django.db import Error as DatabaseError

from events.cloudevents import STORED
from events.confidential.reveal import NO_KEYS
from events.log import cursor
from events.log.cursor import LogDamaged, NotInTheLog, Position
from events.metrics import instruments
from projections.stream import frames
from projections.stream.passes import Pass
from projections.stream.reading import ReadingThreads
from projections.stream.tail import Entry, Tail
from projections.stream.wishes import Filter

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SIGN_OF_LIFE_SECONDS = 10.0  # 15 are promised
WRITE_TIMEOUT_SECONDS = 10.0
FAREWELL_SECONDS = 1.0
CHUNK_BYTES = 64 * 1024  # what a client that does not read costs, beside the server's own buffer
# What a client reads at once from the database: few events at first, then as many as will hold
# about so much payload. (One event has at most 64 KiB.)
FIRST_PAGE, MAX_PAGE = 8, 64
PAGE_BYTES = 256 * 1024


class CutOff(Exception):
    """The client does not read what it asked for."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a client asked for and may have.

    start: where it goes on from; head: the log's end when it came. reset_reason: why `start` is not
    where the client said it was.
    """

    entry: Pass
    filter: Filter
    schema: str | None
    show_origin: bool
    start: Position
    head: Position
    reset_reason: str | None = None
    reads_payloads: bool = False


@dataclass(frozen=True, slots=True)
class Wire:
    """What the server gives for one request. abort: drops the connection and all it has buffered;
    None where the server has no such thing."""

    receive: Receive
    send: Send
    abort: Callable[[], None] | None


class Follower:
    """Follows the tail of a tenant's log for one client. `position` is the last event examined."""

    __slots__ = (
        "_announced",
        "_awake",
        "_ending",
        "_gone",
        "_page",
        "_page_size",
        "_restored",
        "_sign_due",
        "_tail",
        "_threads",
        "_wire",
        "_write",
        "order",
        "position",
    )

    def __init__(self, order: Order, tail: Tail, threads: ReadingThreads, wire: Wire) -> None:
        self.order = order
        self.position = order.start
        self._announced = order.start.seq  # the position that the client knows of
        self._page: dict[int, Entry] = {}  # read from the database, while behind the tail's ring
        self._page_size = FIRST_PAGE
        self._tail = tail
        self._restored = tail.restored
        self._threads = threads
        self._wire = wire
        self._awake = asyncio.Event()
        self._ending: str | None = None
        self._gone = False
        self._write: asyncio.Timeout | None = None  # the write that is under way
        self._sign_due = 0.0

    def wake(self) -> None:
        self._awake.set()

    def end(self, reason: str) -> None:
        """The client gets no further event, only `reason`, and not much time to take that."""
        if self._ending is None:
            self._ending = reason
            self._awake.set()
            if self._write is not None:
                self._write.reschedule(asyncio.get_running_loop().time() + FAREWELL_SECONDS)

    async def run(self, start: Message) -> None:
        """Answer with the response's `start`, then follow the log until one of the two ends it."""
        listening = asyncio.create_task(self._listen_for_the_end())
        try:
            await self._send(start, WRITE_TIMEOUT_SECONDS)
            await self._put(self._greeting())
            await self._follow()
            if not self._gone:
                await self._say_farewell()
        except CutOff:
            await self._cut_off(listening)
        finally:
            listening.cancel()

    async def _listen_for_the_end(self) -> None:
        while (await self._wire.receive())["type"] != "http.disconnect":
            pass  # a body, which a GET has no use for
        self._gone = True
        self.end("The client is gone.")

    def _greeting(self) -> bytes:
        order = self.order
        greeting = frames.open_frame(order.start, order.head.seq)
        if order.reset_reason is not None:
            greeting += frames.reset_frame(order.reset_reason, order.start)
        return greeting

    async def _follow(self) -> None:
        try:
            while self._ending is None:
                self._awake.clear()
                chunk = await self._next_chunk()
                if self._ending is None:
                    await self._say(chunk)
        except (DatabaseError, LogDamaged) as error:
            logger.warning("A stream of %s ends: %s", self._tail.tenant, error)
            self.end("The log cannot be read now; come back in a moment.")

    async def _next_chunk(self) -> bytes:
        """What comes next for this client, perhaps nothing; moves the position past it."""
        if self._tail.restored != self._restored:
            return self._start_over(self._tail.reset_reason, self._tail.position)
        next_seq = self.position.seq + 1
        if next_seq <= self._tail.position.seq and self._entry(next_seq) is None:
            try:
                rows = await self._threads.ask(
                    cursor.page, self._tail.tenant, self.position, self._page_size
                )
            except NotInTheLog as difference:
                end = await self._threads.ask(cursor.head, self._tail.tenant)
                return self._start_over(difference.reason, end)
            self._page = {row.seq: Entry(row) for row in rows}
            largest = max((len(row.data) for row in rows), default=1)
            self._page_size = max(1, min(MAX_PAGE, PAGE_BYTES // largest))
        entries = self._take()
        if entries:
            instruments.stream_events.inc(len(entries))
        return await self._frames(entries)

    def _entry(self, seq: int) -> Entry | None:
        return self._page.get(seq) or self._tail.entry(seq)

    def _take(self) -> list[Entry]:
        chunk: list[Entry] = []
        size = 0
        # The one place where order is made: after event n comes event n + 1 and no other, from
        # wherever it is at hand.
        while size < CHUNK_BYTES and (entry := self._entry(self.position.seq + 1)) is not None:
            self.position = entry.position
            self._page.pop(entry.position.seq, None)
            if self.order.filter.wants(entry.row):
                self._announced = entry.position.seq
                chunk.append(entry)
                size += self._size(entry)
        return chunk

    def _size(self, entry: Entry) -> int:
        return len(entry.row.data) if self._has_to_reveal(entry) else len(self._frame(entry))

    def _frame(self, entry: Entry) -> bytes:
        return entry.frame(self.order.schema, show_origin=self.order.show_origin)

    def _has_to_reveal(self, entry: Entry) -> bool:
        return entry.sealed is not None and self.order.schema != STORED

    async def _frames(self, entries: list[Entry]) -> bytes:
        """The events as this client may read them now."""
        key_ids = [
            key_id
            for entry in entries
            if entry.sealed is not None and self._has_to_reveal(entry)
            for key_id in entry.sealed.key_ids
        ]
        known = await self._tail.keys.read(key_ids) if key_ids else NO_KEYS
        order = self.order
        return b"".join(
            entry.revealed_frame(
                known,
                schema=order.schema,
                show_origin=order.show_origin,
                plain=order.reads_payloads,
            )
            if self._has_to_reveal(entry)
            else self._frame(entry)
            for entry in entries
        )

    def _start_over(self, reason: str, position: Position) -> bytes:
        self._restored = self._tail.restored
        self._page = {}
        self.position = position
        self._announced = position.seq
        return frames.reset_frame(reason, position)

    async def _say(self, chunk: bytes) -> None:
        loop = asyncio.get_running_loop()
        if chunk:
            await self._put(chunk)
        elif loop.time() >= self._sign_due:
            await self._put(self._sign_of_life())
        elif self.position.seq >= self._tail.position.seq:
            try:
                async with asyncio.timeout_at(self._sign_due):
                    await self._awake.wait()
            except TimeoutError:
                await self._put(self._sign_of_life())

    def _sign_of_life(self) -> bytes:
        if self._announced == self.position.seq:
            return frames.COMMENT
        self._announced = self.position.seq
        return frames.position_frame(self.position)

    async def _put(self, body: bytes) -> None:
        message = {"type": "http.response.body", "body": body, "more_body": True}
        await self._send(message, WRITE_TIMEOUT_SECONDS)
        self._sign_due = asyncio.get_running_loop().time() + SIGN_OF_LIFE_SECONDS

    async def _say_farewell(self) -> None:
        body = frames.farewell_frame(self._ending or "")
        await self._send({"type": "http.response.body", "body": body}, FAREWELL_SECONDS)

    async def _send(self, message: Message, patience_seconds: float) -> None:
        """Write; raises CutOff when the client has not made room in time."""
        try:
            async with asyncio.timeout(patience_seconds) as self._write:
                await self._wire.send(message)
        except TimeoutError:
            raise CutOff from None
        except OSError:  # how some servers say that the client is gone
            self._gone = True
            self.end("The client is gone.")
        finally:
            self._write = None

    async def _cut_off(self, listening: "asyncio.Task[None]") -> None:
        """Closing would wait for ever to deliver what is buffered; so that is thrown away."""
        logger.info("A client of %s did not read and was cut off", self._tail.tenant)
        if self._wire.abort is not None:
            self._wire.abort()
            await asyncio.wait([listening], timeout=FAREWELL_SECONDS)
