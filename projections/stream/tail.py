"""The newest events of one tenant, read from the database once for all its followers here."""

import asyncio
import logging
from typing import Protocol

from django.db import Error as DatabaseError

from events.confidential.reveal import Keys, SealedData
from events.log import cursor
from events.log.cursor import LogDamaged, NotInTheLog, Position
from events.metrics import instruments
from events.models import Event
from projections.stream.frames import event_frame
from projections.stream.keys import KeyReader
from projections.stream.reading import ReadingThreads

logger = logging.getLogger(__name__)

PAGE = 200
OFFERS_AT_ONCE = 200
RING_EVENTS = 1_000
RING_BYTES = 4 * 2**20  # of payload; with its encoded forms an event costs a few times that


class Entry:
    """One event, and its frames in the forms that somebody has asked for."""

    __slots__ = ("_frames", "position", "row", "sealed")

    def __init__(self, row: Event) -> None:
        self.row = row
        self.position = Position(row.seq, bytes(row.hash))
        self.sealed = SealedData.of(row)
        self._frames: dict[tuple[str | None, bool], bytes] = {}

    def frame(self, schema: str | None, *, show_origin: bool) -> bytes:
        form = schema, show_origin
        if form not in self._frames:
            self._frames[form] = event_frame(
                self.row, self.position, schema=schema, show_origin=show_origin
            )
        return self._frames[form]

    def revealed_frame(
        self, known: Keys, *, schema: str | None, show_origin: bool, plain: bool
    ) -> bytes:
        """Of an event with a sealed payload. Never kept: it may be shown while its key stands."""
        data = self.sealed.revealed(known, plain=plain) if self.sealed else None
        return event_frame(
            self.row, self.position, schema=schema, show_origin=show_origin, data=data
        )


class News:
    """What a tail has just read: its events, and their bytes made once for all who read alike."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.after = entries[0].position.seq - 1
        self.end = entries[-1].position
        self.is_sealed = any(entry.sealed is not None for entry in entries)
        self._bodies: dict[tuple[str | None, bool], bytes] = {}

    def body(self, schema: str | None, *, show_origin: bool) -> bytes:
        form = schema, show_origin
        if form not in self._bodies:
            self._bodies[form] = b"".join(
                entry.frame(schema, show_origin=show_origin) for entry in self.entries
            )
        return self._bodies[form]


class Listener(Protocol):
    """Whoever wants to hear of a tail."""

    def offer(self, news: News) -> int: ...
    def wake(self) -> None: ...
    def end(self, reason: str) -> None: ...


class Tail:
    """Moves forward whenever it is nudged and the log has grown, and wakes its followers.

    Its ring holds the events up to `position` without a gap. `restored` counts how often the log
    under it was replaced by another; it stands at the new log's head then, with `reset_reason`.
    """

    def __init__(self, tenant: str, position: Position, threads: ReadingThreads) -> None:
        self.tenant = tenant
        self.position = position
        self.restored = 0
        self.reset_reason = ""
        self.followers: set[Listener] = set()
        self.keys = KeyReader(tenant, threads)
        self._threads = threads
        self._ring: dict[int, Entry] = {}
        self._ring_bytes = 0
        self._nudged = asyncio.Event()

    def entry(self, seq: int) -> Entry | None:
        """The event of this seq, while the ring has it."""
        return self._ring.get(seq)

    def nudge(self) -> None:
        """There may be something new. Costs next to nothing when there is not."""
        self._nudged.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._nudged.wait()
            self._nudged.clear()
            try:
                await self._catch_up()
            except LogDamaged as damage:
                logger.critical("%s Its streams end here; run verify_log.", damage)
                self._end("The log is damaged.")
            except DatabaseError as error:
                logger.warning("The tail of %s could not be read: %s", self.tenant, error)

    async def _catch_up(self) -> None:
        while True:
            try:
                rows = await self._threads.ask(cursor.page, self.tenant, self.position, PAGE)
            except NotInTheLog as difference:
                await self._start_over(difference)
                return
            if rows:
                news = News([Entry(row) for row in rows])
                for entry in news.entries:
                    self._add(entry)
                await self._offer(news)
            if len(rows) < PAGE:
                return

    async def _start_over(self, difference: NotInTheLog) -> None:
        self.position = await self._threads.ask(cursor.head, self.tenant)
        self._ring.clear()
        self._ring_bytes = 0
        self.restored += 1
        self.reset_reason = difference.reason
        for follower in self.followers:
            follower.wake()

    def _add(self, entry: Entry) -> None:
        self._ring[entry.position.seq] = entry
        self._ring_bytes += len(entry.row.data)
        self.position = entry.position
        while len(self._ring) > RING_EVENTS or self._ring_bytes > RING_BYTES:
            # Python's dicts keep the order of insertion, so the first is the oldest.
            oldest = self._ring.pop(next(iter(self._ring)))
            self._ring_bytes -= len(oldest.row.data)

    async def _offer(self, news: News) -> None:
        # In parts: other connections of this process get their turn between two.
        followers = tuple(self.followers)
        for start in range(0, len(followers), OFFERS_AT_ONCE):
            part = followers[start : start + OFFERS_AT_ONCE]
            # Counted for all at once: to count costs more than to send.
            if sent := sum([follower.offer(news) for follower in part]):
                instruments.stream_events.inc(sent)
            await asyncio.sleep(0)

    def _end(self, reason: str) -> None:
        for follower in tuple(self.followers):
            follower.end(reason)
