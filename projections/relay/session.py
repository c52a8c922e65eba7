"""One connection to the broker, and the logs on their way through it."""

import asyncio
import logging
import random
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Protocol

from django.db import Error as DatabaseError

from events.log.cursor import BEGINNING, LogDamaged, NotInTheLog, Position
from projections.relay import messages, notes, standing
from projections.relay.connecting import Connection
from projections.relay.messages import NAME, Unfit
from projections.relay.pipeline import Overtaken, Pipeline, Refused, Unsettled
from projections.relay.standing import Found, Look, Noted
from projections.relay.stream import Stream
from projections.relay.told import Told
from projections.relay.turns import Turns
from projections.stream.reading import ReadingThreads

PAGE = 250
POLL_SECONDS = 1.0  # beneath every wake-up
NOTE_SECONDS = 10.0
HOLD_SECONDS = 60.0
STAND_BY_SECONDS = 1.5
RETRY_DATABASE_SECONDS = 1.0
FAREWELL_SECONDS = 1.0


class Hints(Protocol):
    """Tells which logs may have grown."""

    async def wait(self, timeout_seconds: float) -> frozenset[str]: ...


class Session:
    """Relays until something is wrong with the broker, and raises what it is.

    worked: whether the broker took anything, or there was nothing that it could have taken.
    """

    def __init__(
        self, connection: Connection, threads: ReadingThreads, hints: Hints, told: Told
    ) -> None:
        self.worked = False
        self._connection = connection
        self._threads = threads
        self._hints = hints
        self._told = told
        self._turns = Turns()
        self._in_a_turn = False
        self._grown = asyncio.Event()
        # Where each log goes on. Those that are not `sure` were so when they were asked for; since
        # then somebody else may have written.
        self._places: dict[str, Position] = {}
        self._sure: set[str] = set()
        self._held: dict[str, float] = {}
        self._notes: dict[str, Noted] = {}
        self._to_note: dict[str, Noted] = {}
        self._next_note = time.monotonic() + NOTE_SECONDS
        self._next_word = 0.0

    async def run(self) -> None:
        """Raises one of connecting.Trouble, Doubt, Unusable or Django's Error."""
        self._stream = Stream(self._connection.client)
        look = await self._stream.open()
        try:
            await _until_one_ends(self._chains(look), self._loss())
        finally:
            await self._take_leave()

    async def _loss(self) -> None:
        await self._connection.lost.wait()
        raise Unsettled("the connection was lost")

    async def _chains(self, look: Look) -> None:
        """One chain of messages after the other; each begins where the stream is known to end."""
        while True:
            self._look = look
            self._pipeline = Pipeline(self._connection.client, look.last_seq)
            await self._pipeline.open()
            self._notes = await self._threads.ask(notes.noted)
            self._notes |= {
                name: new for name, new in self._to_note.items() if not self._rests(name)
            }
            try:
                await _until_one_ends(self._relay(), self._survey(), self._pipeline.watch())
            except Overtaken:
                await self._end_chain()
                look = await self._stand_by()
            except Refused as refusal:
                self._hold(refusal.tenant, str(refusal))
                await self._end_chain()
                look = await self._stream.look()
            if look.created != self._look.created or look.last_seq < self._look.last_seq:
                raise Unsettled(f"the stream {NAME} is not what it was")

    async def _end_chain(self) -> None:
        self._gather()
        for tenant in await self._pipeline.close():
            self._places.pop(tenant, None)
        self._sure.clear()

    # -- whose turn it is ------------------------------------------------------------------------

    async def _survey(self) -> None:
        """Keeps the turns filled, and looks after what has no turn."""
        while True:
            until = time.monotonic() + POLL_SECONDS
            try:
                await self._look_for_the_resumed()
                self._enqueue(await self._growing())
                if time.monotonic() > self._next_note:
                    await self._note_down()
            except DatabaseError as error:
                self._say_of_the_database(error)
            if self._pipeline.is_empty:
                await self._check_the_end()
            while (left := until - time.monotonic()) > 0:
                self._enqueue(await self._hints.wait(left))

    def _enqueue(self, tenants: "set[str] | frozenset[str]") -> None:
        self._turns.add(tenants)
        if self._turns:
            self._grown.set()

    async def _growing(self) -> set[str]:
        """The tenants of whose logs there is more, or less, than was sent."""
        heads = await self._threads.ask(notes.heads)
        return {
            tenant
            for tenant, seq in heads.items()
            if (place := self._places.get(tenant)) is None or place.seq != seq
            if not self._rests(tenant)
        }

    def _rests(self, tenant: str) -> bool:
        noted = self._notes.get(tenant)
        stopped = noted is not None and noted.stopped_reason is not None
        return stopped or self._held.get(tenant, 0) > time.monotonic()

    async def _look_for_the_resumed(self) -> None:
        stopped = [tenant for tenant, noted in self._notes.items() if noted.stopped_reason]
        if stopped:
            for tenant, noted in (await self._threads.ask(notes.noted, stopped)).items():
                self._notes[tenant] = noted
                if noted.stopped_reason is None:
                    self._places.pop(tenant, None)
                    self._sure.discard(tenant)
                    self._told.forget(tenant)

    async def _check_the_end(self) -> None:
        """Nothing is on its way, so the stream ends where ours does."""
        ours = self._pipeline.last_seq
        look = await self._stream.look()
        if not self._pipeline.is_empty or self._pipeline.last_seq != ours:
            return  # something was sent meanwhile
        if look.created != self._look.created or look.last_seq < ours:
            raise Unsettled(f"the stream {NAME} is not what it was")
        if look.last_seq > ours:
            raise Overtaken
        self._gather()
        if self.worked or not (self._turns or self._in_a_turn):
            self.worked = True
            await self._say_connected()
            line = f"Relaying to {self._connection.server.name}, stream {NAME}."
            self._told.say("broker", logging.INFO, line)

    async def _say_connected(self) -> None:
        """Where people look, now and then."""
        if time.monotonic() >= self._next_word:
            self._next_word = time.monotonic() + NOTE_SECONDS
            with suppress(DatabaseError):  # others say it when it is what is away
                await self._threads.ask(notes.connected, self._connection.server.name)

    # -- a turn ----------------------------------------------------------------------------------

    async def _relay(self) -> None:
        while True:
            while not self._turns:
                self._grown.clear()
                await self._grown.wait()
            tenant = self._turns.take()
            self._in_a_turn = True
            try:
                await self._turn(tenant)
            except DatabaseError as error:
                self._say_of_the_database(error)
                self._turns.add([tenant])
                await asyncio.sleep(RETRY_DATABASE_SECONDS)
            else:
                self._told.forget("database")
            finally:
                self._in_a_turn = False

    async def _turn(self, tenant: str) -> None:
        """Send the next page of a log."""
        if self._rests(tenant):
            return
        found = None
        if tenant not in self._sure:
            position, found = await self._find(tenant)
            if position is None:
                await self._stop(tenant, "The stream's last message of it is not the relay's.")
                return
            self._places[tenant] = position
        after = self._places[tenant]
        try:
            page = await self._threads.ask(messages.page, tenant, after, PAGE)
        except NotInTheLog as difference:
            where = f"The stream holds it up to event {after.seq}, which is not in the log."
            await self._stop(tenant, f"{where} {difference.reason}")
            return
        except LogDamaged as damage:
            await self._stop(tenant, f"{damage} Run verify_log.")
            return
        self._sure.add(tenant)
        if found is not None:  # a relay that was killed may not have noted it
            self._to_note[tenant] = Noted(after, self._look.created, found.stream_seq)
        for message in page:
            if isinstance(message, Unfit):
                self._hold(tenant, f"event {message.seq} cannot be sent, {message.reason}")
                return
            await self._pipeline.send(message)
            self._places[tenant] = message.position
        if len(page) == PAGE:
            self._turns.add_behind(tenant)

    async def _find(self, tenant: str) -> tuple[Position | None, Found | None]:
        """Where its log goes on (None: its last message is somebody else's), and that message."""
        found = await self._stream.last_of(tenant)
        noted = self._notes.get(tenant)
        replaced = (
            noted is not None
            and standing.is_asked_for(noted, found, self._look)
            and await self._stream.holds(noted.stream_seq)
        )
        return standing.where(noted, found, self._look, replaced=replaced), found

    # -- what is not relayed, and why ------------------------------------------------------------

    def _hold(self, tenant: str, reason: str) -> None:
        self._held[tenant] = time.monotonic() + HOLD_SECONDS
        line = f"The relay of {tenant} waits: {reason}. Its log is tried again every minute."
        self._told.say(tenant, logging.ERROR, line)

    async def _stop(self, tenant: str, reason: str) -> None:
        """For good: what became of what consumers did with those events only a person knows."""
        await self._pipeline.settle()
        self._gather()
        found = await self._stream.last_of(tenant)
        note = self._stop_note(tenant, found, reason)
        await self._threads.ask(notes.note, {tenant: note})
        self._notes[tenant] = note
        self._to_note.pop(tenant, None)
        line = f"The relay of {tenant} is stopped. {reason} See docs/relay.md and resume_relay."
        self._told.say(tenant, logging.ERROR, line)

    def _stop_note(self, tenant: str, found: Found | None, reason: str) -> Noted:
        before = self._notes.get(tenant)
        if found is not None:
            position, stream_seq = found.position or BEGINNING, found.stream_seq
        elif before is not None and before.created == self._look.created:
            position, stream_seq = before.position, before.stream_seq
        else:
            position, stream_seq = BEGINNING, 0
        return Noted(position, self._look.created, stream_seq, reason)

    def _say_of_the_database(self, error: DatabaseError) -> None:
        first_line = next(iter(str(error).splitlines()), type(error).__name__)
        self._told.say("database", logging.WARNING, f"The logs cannot be read: {first_line}")

    # -- standing by -----------------------------------------------------------------------------

    async def _stand_by(self) -> Look:
        """Let another relay do it until it does not any more; where the stream ends then.

        It does not any more when something waits in a log and nothing comes into the stream, twice
        in a row.
        """
        line = f"Another relay writes to the stream {NAME}; standing by."
        self._told.say("broker", logging.INFO, line)
        look, in_a_row = await self._stream.look(), 0
        while in_a_row < 2:  # noqa: PLR2004 -- as it says above
            await asyncio.sleep(STAND_BY_SECONDS * random.uniform(1, 1.5))
            seen = await self._stream.look()
            self.worked = True
            try:
                rests = seen == look and await self._something_waits()
            except DatabaseError as error:
                self._say_of_the_database(error)
                rests = False
            in_a_row = in_a_row + 1 if rests else 0
            look = seen
        return look

    async def _something_waits(self) -> bool:
        for tenant in await self._growing():
            before = self._places.get(tenant)
            position, _ = await self._find(tenant)
            if position is None or position == before:
                return True
            self._places[tenant] = position
        return bool(await self._growing())

    # -- what is noted ---------------------------------------------------------------------------

    def _gather(self) -> None:
        for tenant, (position, stream_seq) in self._pipeline.take_arrived().items():
            self._to_note[tenant] = Noted(position, self._look.created, stream_seq)
            self._told.forget(tenant)
            self.worked = True

    async def _note_down(self) -> None:
        self._next_note = time.monotonic() + NOTE_SECONDS
        self._gather()
        new = {
            tenant: noted
            for tenant, noted in self._to_note.items()
            if self._notes.get(tenant) != noted and not self._rests(tenant)
        }
        if new:
            await self._threads.ask(notes.note, new)
            self._notes |= new
            await self._say_connected()
        self._to_note.clear()

    async def _take_leave(self) -> None:
        with suppress(DatabaseError, TimeoutError):  # the stream knows
            await asyncio.wait_for(self._note_down(), FAREWELL_SECONDS)


async def _until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Run them side by side; the first that raises ends all, and is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
