"""The stream as clients meet it, at a real server."""

import random
import socket
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client

from events.ancestors.agent_task_completed_1_0 import AgentTaskCompletedEventV1
from events.log.append import append
from events.log.proposal import Proposal
from events.models import Role
from events.tenants import add_member
from events.vocabulary import AgentTaskCompletedEvent, Usage
from tests.asyncapi.described import faults
from tests.stream.client import FROM_THE_BEGINNING, Message, listening, messages, until
from tests.stream.people import BY, ORIGIN, Fleet
from tests.stream.server import Server


def get(server: Server, tenant: str, token: str | None, **query: str | int) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    path = f"{server.url}/api/v1/tenants/{tenant}/stream"
    return httpx.get(path, headers=headers, params=query)


def test_a_client_hears_of_what_happens_from_now_on(server: Server, acme: Fleet) -> None:
    token = acme.token()
    head = acme.head

    with listening(server.url, acme.tenant, token) as stream:
        opened = next(stream)
        acme.beat(3)
        heard = until(stream, head + 3)

    assert (opened.event, opened.id) == ("stream-open", acme.ids[head - 1])
    assert opened.json == {"after": head, "head": head}
    assert opened.retry_ms is not None
    assert [message.id for message in heard] == acme.ids[head:]
    assert {message.event for message in heard} == {"AgentHealthCheckPassedEvent"}


def test_an_event_comes_as_a_cloud_event(server: Server, acme: Fleet) -> None:
    with listening(server.url, acme.tenant, acme.token(), query=FROM_THE_BEGINNING) as stream:
        message = until(stream, 1)[0]

    assert message.event == message.json["type"] == "AgentCreatedEvent"
    assert message.json["specversion"] == "1.0"
    assert message.json["source"] == f"/tenants/{acme.tenant}/agents/a-1"
    assert message.json["seq"] == "1"
    assert message.json["hash"].startswith(message.id.removeprefix("1-"))
    assert message.json["data"]["agent_id"] == "a-1"


def test_what_comes_over_the_wire_is_what_the_document_says(server: Server, acme: Fleet) -> None:
    with listening(server.url, acme.tenant, acme.token(), query=FROM_THE_BEGINNING) as stream:
        first = next(stream)
        events = until(stream, acme.head)

    assert faults("stream.stream-open", "payload", first.json) == []
    for each in events:
        name = f"stream.{each.event}-{each.json['schemaversion']}"
        assert faults(name, "payload", each.json) == []
        assert faults(name, "headers", {"id": each.id, "event": each.event}) == []
    assert len(events) == acme.head


def test_the_log_comes_whole_from_every_point(server: Server, acme: Fleet) -> None:
    token = acme.token()
    acme.beat(8)
    ids = acme.ids

    for seq, start in enumerate(["0", *ids[:-1]]):
        with listening(server.url, acme.tenant, token, last_event_id=start) as stream:
            opened = next(stream)
            assert (opened.id, opened.json["after"]) == (start, seq)
            assert [message.id for message in until(stream, len(ids))] == ids[seq:]


def test_the_header_goes_before_last_event_id_and_that_before_after(
    server: Server, acme: Fleet
) -> None:
    token = acme.token()

    def starts(last_event_id: str | None = None, **query: str | int) -> int:
        with listening(
            server.url, acme.tenant, token, last_event_id=last_event_id, query=query
        ) as stream:
            return int(next(stream).json["after"])

    assert starts("3", lastEventId=2, after=1) == 3
    assert starts("", lastEventId=2, after=1) == 2
    assert starts(lastEventId=acme.ids[1], after=1) == 2
    assert starts(after=1) == 1
    assert starts() == 4


def test_a_filter_hands_over_its_types_and_agents_alone(server: Server, acme: Fleet) -> None:
    acme.enlist("a-2")
    token = acme.token()
    acme.beat(1, "a-2")

    def events(**query: str | int) -> list[tuple[str, str]]:
        with listening(server.url, acme.tenant, token, query={"after": 0, **query}) as stream:
            heard = until(stream, acme.head)
        return [(message.json.get("subject", "-"), message.event) for message in heard]

    beat = ("a-2", "AgentHealthCheckPassedEvent")
    assert events(types="AgentHealth*") == [beat]
    assert events(types="AgentActivatedEvent,AgentHealth*") == [
        ("a-1", "AgentActivatedEvent"),
        ("a-2", "AgentActivatedEvent"),
        beat,
    ]
    assert [agent for agent, _ in events(agent="a-2")] == ["a-2"] * 4
    assert events(agent="a-1,a-2", types="AgentActivated*,AgentHealth*") == [
        ("a-1", "AgentActivatedEvent"),
        ("a-2", "AgentActivatedEvent"),
        beat,
    ]


def test_a_pinned_schema_and_the_stored_form_are_served(server: Server, acme: Fleet) -> None:
    for schema in ("1.0", "2.0", "stored"):
        with listening(
            server.url, acme.tenant, acme.token(), query={"after": 0, "schema": schema}
        ) as stream:
            assert until(stream, 1)[0].json["schemaversion"] == "1.0"


@pytest.mark.parametrize("id", ["5000", "5000-00000000", "2-00000000"])
def test_an_id_of_another_log_is_reset_and_goes_on_from_the_head(
    server: Server, acme: Fleet, id: str
) -> None:
    token = acme.token()
    head = acme.head

    with listening(server.url, acme.tenant, token, last_event_id=id) as stream:
        opened, reset = next(stream), next(stream)
        acme.beat()
        heard = until(stream, head + 1)

    assert opened.event == "stream-open"
    assert reset.event == "stream-reset"
    assert reset.json["head"] == head
    assert reset.json["reason"]
    assert reset.id == opened.id == acme.ids[head - 1]
    assert [message.id for message in heard] == acme.ids[head:]


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ({"after": "x"}, {"parameter": "after"}),
        ({"after": "-1"}, {"parameter": "after"}),
        ({"after": ""}, {"parameter": "after"}),
        ({"lastEventId": "4-"}, {"parameter": "lastEventId"}),
        ({"after": "9" * 900}, {"parameter": "after"}),
        ({"schema": "7.0"}, {"parameter": "schema"}),
        ({"types": "Agent*Event"}, {"parameter": "types"}),
        ({"types": "a,,b"}, {"parameter": "types"}),
        ({"limit": "5"}, {"parameter": "limit"}),
    ],
)
def test_what_cannot_be_taken_is_refused_before_the_stream_starts(
    server: Server, acme: Fleet, query: dict[str, str], where: dict[str, str]
) -> None:
    response = get(server, acme.tenant, acme.token(), **query)

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["type"], problem["code"]) == ("/problems/invalid", "invalid")
    (error,) = problem["errors"]
    assert error.items() >= where.items()


def test_a_malformed_last_event_id_is_refused(server: Server, acme: Fleet) -> None:
    headers = {"Authorization": f"Bearer {acme.token()}", "Last-Event-ID": "error"}

    response = httpx.get(f"{server.url}/api/v1/tenants/{acme.tenant}/stream", headers=headers)

    assert response.status_code == 400
    assert response.json()["errors"][0]["header"] == "Last-Event-ID"


def test_nobody_is_asked_who_they_are(server: Server, acme: Fleet) -> None:
    for token in (None, "am_" + "x" * 43, ""):
        response = get(server, acme.tenant, token)

        assert response.status_code == 401
        assert response.json()["code"] == "unauthenticated"
        assert response.headers["www-authenticate"].startswith("Bearer")


def test_mallory_sees_of_acme_what_she_sees_of_nothing(
    server: Server, acme: Fleet, globex: Fleet, fresh_slug: Callable[[str], str]
) -> None:
    mallory = globex.token()

    def answer(tenant: str, **query: str | int) -> tuple[int, dict[str, str], bytes]:
        response = get(server, tenant, mallory, **query)
        varying = {"date", "x-correlation-id", "x-request-id", "expires"}
        headers = {k: v for k, v in response.headers.items() if k not in varying}
        return response.status_code, headers, response.content

    absent = answer(fresh_slug("absent"))
    assert absent[0] == 404
    assert answer(acme.tenant) == absent
    assert answer(acme.tenant, after="x", what="ever") == absent
    assert answer(acme.tenant, after=0, agent="a-1") == absent
    assert answer("a%00b") == absent


def test_mallory_hears_nothing_of_acme(server: Server, acme: Fleet, globex: Fleet) -> None:
    with listening(server.url, globex.tenant, globex.token(), query=FROM_THE_BEGINNING) as stream:
        acme.beat(3)
        globex.beat()
        heard = until(stream, globex.head)

    assert [message.id for message in heard] == globex.ids
    assert {message.json["tenant"] for message in heard} == {globex.tenant}


def test_an_agent_hears_of_itself_alone(server: Server, acme: Fleet) -> None:
    acme.enlist("a-2")
    token = acme.token(Role.AGENT, "a-2")
    acme.beat(1, "a-1")
    acme.beat(1, "a-2")

    with listening(server.url, acme.tenant, token, query=FROM_THE_BEGINNING) as stream:
        heard = until(stream, acme.head)
    another = get(server, acme.tenant, token, agent="a-1")
    absent = get(server, acme.tenant, token, agent="no-such-agent")

    assert [message.json.get("subject") for message in heard] == ["a-2"] * 4
    assert (another.status_code, another.content) == (404, absent.content)


@pytest.mark.parametrize(
    ("role", "shown"),
    [(Role.ADMIN, ORIGIN), (Role.AUDITOR, ORIGIN), (Role.OPERATOR, None)],
)
def test_origins_are_for_admins_and_auditors(
    server: Server, acme: Fleet, role: str, shown: str | None
) -> None:
    with listening(server.url, acme.tenant, acme.token(role), query=FROM_THE_BEGINNING) as stream:
        assert until(stream, 1)[0].json.get("origin") == shown


def test_nothing_on_the_way_may_keep_the_stream_or_hold_it_back(
    server: Server, acme: Fleet
) -> None:
    headers = {"Authorization": f"Bearer {acme.token()}", "Accept-Encoding": "gzip, br"}
    url = f"{server.url}/api/v1/tenants/{acme.tenant}/stream"

    with httpx.stream("GET", url, headers=headers) as response:
        said = response.headers

    assert said["content-type"] == "text/event-stream"
    assert said["cache-control"] == "no-store, no-transform"
    assert said["x-accel-buffering"] == "no"
    assert said["cross-origin-resource-policy"] == "same-origin"
    assert said["agentmesh-seq"] == str(acme.head)
    assert "content-encoding" not in said
    assert not [name for name in said if name.startswith("access-control-")]


def test_a_client_of_http_1_0_gets_the_stream_without_chunks(server: Server, acme: Fleet) -> None:
    request = (
        f"GET /api/v1/tenants/{acme.tenant}/stream?after=0 HTTP/1.0\r\n"
        f"Authorization: Bearer {acme.token()}\r\n\r\n"
    )
    last = f"\nid: {acme.ids[-1]}\n".encode()

    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request.encode())
        received = b""
        while last not in received:
            received += connection.recv(65_536)

    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"transfer-encoding" not in head.lower()
    assert b"connection: close" in head.lower()
    lines = (line.decode() for line in body.split(b"\n"))
    assert [message.id for message in messages(lines) if message.is_of_the_log] == acme.ids


def test_only_get_and_head_are_known(server: Server, acme: Fleet) -> None:
    url = f"{server.url}/api/v1/tenants/{acme.tenant}/stream"
    headers = {"Authorization": f"Bearer {acme.token()}"}

    head = httpx.head(url, headers=headers)
    post = httpx.post(url, headers=headers, content=b"{" * 100_000)

    assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream")
    assert "content-length" not in head.headers, "of a stream nobody knows it"
    assert post.status_code == 405
    assert post.json()["code"] == "method_not_allowed"


@pytest.fixture
def bob(acme: Fleet, fresh_slug: Callable[[str], str]) -> Any:
    """Operates in acme."""
    user = get_user_model().objects.create_user(fresh_slug("bob"))
    add_member(acme.tenant, user.username, Role.OPERATOR, by=BY)
    return user


def test_a_command_whose_path_ends_like_a_stream_keeps_its_body(
    server: Server, acme: Fleet
) -> None:
    acme.enlist("stream")
    path = f"{server.url}/api/v1/tenants/{acme.tenant}/agents/stream"
    headers = {"Authorization": f"Bearer {acme.token()}"}

    changed = httpx.patch(path, json={"name": "Renamed"}, headers=headers)
    refused = httpx.patch(path, json={"no_such_field": 1}, headers=headers)

    assert (changed.status_code, changed.json()["name"]) == (200, "Renamed")
    assert refused.status_code == 400


def test_a_person_listens_with_the_browsers_session(
    server: Server, acme: Fleet, globex: Fleet, bob: Any
) -> None:
    browser = Client()
    browser.force_login(bob)
    cookies = {"sessionid": browser.cookies["sessionid"].value}

    with listening(
        server.url, acme.tenant, None, cookies=cookies, query=FROM_THE_BEGINNING
    ) as stream:
        heard = until(stream, acme.head)
    elsewhere = httpx.get(f"{server.url}/api/v1/tenants/{globex.tenant}/stream", cookies=cookies)

    assert [message.id for message in heard] == acme.ids
    assert "origin" not in heard[0].json
    assert elsewhere.status_code == 404


@pytest.mark.parametrize(
    ("site", "status"),
    [("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403)],
)
def test_with_a_session_only_our_own_pages_open_a_stream(
    server: Server, acme: Fleet, bob: Any, site: str, status: int
) -> None:
    browser = Client()
    browser.force_login(bob)
    session = browser.cookies["sessionid"]
    url = f"{server.url}/api/v1/tenants/{acme.tenant}/stream"

    answer = httpx.head(
        url,
        cookies={"sessionid": session.value},
        headers={"Sec-Fetch-Site": site, "Origin": "https://elsewhere.example"},
    )
    with_token = httpx.head(
        url, headers={"Sec-Fetch-Site": site, "Authorization": f"Bearer {acme.token()}"}
    )

    assert answer.status_code == status
    assert with_token.status_code == 200
    assert settings.SESSION_COOKIE_SAMESITE == "Lax"
    for each in (answer, with_token):
        assert not [name for name in each.headers if name.startswith("access-control-")]


def test_who_reconnects_at_random_has_the_log_exactly(
    server: Server, acme: Fleet, writers: Callable[[Fleet, int, int], Any]
) -> None:
    """Four processes append meanwhile; nothing may be lost, repeated or out of order."""
    chance = random.Random(20260101)
    token = acme.token()
    before = acme.head
    heard: list[Message] = []
    position = "0"
    connections = 0

    with writers(acme, 4, 120) as writing:
        while not (writing.done() and len(heard) >= acme.head):
            connections += 1
            patience = chance.choice([1, 3, 10, 40, 150])
            with listening(server.url, acme.tenant, token, last_event_id=position) as stream:
                for message in stream:
                    position = message.id
                    if message.is_of_the_log:
                        heard.append(message)
                        patience -= 1
                    if patience == 0 or (writing.done() and message.seq >= acme.head):
                        break

    assert connections > 4
    assert acme.head >= before + 4 * 120
    assert all(one.seq + 1 == other.seq for one, other in pairwise(heard))
    assert [message.id for message in heard] == acme.ids


def test_old_rows_come_in_the_newest_version_and_new_rows_in_the_one_that_was_pinned(
    server: Server, acme: Fleet
) -> None:
    old = AgentTaskCompletedEventV1("old-1", task_id="t-1", result={"a": 1.0})
    new = AgentTaskCompletedEvent("old-1", task_id="t-2", usage=Usage(1, 2))
    append(acme.tenant, Proposal("agent", "old-1", 0, [old, new], BY))
    token, head = acme.token(), acme.head
    expected = {"": ["2.0", "2.0"], "1.0": ["1.0", "1.0"], "stored": ["1.0", "2.0"]}

    for schema, versions in expected.items():
        query: dict[str, str | int] = {"after": 0, "agent": "old-1"}
        query |= {"schema": schema} if schema else {}
        with listening(server.url, acme.tenant, token, query=query) as stream:
            told = [message.json for message in until(stream, head - 1)]

        assert [event["schemaversion"] for event in told] == versions
        assert ["usage" in event["data"] for event in told] == [v == "2.0" for v in versions]
        assert told[0]["data"]["result"] == {"a": 1.0}
        assert [event["hash"][:8] for event in told] == [
            seq_and_hash.partition("-")[2] for seq_and_hash in acme.ids[3:5]
        ]
