"""Clients that were not written here, through a network that breaks in the middle of the log.

Each reads from the beginning to the head and has to end up with exactly the log.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import httpx_sse
import pytest
import sseclient
from django.contrib.auth import get_user_model
from django.test import Client

from events import registry
from events.models import Role
from events.tenants import add_member
from tests.browsers import chromium, needs_chromium
from tests.stream.client import messages
from tests.stream.cutting import REFUSED, network
from tests.stream.people import BY, Fleet
from tests.stream.server import Server

BEATS = 60
CUT_BYTES = 20_003  # in the middle of an event, after a part of the log

Heard = Iterator[tuple[str, str]]  # id and data of each event


@pytest.fixture
def long_acme(acme: Fleet) -> Fleet:
    acme.beat(BEATS)
    return acme


def stream_url(base: str, tenant: str) -> str:
    return f"{base}/api/v1/tenants/{tenant}/stream?after=0"


def with_curl(url: str, headers: dict[str, str]) -> Heard:
    said = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    with subprocess.Popen(["curl", "-sN", *said, url], stdout=subprocess.PIPE, text=True) as curl:
        assert curl.stdout is not None
        try:
            for message in messages(line.removesuffix("\n") for line in curl.stdout):
                if message.is_of_the_log:
                    assert message.data is not None
                    yield message.id, message.data
        finally:
            curl.kill()


def with_httpx_sse(url: str, headers: dict[str, str]) -> Heard:
    with (
        httpx.Client(timeout=15) as client,
        httpx_sse.connect_sse(client, "GET", url, headers=headers) as source,
    ):
        for event in source.iter_sse():
            if not event.event.startswith("stream-") and event.data:
                yield event.id, event.data


def with_sseclient(url: str, headers: dict[str, str]) -> Heard:
    with httpx.stream("GET", url, headers=headers, timeout=15) as response:
        for event in sseclient.SSEClient(response.iter_bytes()).events():
            if not event.event.startswith("stream-"):
                assert event.id is not None
                yield event.id, event.data


@pytest.mark.parametrize(
    "listen",
    [
        pytest.param(
            with_curl,
            id="curl",
            marks=pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here"),
        ),
        pytest.param(with_httpx_sse, id="httpx-sse"),
        pytest.param(with_sseclient, id="sseclient-py"),
    ],
)
def test_a_client_that_comes_back_with_its_last_id_has_the_log_exactly(
    server: Server, long_acme: Fleet, listen: Callable[[str, dict[str, str]], Heard]
) -> None:
    ids = long_acme.ids
    headers = {"Authorization": f"Bearer {long_acme.token()}", "Accept": "text/event-stream"}
    heard: list[tuple[str, str]] = []

    with network(server.port, CUT_BYTES, CUT_BYTES // 2) as between:
        while len(heard) < len(ids):
            given = {"Last-Event-ID": heard[-1][0]} if heard else {}
            try:
                for event in listen(stream_url(between.url, long_acme.tenant), headers | given):
                    heard.append(event)
                    if len(heard) == len(ids):
                        break
            except httpx.TransportError:
                assert between.streams < 3, "only the first two are cut"

        assert between.streams == 3
    assert [each for each, _ in heard] == ids
    assert [json.loads(data)["seq"] for _, data in heard] == [str(n + 1) for n in range(len(ids))]


LISTENING = """([kind, url, types]) => {
  window.heard = [];
  window.opened = 0;
  const source = kind === "EventSource"
    ? new EventSource(url)
    : new ReconnectingEventSource(url, {max_retry_time: 100});
  source.onopen = () => { window.opened += 1; };
  for (const type of types) {
    source.addEventListener(type, (event) => window.heard.push([event.lastEventId, event.data]));
  }
}"""
CLIENT = "/static/django_eventstream/reconnecting-eventsource.js"


@needs_chromium
def test_a_browser_that_loses_its_connection_has_the_log_exactly(
    server: Server, long_acme: Fleet, fresh_slug: Callable[[str], str]
) -> None:
    """Its own EventSource, and django-eventstream's client, which outlives refusals too."""
    bob = get_user_model().objects.create_user(fresh_slug("bob"))
    add_member(long_acme.tenant, bob.username, Role.OPERATOR, by=BY)
    signed_in = Client()
    signed_in.force_login(bob)
    session = signed_in.cookies["sessionid"].value
    ids = long_acme.ids
    fates = {"EventSource": [CUT_BYTES], "ReconnectingEventSource": [CUT_BYTES, REFUSED]}

    with chromium() as browser:
        for kind, fate in fates.items():
            with network(server.port, *fate) as between:
                context = browser.new_context()
                cookie: Any = {"name": "sessionid", "value": session, "url": between.url}
                context.add_cookies([cookie])
                page = context.new_page()
                page.goto(f"{between.url}/health/live")
                page.add_script_tag(url=CLIENT)
                url = stream_url("", long_acme.tenant)
                page.evaluate(LISTENING, [kind, url, sorted(registry.types())])
                deadline = time.monotonic() + 20
                # Not wait_for_function, which our Content-Security-Policy refuses.
                while page.evaluate("window.heard.length") < len(ids):
                    assert time.monotonic() < deadline, page.evaluate("window.heard.length")
                    page.wait_for_timeout(50)
                page.wait_for_timeout(100)  # for what should not come
                heard = page.evaluate("window.heard")
                context.close()
                streams = between.streams

            assert [each for each, _ in heard] == ids, kind
            assert all(json.loads(data)["tenant"] == long_acme.tenant for _, data in heard)
            assert streams == len(fate) + 1, kind
