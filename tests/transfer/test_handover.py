"""An export over ASGI: as the client takes it, without a thread or a connection while it waits."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from io import BytesIO
from typing import Any

import pytest
from django.core.asgi import get_asgi_application
from django.db import connections
from django.http import HttpRequest, HttpResponse

from events import tenants, timeline
from events.api import handover
from events.api.handover import HandoverDoor, handed_over
from events.log.verify import Damaged
from events.models import Role
from events.timeline import Page
from events.transfer import export, stored
from events.verify_export import Reading
from events.wanted import Wanted
from tests.jobs.conftest import ALICE

Message = dict[str, Any]
Send = Callable[[Any], Awaitable[None]]


class Client:
    """One request over ASGI. `on_body` is awaited with each part, as a slow network would."""

    def __init__(self, path: str, token: str = "", *, method: str = "GET") -> None:
        self.sent: list[Message] = []
        self.gone = asyncio.Event()
        self.on_body: Callable[[], Awaitable[None]] | None = None
        self.scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"authorization", f"Bearer {token}".encode())],
            "state": {"connection": self},
        }
        self.asked = self.was_aborted = False

    def abort(self) -> None:
        self.was_aborted = True

    async def receive(self) -> Message:
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.sent.append(dict(message))
        if message["type"] == "http.response.body" and message.get("body") and self.on_body:
            await self.on_body()

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(each.get("body", b"") for each in self.sent[1:])

    @property
    def is_complete(self) -> bool:
        last = self.sent[-1]
        return last["type"] == "http.response.body" and not last.get("more_body", False)

    async def run(self, application: Any = None) -> None:
        door = HandoverDoor(application or get_asgi_application())  # type: ignore[arg-type]
        await door(self.scope, self.receive, self.send)


def serving(chunks: Iterator[bytes], status: int = 200) -> Any:
    """An application as Django is one, whose view hands these chunks over."""

    async def application(scope: Any, receive: Any, send: Send) -> None:
        request = HttpRequest()
        request.scope = scope  # type: ignore[attr-defined]
        response = handed_over(request, HttpResponse(content_type="text/plain"), chunks)
        await send({"type": "http.response.start", "status": status, "headers": HEADERS})
        await send({"type": "http.response.body", "body": response.content})  # type: ignore[attr-defined]

    return application


HEADERS = [(b"content-type", b"text/plain"), (b"Content-Length", b"0")]


@pytest.fixture
def token(lived: str) -> str:
    return tenants.issue_token(lived, "carol", Role.AUDITOR, by=ALICE)[1]


def test_an_export_arrives_in_parts_and_whole(
    lived: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE", 5)

    async def take() -> Client:
        client = Client(f"/api/v1/tenants/{lived}/export", token)
        await client.run()
        return client

    client = asyncio.run(take())

    assert (client.status, client.is_complete) == (200, True)
    assert len(client.sent) == 1 + 9 + 1
    reading = Reading(BytesIO(client.body), [])
    reading.run()
    assert reading.events == 27
    names = {name.lower() for name, _ in client.sent[0]["headers"]}
    assert b"content-length" not in names
    assert b"content-security-policy" in names


def test_a_slow_client_holds_no_thread_and_no_connection(
    lived: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE", 5)
    asked: list[int] = []
    page = stored.page

    def counting(tenant: str, after: int, last: int, limit: int) -> Any:
        asked.append(after)
        return page(tenant, after, last, limit)

    monkeypatch.setattr(stored, "page", counting)
    seen: list[tuple[int, int, set[str]]] = []

    async def take() -> Client:
        client = Client(f"/api/v1/tenants/{lived}/export", token)

        async def wait() -> None:
            await asyncio.sleep(0.02)
            busy = {each.name for each in threading.enumerate()} - before
            seen.append((len(client.sent), len(asked), busy))

        client.on_body = wait
        await client.run()
        return client

    before = {each.name for each in threading.enumerate()}
    client = asyncio.run(take())

    assert client.is_complete
    # One page is made when the one before it has been taken, and never ahead.
    assert all(pages <= parts - 2 for parts, pages, _ in seen)
    assert all(name.startswith("handover") for _, _, names in seen for name in names)


def test_each_page_gives_its_connection_back() -> None:
    closed: list[str] = []

    def chunks() -> Iterator[bytes]:
        yield b"one"
        yield b"two"

    async def take() -> None:
        client = Client("/")
        await client.run(serving(chunks()))
        assert client.body == b"onetwo"

    close_all = connections.close_all
    try:
        connections.close_all = lambda: closed.append(threading.current_thread().name)  # type: ignore[method-assign]
        asyncio.run(take())
    finally:
        connections.close_all = close_all  # type: ignore[method-assign]

    assert len(closed) == 3
    assert all(name.startswith("handover") for name in closed)


def test_what_breaks_off_never_ends_properly() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        raise Damaged("acme", 7, "it is missing.")

    async def take() -> Client:
        client = Client("/")
        with pytest.raises(Damaged, match="seq 7"):
            await client.run(serving(chunks()))
        return client

    client = asyncio.run(take())

    assert client.body == b"one"
    assert not client.is_complete


def test_nobody_works_for_a_client_that_has_gone() -> None:
    made: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number in range(1_000_000):
            made.append(number)
            yield b"x"

    async def take() -> Client:
        client = Client("/")

        async def leave() -> None:
            client.gone.set()
            await asyncio.sleep(0)

        client.on_body = leave
        await client.run(serving(chunks()))
        return client

    client = asyncio.run(take())

    assert not client.is_complete
    assert len(made) < 100


def test_nobody_looks_on_for_a_client_that_has_gone_where_nothing_is_found(
    lived: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rare filter gives the client nothing to take: its leaving is noticed all the same."""
    looked: list[int] = []
    client = Client("/")
    chosen = export.of(lived, wanted=Wanted(texts=("nowhere",)), filters={"q": "nowhere"})

    async def take() -> None:
        loop = asyncio.get_running_loop()

        def page(*_: Any, **__: Any) -> Page:
            looked.append(1)
            if len(looked) == 1:
                loop.call_soon_threadsafe(client.gone.set)
            time.sleep(0.002)
            # A log that is long, but in which a test that fails comes to an end.
            return Page([], len(looked) if len(looked) < 500 else None)

        monkeypatch.setattr(timeline, "page", page)
        await client.run(serving(export.jsonl(chosen)))

    asyncio.run(take())
    time.sleep(0.02)  # for the page that was being looked at
    pages = len(looked)
    time.sleep(0.05)

    assert len(looked) == pages
    assert all(each["body"] for each in client.sent[1:])
    assert not client.is_complete


def test_a_client_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "STALLED_SECONDS", 0.05)

    async def take() -> Client:
        client = Client("/")

        async def stall() -> None:
            await asyncio.sleep(60)

        client.on_body = stall
        await asyncio.wait_for(client.run(serving(iter([b"x", b"y"]))), 5)
        return client

    client = asyncio.run(take())

    assert client.was_aborted
    assert not client.is_complete


def test_an_answer_that_became_another_is_sent_as_it_is() -> None:
    async def take() -> Client:
        client = Client("/")
        await client.run(serving(iter([b"never"]), status=500))
        return client

    client = asyncio.run(take())

    assert client.status == 500
    assert client.body == b""


def test_other_answers_pass_through(lived: str, token: str) -> None:
    async def take() -> list[Client]:
        clients = [
            Client("/health/live"),
            Client(f"/api/v1/tenants/{lived}/export", "am_unknown_token_of_nobody"),
            Client(f"/api/v1/tenants/{lived}/export", token, method="HEAD"),
            Client(f"/api/v1/tenants/{lived}-2/export", token),
        ]
        for client in clients:
            await client.run()
        return clients

    clients = asyncio.run(take())

    assert [client.status for client in clients] == [200, 401, 200, 404]
    assert all(client.is_complete for client in clients)


def test_without_the_door_django_streams_it_all_the_same(lived: str, token: str) -> None:
    async def take() -> Client:
        client = Client(f"/api/v1/tenants/{lived}/export", token)
        await get_asgi_application()(client.scope, client.receive, client.send)  # type: ignore[arg-type]
        return client

    client = asyncio.run(take())

    assert client.is_complete
    assert client.body.count(b"\n") == 27 + 2
