"""Messages on their way to the stream, many at once and in order.

The server takes each only when the stream's last message is the very one it was sent after: by its
place (Nats-Expected-Last-Sequence) and by its id (Nats-Expected-Last-Msg-Id). The place alone would
not do: where another relay gets one of its messages in between, ours fails, and the one behind it
would be in the right place. With both, whatever fails takes all behind it along.

The first has no id to name, since a server that was started again has forgotten the last one; its
place is enough, as nothing of ours is on its way before it.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import Header

from events.log.cursor import Position
from events.metrics import instruments
from projections.relay.messages import MSG_ID, NAME, Message

AT_ONCE = 1_000
BYTES_AT_ONCE = 4 * 2**20
ACK_SECONDS = 5.0
HEADER_BYTES = 512  # of all headers together, generously

WRONG_LAST_ID, WRONG_LAST_PLACE, TOO_LARGE = 10070, 10071, 10054


class Doubt(Exception):
    """Nobody knows what became of the messages on their way; the stream has to be asked."""


class Overtaken(Doubt):
    """Somebody else has written to the stream."""


class Refused(Doubt):
    """The server does not take this tenant's message, whoever comes before it."""

    def __init__(self, tenant: str, reason: str) -> None:
        super().__init__(reason)
        self.tenant = tenant


class Unsettled(Doubt):
    """The server takes nothing now, or does not answer."""


class _Error(msgspec.Struct):
    description: str = ""
    err_code: int = 0


class _Answer(msgspec.Struct):
    seq: int = 0
    duplicate: bool = False
    error: _Error | None = None


_answer = msgspec.json.Decoder(_Answer).decode


@dataclass(frozen=True, slots=True)
class _Sent:
    tenant: str
    position: Position
    size: int
    at: float


class Pipeline:
    """A chain of messages behind the stream's message `last_seq`. Ends with its first doubt."""

    def __init__(self, connection: Client, last_seq: int) -> None:
        self.last_seq = last_seq  # where the stream ends when all have arrived
        self._arrived: dict[str, tuple[Position, int]] = {}
        self._arrivals = 0  # of which nobody was told yet
        self._connection = connection
        self._inbox = connection.new_inbox()
        self._last_id: str | None = None
        self._on_the_way: dict[int, _Sent] = {}
        self._bytes = 0
        self._lost: set[str] = set()  # tenants with a message that was not taken
        self._doubt: Doubt | None = None
        self._doubted = asyncio.Event()
        self._moved = asyncio.Event()

    async def open(self) -> None:
        self._answers = await self._connection.subscribe(f"{self._inbox}.*", cb=self._hear)

    async def close(self) -> set[str]:
        """The tenants of whom something was on its way still. Nothing is heard of it any more."""
        await self._answers.unsubscribe()
        return {sent.tenant for sent in self._on_the_way.values()} | self._lost

    async def send(self, message: Message) -> None:
        """Send it behind the others; waits while too many are on their way. Raises Doubt."""
        size = len(message.body)
        if size + HEADER_BYTES + len(message.subject) > self._connection.max_payload:
            raise Refused(message.tenant, f"the server takes {self._connection.max_payload} bytes")
        await self._until(lambda: len(self._on_the_way) < AT_ONCE and self._bytes < BYTES_AT_ONCE)
        headers = dict(message.headers)
        headers[Header.EXPECTED_STREAM] = NAME
        headers[Header.EXPECTED_LAST_SEQUENCE] = str(self.last_seq)
        if self._last_id is not None:
            headers[Header.EXPECTED_LAST_MSG_ID] = self._last_id
        self.last_seq += 1
        self._last_id = headers[MSG_ID]
        self._bytes += size
        self._on_the_way[self.last_seq] = _Sent(
            message.tenant, message.position, size, time.monotonic()
        )
        reply = f"{self._inbox}.{self.last_seq}"
        await self._connection.publish(message.subject, message.body, reply, headers)

    async def settle(self) -> None:
        """Wait until all have arrived. Raises Doubt."""
        await self._until(lambda: not self._on_the_way)

    def take_arrived(self) -> dict[str, tuple[Position, int]]:
        """Of each tenant the last event that the server has acknowledged since the last call, and
        its place."""
        if self._arrivals:
            instruments.deliveries.labels("relay", "sent").inc(self._arrivals)
            self._arrivals = 0
        taken, self._arrived = self._arrived, {}
        return taken

    @property
    def is_empty(self) -> bool:
        """Whether all have arrived."""
        return not self._on_the_way and self._doubt is None

    async def watch(self) -> None:
        """Raises Doubt as soon as there is one: a refusal, or no answer for too long."""
        while self._doubt is None:
            if self._is_overdue():
                self._end(Unsettled("the server does not acknowledge what it is sent"))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._doubted.wait(), ACK_SECONDS / 10)
        raise self._doubt

    def _is_overdue(self) -> bool:
        oldest = next(iter(self._on_the_way.values()), None)
        return oldest is not None and time.monotonic() - oldest.at > ACK_SECONDS

    async def _until(self, condition: Callable[[], bool]) -> None:
        while True:
            if self._doubt is not None:
                raise self._doubt
            if condition():
                return
            self._moved.clear()
            await self._moved.wait()

    def _end(self, doubt: Doubt) -> None:
        if self._doubt is None:
            self._doubt = doubt
            self._doubted.set()
        self._moved.set()

    async def _hear(self, answer: Msg) -> None:
        """What the server says of one message. In order, since it takes them in order."""
        place = int(answer.subject.rpartition(".")[2])
        sent = self._on_the_way.pop(place, None)
        if sent is None:
            return
        self._bytes -= sent.size
        doubt = self._doubt or _doubt_in(answer, sent.tenant, place)
        if doubt is not None:
            self._lost.add(sent.tenant)
            self._end(doubt)
            return
        self._arrived[sent.tenant] = sent.position, place
        self._arrivals += 1
        self._moved.set()


def _doubt_in(answer: Msg, tenant: str, place: int) -> Doubt | None:
    if answer.headers and answer.headers.get(Header.STATUS):
        return Unsettled("the stream is gone")
    try:
        told = _answer(answer.data)
    except msgspec.MsgspecError:
        return Unsettled("the server's answer is not understood")
    if told.error is None:
        # A duplicate is acknowledged with its first one's place, and nothing was stored.
        in_place = told.seq == place and not told.duplicate
        return None if in_place else Overtaken("the stream has this event already")
    if told.error.err_code in {WRONG_LAST_ID, WRONG_LAST_PLACE}:
        return Overtaken(told.error.description)
    if told.error.err_code == TOO_LARGE:
        return Refused(tenant, told.error.description)
    return Unsettled(told.error.description or "the server refuses")
