"""Followers and tails in one process, with wires that the tests hold in their hands."""

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from django.db import connection, connections

from events.api.handover import CONNECTION
from events.bus import events_committed
from events.log import cursor, read
from events.log.cursor import BEGINNING, Position
from events.metrics import instruments
from events.patterns import Pattern
from projections.stream import follower, frames, tail
from projections.stream.door import OPENINGS_AT_ONCE, StreamDoor
from projections.stream.follower import Order, Wire
from projections.stream.passes import Pass
from projections.stream.streams import Streams
from projections.stream.wishes import Filter
from tests.durable.test_wakeups import listeners
from tests.jobs.conftest import until
from tests.log.crew import run_together
from tests.stream.client import Message, messages
from tests.stream.people import Fleet

T = TypeVar("T")
START = {"type": "http.response.start", "status": 200, "headers": []}


class Client:
    """Takes what is sent, `delay` seconds for each piece; goes when `leave` is called."""

    def __init__(
        self, delay: Callable[[], float] | None = None, *, is_of_ours: bool = True
    ) -> None:
        self._is_of_ours = is_of_ours
        self.body = b""
        self.finished = False
        self.aborted = False
        self.pieces: list[int] = []
        self.last: bytes | None = None
        self.fault: Exception | None = None  # of the next thing that is sent
        self._delay = delay
        self._gone = asyncio.Event()
        self._news = asyncio.Event()

    @property
    def wire(self) -> Wire:
        return Wire(self._receive, self._send, self if self._is_of_ours else None)

    @property
    def heard(self) -> list[Message]:
        return list(messages(iter(self.body.decode().split("\n"))))

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.heard if message.is_of_the_log]

    def leave(self) -> None:
        self._gone.set()

    async def has_heard(self, id: str) -> None:
        async with asyncio.timeout(20):
            while f"id: {id}\n".encode() not in self.body:
                self._news.clear()
                await self._news.wait()

    async def _receive(self) -> MutableMapping[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if self._delay is not None:
            await asyncio.sleep(self._delay())
        if self.fault is not None:
            raise self.fault
        if message["type"] == "http.response.body":
            self.last = message["body"]
            self.body += message["body"]
            self.pieces.append(len(message["body"]))
            self.finished = not message.get("more_body", False)
            self._news.set()

    def takes_more(self) -> bool:
        return self._delay is None

    def is_lost(self) -> bool:
        return self._gone.is_set()

    def abort(self) -> None:
        self.aborted = True
        self.leave()


def order(fleet: Fleet, start: Position, head: Position, **wishes: Any) -> Order:
    wishes = {"filter": Filter(), "schema": None, "show_origin": False} | wishes
    return Order(entry=_pass(fleet), start=start, head=head, **wishes)


def _pass(fleet: Fleet) -> Pass:
    return Pass(fleet.tenant, "admin", token_id=fleet.issue()[0].pk)


def run(scenario: Callable[[Streams], Awaitable[None]]) -> None:
    async def with_streams() -> None:
        streams = Streams()
        async with asyncio.timeout(25):
            await scenario(streams)
        assert streams.is_idle()

    asyncio.run(with_streams())
    # Its connection would keep the database from being dropped.
    until(lambda: all(thread.name != "stream-ear" for thread in threading.enumerate()))


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    return await asyncio.to_thread(asked_here, function, *args)


def asked_here(function: Callable[..., T], *args: Any) -> T:
    """With a database connection that is given back."""
    try:
        return function(*args)
    finally:
        connections.close_all()


async def follow(streams: Streams, wanted: Order, client: Client) -> "asyncio.Task[None]":
    return asyncio.create_task(streams.follow(wanted, dict(START), client.wire))


@pytest.fixture
def small_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small that every slow client falls out of it, again and again."""
    monkeypatch.setattr(tail, "RING_EVENTS", 5)
    monkeypatch.setattr(tail, "PAGE", 7)
    monkeypatch.setattr(follower, "MAX_PAGE", 4)
    monkeypatch.setattr(follower, "CHUNK_BYTES", 2_000)


@pytest.mark.usefixtures("small_ring")
def test_no_seam_shows_between_the_tail_and_the_database(acme: Fleet) -> None:
    """Clients of every speed, from every start, while events come in faster than the ring holds."""
    chance = random.Random(7)
    head = cursor.head(acme.tenant)
    slow = order(acme, BEGINNING, head)
    here = cursor.head(acme.tenant)

    async def scenario(streams: Streams) -> None:
        clients = [
            (Client(), slow),
            (Client(is_of_ours=False), slow),
            (Client(lambda: 0.0), slow),
            (Client(lambda: 0.004), slow),
            (Client(lambda: chance.choice([0, 0, 0.002, 0.03])), slow),
            (Client(lambda: chance.choice([0, 0.02])), order_of_here),
            (Client(), order_of_here),
        ]
        following = [await follow(streams, wanted, client) for client, wanted in clients]
        for _ in range(12):
            await in_thread(acme.beat, chance.randrange(1, 25))
            await asyncio.sleep(chance.choice([0, 0.02]))
        ids = await in_thread(lambda: acme.ids)
        for client, wanted in clients:
            await client.has_heard(ids[-1])
            assert client.ids == ids[wanted.start.seq :]
            client.leave()
        await asyncio.gather(*following)

    order_of_here = order(acme, here, here)
    run(scenario)


def test_a_commit_in_this_process_is_heard_without_waiting_for_the_pulse(
    acme: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.stream.streams.PULSE_SECONDS", 60)
    wanted = order(acme, head := cursor.head(acme.tenant), head)

    async def scenario(streams: Streams) -> None:
        client = Client()
        following = await follow(streams, wanted, client)
        await asyncio.sleep(0.2)
        await in_thread(acme.beat)
        await client.has_heard(await in_thread(lambda: acme.ids[-1]))
        client.leave()
        await following

    run(scenario)


def test_what_another_process_appends_is_heard_without_waiting_for_the_pulse(
    acme: Fleet, subprocess_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.stream.streams.PULSE_SECONDS", 60)
    monkeypatch.setattr("events.worker.wakeups.POLL_SECONDS", 60)
    wanted = order(acme, head := cursor.head(acme.tenant), head)
    grow = ("grow", {"tenant": acme.tenant, "agents": ["a-2"], "events": 1})

    async def scenario(streams: Streams) -> None:
        client = Client()
        following = await follow(streams, wanted, client)
        if connection.vendor == "postgresql":
            await asyncio.to_thread(until, lambda: asked_here(listeners))
        await asyncio.to_thread(run_together, [grow], subprocess_env)
        await client.has_heard(await in_thread(lambda: acme.ids[-1]))
        client.leave()
        await following

    run(scenario)


def test_without_a_wake_up_the_pulse_finds_what_is_new(
    acme: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Streams, "_ring", lambda *_args: None)
    wanted = order(acme, head := cursor.head(acme.tenant), head)

    async def scenario(streams: Streams) -> None:
        client = Client()
        following = await follow(streams, wanted, client)
        await asyncio.sleep(0.2)
        await in_thread(acme.beat)
        await client.has_heard(await in_thread(lambda: acme.ids[-1]))
        client.leave()
        await following

    run(scenario)


def test_a_quiet_stream_shows_that_it_lives_and_moves_past_what_its_filter_skips(
    acme: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert follower.SIGN_OF_LIFE_SECONDS < 15
    monkeypatch.setattr(follower, "SIGN_OF_LIFE_SECONDS", 0.2)
    nothing = Filter(types=Pattern.of("AgentTerminated*"))
    wanted = order(acme, head := cursor.head(acme.tenant), head, filter=nothing)

    async def scenario(streams: Streams) -> None:
        client = Client()
        following = await follow(streams, wanted, client)
        await client.has_heard(head.id)
        await in_thread(acme.beat, 2)
        await client.has_heard(await in_thread(lambda: acme.ids[-1]))
        await asyncio.sleep(0.5)
        client.leave()
        await following
        _, *quiet = client.heard
        assert all(message.data is None for message in quiet)
        assert quiet[-1].comment == ""
        reached.append(quiet[-1].id)

    reached: list[str] = []
    run(scenario)
    assert reached == acme.ids[-1:]


def test_while_nobody_listens_nothing_runs_and_commands_pay_nothing(acme: Fleet) -> None:
    listeners = len(events_committed.receivers)
    wanted = order(acme, head := cursor.head(acme.tenant), head)

    async def scenario(streams: Streams) -> None:
        client = Client()
        assert streams.is_idle()
        following = await follow(streams, wanted, client)
        await client.has_heard(head.id)
        assert not streams.is_idle()
        client.leave()
        await following
        assert len(asyncio.all_tasks()) == 1

    run(scenario)
    assert len(events_committed.receivers) == listeners


def test_a_client_that_does_not_read_is_cut_off_and_costs_a_bounded_buffer(
    acme: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "WRITE_TIMEOUT_SECONDS", 0.3)
    acme.beat(300)
    wanted = order(acme, BEGINNING, cursor.head(acme.tenant))

    async def scenario(streams: Streams) -> None:
        client = Client()
        stuck = Client(lambda: 60.0 if stuck.pieces else 0.0)
        following = [await follow(streams, wanted, each) for each in (client, stuck)]
        await asyncio.wait_for(following[1], 5)
        assert stuck.aborted
        assert stuck.ids == []
        await client.has_heard(await in_thread(lambda: acme.ids[-1]))
        assert max(client.pieces) < follower.CHUNK_BYTES + 2_000
        client.leave()
        await following[0]

    run(scenario)


def test_who_waits_for_the_same_gets_the_same_bytes_without_a_copy(acme: Fleet) -> None:
    wanted = order(acme, head := cursor.head(acme.tenant), head)

    async def scenario(streams: Streams) -> None:
        clients = [Client(), Client()]
        following = [await follow(streams, wanted, client) for client in clients]
        for client in clients:
            await client.has_heard(head.id)
        await in_thread(acme.beat)
        last = await in_thread(lambda: acme.ids[-1])
        for client in clients:
            await client.has_heard(last)
            client.leave()
        assert clients[0].last is clients[1].last
        await asyncio.gather(*following)

    run(scenario)


@pytest.mark.parametrize("wants", [Filter(), Filter(agents=Pattern.of("a-1"))])
def test_what_is_sent_is_counted_whether_it_was_waited_for_or_caught_up_with(
    acme: Fleet, monkeypatch: pytest.MonkeyPatch, wants: Filter
) -> None:
    counted: list[float] = []
    monkeypatch.setattr(instruments.stream_events, "inc", counted.append)
    wanted = order(acme, BEGINNING, cursor.head(acme.tenant), filter=wants)

    async def scenario(streams: Streams) -> None:
        clients = [Client(), Client(is_of_ours=False)]
        following = [await follow(streams, wanted, client) for client in clients]
        for _ in range(2):
            last = await in_thread(lambda: acme.ids[-1])
            for client in clients:
                await client.has_heard(last)
            await in_thread(acme.beat)
        last = await in_thread(lambda: acme.ids[-1])
        for client in clients:
            await client.has_heard(last)
            client.leave()
        await asyncio.gather(*following)
        assert sum(counted) == sum(len(client.ids) for client in clients)

    run(scenario)


@pytest.mark.parametrize("fault", [ConnectionResetError(), ZeroDivisionError("a fault of ours")])
def test_what_fails_for_one_client_ends_that_one_alone(acme: Fleet, fault: Exception) -> None:
    wanted = order(acme, head := cursor.head(acme.tenant), head)

    async def scenario(streams: Streams) -> None:
        failing, client = clients = [Client(), Client()]
        following = [await follow(streams, wanted, each) for each in clients]
        for each in clients:
            await each.has_heard(head.id)
        failing.fault = fault
        await in_thread(acme.beat)
        await client.has_heard(await in_thread(lambda: acme.ids[-1]))
        await asyncio.wait_for(following[0], 5)
        assert failing.ids == []
        client.leave()
        await following[1]

    run(scenario)


def test_a_form_that_cannot_be_made_ends_the_streams_of_who_asked_for_it(
    acme: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = order(acme, head := cursor.head(acme.tenant), head)
    make = frames.event_frame

    def sometimes(*args: Any, schema: str | None, **options: Any) -> bytes:
        if schema == "1.0":
            raise ZeroDivisionError("a caster that fails")
        return make(*args, schema=schema, **options)

    monkeypatch.setattr("projections.stream.tail.event_frame", sometimes)

    async def scenario(streams: Streams) -> None:
        pinned, client = Client(), Client()
        failing = await follow(streams, replace(wanted, schema="1.0"), pinned)
        following = await follow(streams, wanted, client)
        for each in (pinned, client):
            await each.has_heard(head.id)
        await in_thread(acme.beat)
        await client.has_heard(await in_thread(lambda: acme.ids[-1]))
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(failing, 5)
        client.leave()
        await following

    run(scenario)


def test_at_the_end_every_stream_says_so_and_a_stuck_one_does_not_delay_it(acme: Fleet) -> None:
    acme.beat(2)
    wanted = order(acme, BEGINNING, cursor.head(acme.tenant))

    async def scenario(streams: Streams) -> None:
        client = Client()
        stuck = Client(lambda: 60.0 if stuck.pieces else 0.0)
        following = [await follow(streams, wanted, each) for each in (client, stuck)]
        await client.has_heard(await in_thread(lambda: acme.ids[-1]))
        streams.close()
        await asyncio.wait_for(asyncio.gather(*following), 3)
        assert client.finished
        assert client.heard[-1].comment
        late = Client()
        await asyncio.wait_for(streams.follow(wanted, dict(START), late.wire), 3)
        assert late.finished
        assert late.ids == []

    run(scenario)


def test_a_log_that_was_replaced_under_a_stream_resets_it(acme: Fleet) -> None:
    """A restored backup: the events until here are others than those the tail has read."""
    acme.beat(2)
    head = cursor.head(acme.tenant)
    elsewhere = Position(head.seq - 1, b"\xff" * 32)
    longer = Position(head.seq + 50, b"\xff" * 32)

    for position in (elsewhere, longer):
        wanted = order(acme, position, position)

        async def scenario(streams: Streams, wanted: Order = wanted) -> None:
            client = Client()
            following = await follow(streams, wanted, client)
            now = await in_thread(cursor.head, acme.tenant)
            await client.has_heard(now.id)
            await in_thread(acme.beat)
            last = await in_thread(lambda: acme.ids[-1])
            await client.has_heard(last)
            reset = client.heard[1]
            assert (reset.event, reset.id, reset.json["head"]) == ("stream-reset", now.id, now.seq)
            assert client.ids == [last]
            client.leave()
            await following

        run(scenario)


@pytest.mark.parametrize("chore", ["projections.stream.passes.void", "events.log.cursor.page"])
def test_no_stream_outlives_what_it_depends_on(
    acme: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, chore: str
) -> None:
    """A fault of ours in a chore must not leave streams open that nobody feeds or checks."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("projections.stream.streams.CHECK_PASSES_SECONDS", 0.1)
    wanted = order(acme, head := cursor.head(acme.tenant), head)

    async def scenario(streams: Streams) -> None:
        client = Client()
        following = await follow(streams, wanted, client)
        await client.has_heard(head.id)
        monkeypatch.setattr(chore, fail)
        await in_thread(acme.beat)
        await asyncio.wait_for(following, 5)
        assert client.finished

    run(scenario)
    assert "A chore of the streams failed" in caplog.text


def test_a_hole_in_the_log_ends_the_streams(
    acme: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody may go on past an event that is missing as if it had never been."""
    after = read.after

    def without_the_sixth(tenant: str, seq: int, limit: int) -> list[Any]:
        return [row for row in after(tenant, seq, limit) if row.seq != 6]

    monkeypatch.setattr(read, "after", without_the_sixth)
    wanted = order(acme, head := cursor.head(acme.tenant), head)
    heard: list[str] = []

    async def scenario(streams: Streams) -> None:
        client = Client()
        following = await follow(streams, wanted, client)
        await in_thread(acme.beat, 5)
        await asyncio.wait_for(following, 5)
        assert client.finished
        heard.extend(client.ids)

    run(scenario)
    assert heard in ([], acme.ids[3:4], acme.ids[3:5])
    assert "has no event 6" in caplog.text


def test_who_has_left_while_it_stood_in_line_is_not_let_in() -> None:
    """A thousand that come back at once, and lose patience, must not keep those out who stay."""
    let_in: list[str] = []

    async def django(scope: Any, receive: Any, send: Any) -> None:
        let_in.append(scope["path"])
        await asyncio.sleep(0.05)
        await send(dict(START))

    async def scenario() -> None:
        door = StreamDoor(django, Streams())
        staying, leaving = Client(), Client()
        visits = [
            (f"/{number}/stream", leaving if number % 2 else staying)
            for number in range(4 * OPENINGS_AT_ONCE)
        ]
        coming = [
            asyncio.create_task(
                door(
                    {"type": "http", "method": "GET", "path": path, "state": {CONNECTION: client}},
                    client.wire.receive,
                    client.wire.send,
                )
            )
            for path, client in visits
        ]
        await asyncio.sleep(0)
        leaving.leave()
        await asyncio.gather(*coming)
        first, rest = visits[:OPENINGS_AT_ONCE], visits[OPENINGS_AT_ONCE:]
        assert let_in == [path for path, _ in first] + [
            path for path, client in rest if client is staying
        ]

    asyncio.run(scenario())
