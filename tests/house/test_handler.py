"""Requests are answered by a few threads that stay, each with its connection."""

import asyncio
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from django.conf import settings
from django.core.signals import request_finished, request_started
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse
from django.urls import path

from agentmesh_site.handler import AT_ONCE, Handler, places
from events.api.places import Places, lent
from events.api.problem import Problem

TOGETHER = threading.Barrier(2, timeout=10)
PASSED = threading.Event()


def database(_: HttpRequest) -> HttpResponse:
    connection.ensure_connection()
    return HttpResponse(str(id(connection.connection)))


def meet(_: HttpRequest) -> HttpResponse:
    TOGETHER.wait()
    return HttpResponse(threading.current_thread().name)


def wait(_: HttpRequest) -> HttpResponse:
    with lent():
        return HttpResponse(str(PASSED.wait(10)))


def go_by(_: HttpRequest) -> HttpResponse:
    PASSED.set()
    return HttpResponse()


def fail(_: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError


urlpatterns = [
    path("database", database),
    path("meet", meet),
    path("wait", wait),
    path("go-by", go_by),
    path("fail", fail),
]
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentmesh_site.handler.places", lambda: 1)
    monkeypatch.setattr("agentmesh_site.handler.Places", partial(Places, waiting=0))


@pytest.fixture
def handler() -> Iterator[Handler]:
    made = Handler()
    yield made
    made._threads.submit(connections.close_all).result()
    made._threads.shutdown()


def get(handler: Handler, *paths: str) -> list[tuple[int, str]]:
    """Status and body of each; all are asked for at once."""

    async def ask(path: str) -> tuple[int, str]:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await handler(_scope(path), receive, send)
        return sent[0]["status"], b"".join(each["body"] for each in sent[1:]).decode()

    async def ask_all() -> list[tuple[int, str]]:
        return await asyncio.gather(*map(ask, paths))

    return asyncio.run(ask_all())


def _scope(path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }


@pytest.mark.usefixtures("committed_db")
def test_a_request_finds_the_connection_that_the_one_before_it_has_opened(
    one_thread: None, handler: Handler
) -> None:
    before = get(handler, "/database")
    if connection.vendor == "sqlite":
        assert get(handler, "/database") == before
    else:  # by way of the pool, which gives out what it got back
        opened = connection.pool.get_stats()["connections_num"]  # type: ignore[attr-defined]
        get(handler, "/database")
        assert connection.pool.get_stats()["connections_num"] == opened  # type: ignore[attr-defined]


def test_two_at_once_do_not_wait_for_each_other(handler: Handler) -> None:
    (_, first), (_, second) = get(handler, "/meet", "/meet")
    assert first != second


def test_many_at_once_are_not_many_threads(one_thread: None, handler: Handler) -> None:
    assert [status for status, _ in get(handler, *["/nothing/there"] * 20)] == [404] * 20
    assert len(handler._threads._threads) == 1


def test_who_only_waits_lets_others_by(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr("agentmesh_site.handler.places", lambda: 1)
    handler = request.getfixturevalue("handler")
    PASSED.clear()
    waited, passed = get(handler, "/wait", "/go-by")
    assert (waited, passed) == ((200, "True"), (200, ""))


def test_one_too_many_who_waits_is_told_to_come_again_and_keeps_its_place() -> None:
    places = Places(1, waiting=0)
    with places.taken():
        with pytest.raises(Problem, match="Try again") as refused, lent():
            pass
        assert not places._working.acquire(blocking=False)
    assert refused.value.status == 503
    assert places._working.acquire(blocking=False)


@pytest.mark.usefixtures("caplog")
def test_a_view_that_fails_is_answered_and_the_next_one_too(handler: Handler) -> None:
    statuses = [get(handler, path)[0][0] for path in ("/fail", "/nothing/there")]
    assert statuses == [500, 404]


def test_a_request_begins_and_finishes_where_its_view_runs(handler: Handler) -> None:
    heard: list[tuple[str, str]] = []

    def begun(**_: Any) -> None:
        heard.append(("begun", threading.current_thread().name))

    def finished(**_: Any) -> None:
        heard.append(("finished", threading.current_thread().name))

    request_started.connect(begun)
    request_finished.connect(finished)
    try:
        get(handler, "/nothing/there")
    finally:
        request_started.disconnect(begun)
        request_finished.disconnect(finished)

    assert [what for what, _ in heard] == ["begun", "finished"]
    assert heard[0][1] == heard[1][1] != threading.current_thread().name


@pytest.mark.parametrize(
    ("options", "expected"), [({"pool": {"min_size": 1, "max_size": 3}}, 3), ({}, AT_ONCE)]
)
def test_as_many_work_at_once_as_there_are_connections_in_the_pool(
    options: dict[str, Any], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "OPTIONS", options)
    assert places() == expected


def test_what_is_not_http_is_refused(handler: Handler) -> None:
    with pytest.raises(ValueError, match="websocket"):
        asyncio.run(handler({"type": "websocket"}, None, None))
