"""What the loop of django-eventstream (5.3.4) does, and why ours is our own.

Each of these fails when it is mended; then ADR 108 has to be read again.
"""

import asyncio
import gc
import threading
import warnings
from collections.abc import Callable, Coroutine, MutableMapping
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.asgi import get_asgi_application
from django.db import connection
from django.test import RequestFactory, override_settings
from django.urls import include, path
from django_eventstream import urls
from django_eventstream.channelmanager import DefaultChannelManager
from django_eventstream.event import Event as StreamEvent
from django_eventstream.storage import StorageBase
from django_eventstream.views import MAX_PENDING, Listener, get_listener_manager, stream

CHANNEL = "c"
urlpatterns = [path("events/", include(urls), {"channels": [CHANNEL]})]


class Memory(StorageBase):
    """A log in memory. While somebody reads it, `meanwhile` is called."""

    def __init__(self) -> None:
        self.events: list[StreamEvent] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def get_events(self, channel: str, last_id: int, limit: int = 100) -> list[StreamEvent]:
        found = self.events[last_id:][:limit]
        self.meanwhile()
        return found

    def get_current_id(self, channel: str) -> int:
        return len(self.events)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    made = Memory()
    monkeypatch.setattr("django_eventstream.eventstream.get_storage", lambda: made)
    monkeypatch.setattr("django_eventstream.eventstream.get_channelmanager", DefaultChannelManager)
    monkeypatch.setattr("django_eventstream.eventrequest.get_channelmanager", DefaultChannelManager)
    return made


def event(number: int) -> StreamEvent:
    return StreamEvent(CHANNEL, "message", str(number), id=number)


def announce(*numbers: int) -> None:
    """As send_event does, once an event is stored."""
    for number in numbers:
        get_listener_manager().add_to_queues(CHANNEL, event(number))


class Client:
    """Of its loop, which knows the log up to event 0; taken by hand from part to part."""

    def __init__(self) -> None:
        request: Any = SimpleNamespace(
            channels={CHANNEL},
            channel_last_ids={CHANNEL: "0"},
            is_next=False,
            is_recover=False,
            user=SimpleNamespace(pk=1),
        )
        self.listener = Listener()
        self.listener.channels = {CHANNEL}
        self.parts = stream(request, self.listener)
        self.heard: list[int] = []
        self.last_event_id = ""

    async def take(self) -> None:
        part: str = await asyncio.wait_for(anext(self.parts), 5)
        for line in part.split("\n"):
            name, _, value = line.partition(": ")
            if name == "data":
                self.heard.append(int(value))
            elif name == "id":
                self.last_event_id = value

    async def wait_for(self, announced: Callable[[], None]) -> None:
        """Take what comes when the loop waits for news."""
        taking = asyncio.create_task(self.take())
        while not self.listener.aevent._waiters:  # noqa: ASYNC110 -- its own event
            await asyncio.sleep(0.001)
        announced()
        await taking


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def test_it_sends_in_the_order_of_calls_and_not_of_the_log(memory: Memory) -> None:
    """Of two threads that have committed 1 and 2, the one with 2 may be the first to say so."""

    async def scenario() -> None:
        client = Client()
        await client.take()
        await client.wait_for(lambda: announce(2, 1))
        assert client.heard == [2, 1]
        assert client.last_event_id == f"{CHANNEL}:1", "and who comes back hears 2 again"
        await client.parts.aclose()

    run(scenario)


def test_it_repeats_what_it_has_sent_when_something_happens_while_it_reads(memory: Memory) -> None:
    memory.events = [event(1), event(2)]
    news = [3]
    memory.meanwhile = lambda: announce(*(news.pop() for _ in news))

    async def scenario() -> None:
        client = Client()
        await client.take()
        await client.take()
        assert client.heard == [1, 2, 1, 2]
        await client.parts.aclose()

    run(scenario)


def test_it_loses_an_event_that_comes_late_when_its_queue_is_full(memory: Memory) -> None:
    """The last one that it has queued is where it goes on from; what was dropped lies before."""
    late = MAX_PENDING
    rest = [number for number in range(1, MAX_PENDING + 2) if number != late]

    async def scenario() -> None:
        client = Client()
        await client.take()
        memory.events = [event(number) for number in range(1, MAX_PENDING + 2)]
        await client.wait_for(lambda: announce(*rest, late))
        await client.take()
        assert client.heard == rest
        await client.parts.aclose()

    run(scenario)


def test_it_loses_what_is_announced_late_for_whoever_comes_back_meanwhile(memory: Memory) -> None:
    async def scenario() -> None:
        client = Client()
        await client.take()
        await client.wait_for(lambda: announce(2))
        memory.events = [event(1), event(2)]
        assert client.last_event_id == f"{CHANNEL}:2"
        assert memory.get_events(CHANNEL, 2) == [], "1 will never come"
        await client.parts.aclose()

    run(scenario)


@override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[])
def test_each_of_its_clients_keeps_a_thread_and_a_connection(
    memory: Memory, committed_db: None
) -> None:
    clients = 3
    reading: dict[threading.Thread, Any] = {}

    def note() -> None:
        connection.ensure_connection()
        reading[threading.current_thread()] = connection.connection

    memory.meanwhile = note

    async def scenario() -> None:
        application: Any = get_asgi_application()
        gone = asyncio.Event()
        opened = [asyncio.Event() for _ in range(clients)]
        serving = [asyncio.create_task(listen(application, gone, each)) for each in opened]
        await asyncio.wait_for(asyncio.gather(*(each.wait() for each in opened)), 20)
        await asyncio.sleep(0.05)  # nothing happens, and nobody lets go
        assert len(reading) == clients
        assert all(thread.is_alive() for thread in reading)
        for each in reading.values():
            each.execute("SELECT 1")  # it is open
        gone.set()
        await asyncio.wait(serving, timeout=20)

    with warnings.catch_warnings():
        # Django leaves the file for a request's body open when the client goes.
        warnings.simplefilter("ignore", ResourceWarning)
        run(scenario)
        gc.collect()


async def listen(application: Any, gone: asyncio.Event, opened: asyncio.Event) -> None:
    """One client over ASGI, until `gone`."""
    asked = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        if b"stream-open" in message.get("body", b""):
            opened.set()

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/events/",
        "query_string": f"lastEventId={CHANNEL}:0".encode(),
        "headers": [(b"host", b"localhost")],
    }
    await application(scope, receive, send)


def test_by_default_anybody_may_name_any_channel() -> None:
    request = RequestFactory().get("/events/", {"channel": "globex"})
    manager = DefaultChannelManager()

    assert manager.get_channels_for_request(request, {}) == {"globex"}
    assert manager.can_read_channel(None, "globex")
