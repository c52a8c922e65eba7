"""A client that asks too much is told so, early, and nobody else notices."""

import uuid
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpResponse
from django.test import AsyncClient, Client
from pytest_django.fixtures import Settings
from redis.exceptions import ConnectionError as ConnectionLost

from agentmesh_site.cache_and_email import django_cache
from events import tenants
from events.models import Role
from events.ratelimits.counters import counter
from tests.api.conftest import CREATION, HEARTBEAT, SOMEBODY, Caller, People, body_of
from tests.api.test_cost import statements, tables
from tests.stream.server import free_port

LIMITED = ("RateLimit", "RateLimit-Policy")
Limit = Callable[..., None]


@pytest.fixture
def limit(settings: Settings) -> Limit:
    """`limit(read="2/minute")`: as AGENTMESH_RATE_LIMITS, from now on in this test."""
    counter.cache_clear()

    def put(**rates: str) -> None:
        settings.RATE_LIMITS = rates

    return put


def assert_throttled(response: HttpResponse, scope: str) -> None:
    body = body_of(response)
    assert (response.status_code, body["code"]) == (429, "throttled")
    assert response["Content-Type"] == "application/problem+json"
    assert 1 <= int(response["Retry-After"]) <= 3_600
    assert f'"{scope}"' in body["detail"]
    assert response["RateLimit"].startswith(f'"{scope}";r=0;t=')


def test_without_limits_nothing_is_said_and_nothing_counted(people: People, limit: Limit) -> None:
    limit(write="5/minute")
    for response in (people.alice.get("/agents"), people.alice.get("/api/v1/schemas")):
        assert response.status_code == 200
        assert not set(LIMITED) & set(response.headers)


def test_what_is_left_is_told_with_each_answer(people: People, limit: Limit) -> None:
    limit(read="600/minute")
    for left in (599, 598):
        response = people.alice.get("/agents")
        assert response["RateLimit-Policy"] == '"read";q=600;w=60'
        name, remaining, reset = response["RateLimit"].split(";")
        assert (name, remaining) == ('"read"', f"r={left}")
        assert 1 <= int(reset.removeprefix("t=")) <= 60
    refused = people.alice.get("/agents?nope=1")
    assert (refused.status_code, refused["RateLimit"].split(";")[1]) == (400, "r=597")


def test_too_much_is_refused_and_others_go_on(people: People, limit: Limit) -> None:
    limit(read="2/minute", write="1/hour")
    assert [people.alice.get("/agents").status_code for _ in range(2)] == [200, 200]
    assert_throttled(people.alice.get("/agents"), "read")
    assert people.alice.post("/agents", CREATION).status_code == 201
    refused = people.alice.post("/agents", CREATION)
    assert (refused.status_code, int(refused["Retry-After"]) > 60) == (429, True)
    assert people.bob.get("/agents").status_code == 200
    assert people.mallory.get("/agents").status_code == 200
    assert people.alice.get("/api/v1/me").status_code == 429  # a read like others


def test_nothing_is_done_for_who_is_throttled(people: People, limit: Limit) -> None:
    limit(read="1/hour", write="1/hour")
    people.alice.get("/agents")
    people.alice.post("/agents", b"{")
    with statements() as seen:
        assert_throttled(people.alice.get("/agents?nope=1"), "read")
        assert_throttled(people.alice.post("/agents/nobody-here/pause", b"{" * 9), "write")
        assert_throttled(people.alice.request("PUT", "/agents"), "write")
    assert tables(seen) == ["events_token"] * 3


def test_a_bulk_is_counted_by_its_items_and_refused_as_a_whole(
    people: People, limit: Limit
) -> None:
    agent = people.alice.available()
    limit(bulk="5/minute", write="1/minute")
    beats = [{"command": "heartbeat", "agent_id": agent, "body": HEARTBEAT}] * 3

    assert people.alice.made(people.alice.post("/commands", beats))[2]["status"] == 200
    refused = people.alice.post("/commands", beats)

    assert (refused.status_code, body_of(refused)["code"]) == (429, "throttled")
    # It counts as one item, since who sends it is counted before its body is read.
    assert people.alice.made(people.alice.post("/commands", beats[:1]))[0]["status"] == 200
    assert people.alice.post("/commands", beats[:1]).status_code == 429


def test_another_tenant_is_not_there_for_who_is_throttled_either(
    people: People, limit: Limit
) -> None:
    limit(read="1/hour")
    people.mallory.get("/agents")
    assert_throttled(people.mallory.get("/agents"), "read")
    real = people.mallory.get(f"/api/v1/tenants/{people.alice.tenant}/agents")
    absent = people.mallory.get("/api/v1/tenants/no-such-tenant/agents")
    assert (real.status_code, real.content) == (404, absent.content)
    assert sorted(real.headers) == sorted(absent.headers)


def test_streams_and_copies_are_counted_apart_and_only_when_they_are_taken(
    people: People, limit: Limit
) -> None:
    limit(stream="1/hour", export="1/hour")
    for path, scope in (("/stream", "stream"), ("/export", "export")):
        assert "RateLimit" not in people.carol.request("HEAD", path)
        first = people.carol.get(path) if scope == "export" else stream(people.carol)
        assert (first.status_code, first["RateLimit"].split(";")[1]) == (200, "r=0")
        assert_throttled(people.carol.get(path), scope)


def stream(caller: Caller) -> Any:
    """The head of one, which nobody follows."""
    headers = {"Authorization": f"Bearer {caller.token}"}
    path = f"/api/v1/tenants/{caller.tenant}/stream"
    return async_to_sync(AsyncClient().get)(path, headers=headers)


class TestWrongTokens:
    def test_are_slowed_by_address_and_right_ones_are_not(
        self, people: People, limit: Limit
    ) -> None:
        limit(login="2/minute")
        stranger = Caller(people.alice.tenant, "am_" + "x" * 40)
        assert [stranger.get("/agents").status_code for _ in range(2)] == [401, 401]
        assert_throttled(stranger.get("/agents"), "login")
        assert_throttled(stranger.get("/api/v1/me"), "login")
        assert people.alice.get("/agents").status_code == 200
        assert Client().get("/api/v1/me").status_code == 401  # who sends none guesses none

    @pytest.mark.parametrize(
        ("one", "other", "is_the_same"),
        [
            ("192.0.2.1", "192.0.2.2", False),
            ("192.0.2.1", "::ffff:192.0.2.1", True),
            ("2001:db8:1:1::1", "2001:db8:1:1:ffff::9", True),
            ("2001:db8:1:1::1", "2001:db8:1:2::1", False),
        ],
    )
    def test_come_from_whoever_has_the_address(
        self, committed_db: None, limit: Limit, one: str, other: str, is_the_same: bool
    ) -> None:
        limit(login="1/minute")
        wrong = {"Authorization": "Bearer am_" + "x" * 40}
        answers = [
            Client(headers=wrong, REMOTE_ADDR=address).get("/api/v1/me").status_code
            for address in (one, other)
        ]
        assert answers == [401, 429 if is_the_same else 401]


def test_who_needs_no_login_is_counted_by_address(committed_db: None, limit: Limit) -> None:
    limit(read="1/minute")
    for path in ("/api/v1/schemas", "/api/v1/keys"):
        counter.cache_clear()
        for address, expected in (("192.0.2.1", 200), ("192.0.2.1", 429), ("192.0.2.2", 200)):
            assert Client(REMOTE_ADDR=address).get(path).status_code == expected


def test_a_person_is_counted_in_each_tenant_apart(people: People, limit: Limit) -> None:
    limit(read="1/hour")
    person = User.objects.create_user(f"eve-{uuid.uuid4().hex[:8]}")
    browser = Client()
    browser.force_login(person)
    for caller in (people.alice, people.mallory):
        tenants.add_member(caller.tenant, person.username, Role.AUDITOR, by=SOMEBODY)
        path = f"/api/v1/tenants/{caller.tenant}/agents"
        assert [browser.get(path).status_code for _ in range(2)] == [200, 429]


def test_a_redis_that_is_away_fails_no_request(
    people: People, limit: Limit, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(read="2/minute")
    settings.CACHES = {"default": django_cache(f"redis://127.0.0.1:{free_port()}/0")}
    counter.cache_clear()

    def lost(*_: object, **__: object) -> NoReturn:
        raise ConnectionLost

    monkeypatch.setattr(LocMemCache, "add", lost)
    monkeypatch.setattr(LocMemCache, "delete", lost)
    root = User.objects.create_superuser(f"root-{uuid.uuid4().hex[:8]}")
    browser = Client()
    browser.force_login(root)
    path = f"/api/v1/tenants/{people.alice.tenant}/agents"
    assert [browser.get(path).status_code for _ in range(3)] == [200, 200, 429]
    counter.cache_clear()
    settings.RATE_LIMITS = {}
    looks = body_of(people.alice.get("/events?types=TenantViewedBySuperuser"))["items"]
    assert len(looks) == 1
    agent = people.bob.create()
    for _ in range(2):
        assert people.carol.post(f"/agents/{agent}/activate").status_code == 403
    assert len(body_of(people.carol.get("/events?types=AccessDenied"))["items"]) == 1
