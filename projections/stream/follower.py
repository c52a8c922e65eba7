"""One client's connection: a position in the log, moved forward by what is written."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from django.db import Error as DatabaseError

from events.api.handover import Connection
from events.cloudevents import STORED
from events.confidential.reveal import NO_KEYS
from events.log import cursor
from events.log.cursor import LogDamaged, NotInTheLog, Position
from events.metrics import instruments
from projections.stream import frames
from projections.stream.passes import Pass
from projections.stream.reading import ReadingThreads
from projections.stream.tail import Entry, News, Tail
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
NEVER = math.inf


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
    """What the server gives for one request. connection: None under a server that is not ours."""

    receive: Receive
    send: Send
    connection: Connection | None


class Follower:
    """Follows the tail of a tenant's log for one client. `position` is the last event examined."""

    __slots__ = (
        "_announced",
        "_ending",
        "_gone",
        "_limit",
        "_page",
        "_page_size",
        "_restored",
        "_rings",
        "_sign_due",
        "_tail",
        "_threads",
        "_waiting",
        "_wire",
        "_write_due",
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
        self._rings = 0  # how often it was woken
        self._waiting: asyncio.Future[None] | None = None  # for a wake-up, with nothing to do
        self._ending: str | None = None
        self._gone = False
        self._limit = asyncio.timeout(None)
        self._write_due = NEVER  # when the write that is under way has to be done
        self._sign_due = 0.0

    def wake(self) -> None:
        self._rings += 1
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def offer(self, news: News) -> int:
        """New events of the tail. Who waits for just these gets them here and now: to wake a task
        for each takes several times as long, and the last of a thousand clients would feel it.

        Returns how many were sent."""
        found = self._of_interest(news) if self._is_ready_for(news) else None
        if found is None or len(found[0]) > CHUNK_BYTES:
            self.wake()
            return 0
        body, events = found
        self.position = news.end
        if body:
            self._announced = news.end.seq
            self._send_at_once(body)
        return events

    def _is_ready_for(self, news: News) -> bool:
        return (
            self._waiting is not None
            and not self._waiting.done()
            and self.position.seq == news.after
            and self._restored == self._tail.restored
            and not (news.is_sealed and self.order.schema != STORED)
            and self._wire.connection is not None
            and self._wire.connection.takes_more()
        )

    def _of_interest(self, news: News) -> tuple[bytes, int] | None:
        """The frames, and how many events they are. None: it cannot be said here; in the follower's
        own task it fails for this client alone, and not for all who are offered the same."""
        order = self.order
        try:
            if order.filter.wants_all:
                body = news.body(order.schema, show_origin=order.show_origin)
                return body, len(news.entries)
            wanted = [entry for entry in news.entries if order.filter.wants(entry.row)]
            return b"".join(self._frame(entry) for entry in wanted), len(wanted)
        except Exception:  # noqa: BLE001 -- a caster may raise anything
            return None

    def end(self, reason: str) -> None:
        """The client gets no further event, only `reason`, and not much time to take that."""
        if self._ending is None:
            self._ending = reason
            self.wake()
            if self._write_due != NEVER:
                self._write_due = _now() + FAREWELL_SECONDS

    def mind(self, now: float) -> None:
        """To be called often: what is due with time alone."""
        if now >= self._write_due:
            self._write_due = NEVER
            self._limit.reschedule(now)
        elif now >= self._sign_due:
            self.wake()
        elif self._write_due != NEVER:
            self._page = {}  # who does not read shall not hold what is read for him

    async def run(self, start: Message) -> None:
        """Answer with the response's `start`, then follow the log until one of the two ends it."""
        listening = asyncio.create_task(self._listen_for_the_end())
        try:
            async with self._limit:
                await self._send(start, WRITE_TIMEOUT_SECONDS)
                start.clear()  # who called us keeps it for as long as the stream lasts
                await self._put(self._greeting())
                await self._follow()
                if not self._gone:
                    await self._say_farewell()
        except TimeoutError:
            await self._cut_off(listening)
        finally:
            listening.cancel()

    async def _listen_for_the_end(self) -> None:
        while (await self._wire.receive())["type"] != "http.disconnect":
            pass  # a body, which a GET has no use for
        self._leave()

    def _greeting(self) -> bytes:
        order = self.order
        greeting = frames.open_frame(order.start, order.head.seq)
        if order.reset_reason is not None:
            greeting += frames.reset_frame(order.reset_reason, order.start)
        return greeting

    async def _follow(self) -> None:
        try:
            while self._ending is None:
                rings = self._rings
                chunk = await self._next_chunk()
                if self._ending is None:
                    await self._say(chunk, rings)
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

    async def _say(self, chunk: bytes, rings: int) -> None:
        """rings: how often it had been woken before the chunk was made."""
        if chunk:
            await self._put(chunk)
        elif _now() >= self._sign_due:
            await self._put(self._sign_of_life())
        elif self.position.seq >= self._tail.position.seq and self._rings == rings:
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None

    def _sign_of_life(self) -> bytes:
        if self._announced == self.position.seq:
            return frames.COMMENT
        self._announced = self.position.seq
        return frames.position_frame(self.position)

    async def _put(self, body: bytes) -> None:
        await self._send(_part(body), WRITE_TIMEOUT_SECONDS)
        self._sign_due = _now() + SIGN_OF_LIFE_SECONDS

    def _send_at_once(self, body: bytes) -> None:
        """Only while the connection takes more, and this follower's task waits."""
        try:
            _without_waiting(self._wire.send(_part(body)))
        except Exception:
            logger.exception("A stream of %s cannot be written to", self._tail.tenant)
            if self._wire.connection is not None:
                self._wire.connection.abort()
            self._leave()
        else:
            self._sign_due = _now() + SIGN_OF_LIFE_SECONDS

    async def _say_farewell(self) -> None:
        body = frames.farewell_frame(self._ending or "")
        await self._send({"type": "http.response.body", "body": body}, FAREWELL_SECONDS)

    async def _send(self, message: Message, patience_seconds: float) -> None:
        """Write; TimeoutError ends `run` when the client has not made room in time."""
        self._write_due = _now() + patience_seconds
        try:
            await self._wire.send(message)
        except OSError:  # how some servers say that the client is gone
            self._leave()
        finally:
            self._write_due = NEVER

    def _leave(self) -> None:
        self._gone = True
        self.end("The client is gone.")

    async def _cut_off(self, listening: "asyncio.Task[None]") -> None:
        """Closing would wait for ever to deliver what is buffered; so that is thrown away."""
        logger.info("A client of %s did not read and was cut off", self._tail.tenant)
        if self._wire.connection is not None:
            self._wire.connection.abort()
            await asyncio.wait([listening], timeout=FAREWELL_SECONDS)


def _without_waiting(sending: Awaitable[None]) -> None:
    """Run to its end what has nothing to wait for."""
    steps = sending.__await__()
    try:
        next(steps)
    except StopIteration:
        return
    steps.close()
    raise RuntimeError("The server waits although its connection takes more.")


def _part(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}


def _now() -> float:
    return asyncio.get_running_loop().time()
