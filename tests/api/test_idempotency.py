"""The same request under the same key happens once and is answered alike, whoever sends it when."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, connections
from django.http import HttpResponse

from events.idempotency import LIFETIME
from events.models import IdempotencyKey
from tests.api.conftest import CREATION, HEARTBEAT, Caller, People, body_of

KEPT = ("Location", "ETag", "AgentMesh-Seq", "Content-Type")


def same(first: HttpResponse, again: HttpResponse) -> None:
    assert again.status_code == first.status_code
    assert again.content == first.content
    assert [again.get(name) for name in KEPT] == [first.get(name) for name in KEPT]
    assert again["Idempotent-Replayed"] == "true"


def head(caller: Caller) -> int:
    seq: int = body_of(caller.get("/events"))["head"]
    return seq


def at_once(callers: list[Caller], method: str, path: str, body: Any, key: str) -> list[Any]:
    """The answers to the same request sent by all at the same moment, each from its own thread."""
    barrier = Barrier(len(callers))

    def send(caller: Caller) -> HttpResponse:
        try:
            barrier.wait(10)
            return caller.request(method, path, body, Idempotency_Key=key)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(callers)) as pool:
        return list(pool.map(send, callers))


COMMANDS: list[tuple[str, str, Any]] = [
    ("POST", "/agents", CREATION),
    ("POST", "/agents", CREATION | {"agent_id": "named-one", "metadata": {"x": [1.0, -0.0, "é"]}}),
    ("PATCH", "/agents/{agent}", {"name": "New"}),
    ("PATCH", "/agents/{agent}", {}),
    ("POST", "/agents/{agent}/heartbeat", HEARTBEAT),
    ("POST", "/agents/{agent}/health-failures", {"reason": "x"}),
    ("POST", "/agents/{agent}/pause", {"reason": "x"}),
    ("POST", "/agents/{agent}/terminate", {"reason": "x"}),
    ("POST", "/agents/{agent}/capabilities", {"name": "x", "proficiency_level": 1}),
    ("PATCH", "/agents/{agent}/capabilities/nlp", {"proficiency_level": 5}),
    ("POST", "/agents/{agent}/tasks", {"task_id": "t-1", "input": {"x": 1.0}}),
    ("POST", "/tasks", {"task_id": "t-1", "required_capabilities": [{"name": "nlp"}]}),
]


@pytest.mark.parametrize(("method", "path", "body"), COMMANDS, ids=str)
class TestACommand:
    def test_is_answered_again_and_does_not_happen_again(
        self, bob: Caller, method: str, path: str, body: Any
    ) -> None:
        path = path.format(agent=bob.available())
        first = bob.request(method, path, body, Idempotency_Key="k 1")
        assert first.status_code < 300, first.content
        assert "Idempotent-Replayed" not in first
        before = head(bob)
        same(first, bob.request(method, path, body, Idempotency_Key="k 1"))
        assert head(bob) == before

    def test_happens_once_when_many_send_it_at_once(
        self, bob: Caller, method: str, path: str, body: Any
    ) -> None:
        path = path.format(agent=bob.available())
        before = head(bob)
        callers = [Caller(bob.tenant, bob.token) for _ in range(4)]
        answers = at_once(callers, method, path, body, "k-2")
        first = [each for each in answers if "Idempotent-Replayed" not in each]
        assert len(first) == 1, [each.content for each in answers]
        for each in answers:
            if each is not first[0]:
                same(first[0], each)
        alone = bob.request(method, path.replace("/agents/", "/agents/"), body)
        assert alone.status_code in (200, 201, 409)  # without the key it is another request
        expected = {"/agents": 1, "heartbeat": 1}.get(path.rsplit("/", 1)[-1])
        if expected:
            answered = int(first[0]["AgentMesh-Seq"])
            assert answered - before == expected


def test_completing_a_task_is_answered_again(bob: Caller) -> None:
    agent = bob.busy("t-1")
    path = f"/agents/{agent}/tasks/t-1/complete"
    body = {"execution_time_ms": 5, "result": {"x": 1.50}}
    callers = [Caller(bob.tenant, bob.token) for _ in range(4)]
    answers = at_once(callers, "POST", path, body, "k")
    assert {each.content for each in answers} == {answers[0].content}
    assert {each.status_code for each in answers} == {200}
    assert bob.post(path, body).status_code == 409


def test_another_body_under_the_same_key_is_refused(bob: Caller) -> None:
    bob.made(bob.post("/agents", CREATION, Idempotency_Key="k"))
    response = bob.post("/agents", {**CREATION, "name": "Other"}, Idempotency_Key="k")
    assert (response.status_code, body_of(response)["code"]) == (422, "key_reused")


def test_a_key_is_one_principals_on_one_path_by_one_method(people: People) -> None:
    first = people.bob.post("/agents", CREATION, Idempotency_Key="k")
    other = people.alice.post("/agents", CREATION, Idempotency_Key="k")
    elsewhere = people.mallory.post("/agents", CREATION, Idempotency_Key="k")
    agent = body_of(first)["agent_id"]
    there = people.bob.post(f"/agents/{agent}/activate", CREATION, Idempotency_Key="k")
    assert there.status_code == 400  # no fields there: it was looked at anew
    assert len({each.content for each in (first, other, elsewhere)}) == 3
    assert all("Idempotent-Replayed" not in each for each in (first, other, elsewhere))


def test_a_stale_if_match_does_not_hinder_the_answer(bob: Caller) -> None:
    agent = f"/agents/{bob.create()}"
    first = bob.post(f"{agent}/activate", If_Match='"1"', Idempotency_Key="k")
    same(first, bob.post(f"{agent}/activate", If_Match='"1"', Idempotency_Key="k"))


def test_a_refusal_is_not_kept(bob: Caller) -> None:
    agent = bob.create()
    task = {"task_id": "t-1"}
    assert bob.post(f"/agents/{agent}/tasks", task, Idempotency_Key="k").status_code == 409
    bob.made(bob.post(f"/agents/{agent}/activate"))
    assert bob.post(f"/agents/{agent}/tasks", task, Idempotency_Key="k").status_code == 201


def test_a_key_is_forgotten_after_a_day(bob: Caller) -> None:
    first = bob.post("/agents", CREATION, Idempotency_Key="k")
    row = IdempotencyKey.objects.get(tenant=bob.tenant)
    row.created_at -= LIFETIME + timedelta(seconds=1)
    row.save()
    again = bob.post("/agents", CREATION, Idempotency_Key="k")
    assert again.status_code == 201
    assert again.content != first.content
    assert "Idempotent-Replayed" not in again


def test_the_secret_of_a_token_is_never_kept(alice: Caller) -> None:
    order = {"name": "ci", "role": "operator"}
    first = alice.post("/tokens", order, Idempotency_Key="k")
    again = alice.post("/tokens", order, Idempotency_Key="k")
    made, replayed = body_of(first), body_of(again)
    assert made["token"].startswith("am_")
    assert replayed == {**made, "token": None}
    assert (again.status_code, again["Location"]) == (201, first["Location"])
    assert again["AgentMesh-Seq"] == first["AgentMesh-Seq"]
    kept = "".join(
        IdempotencyKey.objects.filter(tenant=alice.tenant).values_list("body", flat=True)
    )
    assert made["token"] not in kept
    names = [each["name"] for each in body_of(alice.get("/tokens"))["items"]]
    assert names.count("ci") == 1


def test_tokens_are_issued_once_when_many_ask_at_once(alice: Caller) -> None:
    callers = [Caller(alice.tenant, alice.token) for _ in range(4)]
    answers = at_once(callers, "POST", "/tokens", {"name": "ci", "role": "operator"}, "k")
    assert {each.status_code for each in answers} == {201}
    assert len([each for each in answers if body_of(each)["token"]]) == 1
    names = [each["name"] for each in body_of(alice.get("/tokens"))["items"]]
    assert names.count("ci") == 1


def test_a_crash_leaves_neither_the_events_nor_the_key(
    bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from events.log import postgresql, sqlite

    agent, before = bob.available(), head(bob)
    bob.client.raise_request_exception = False
    engine = postgresql if connection.vendor == "postgresql" else sqlite

    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as broken:
        broken.setattr(engine, "append_one", breaks)
        path = f"/agents/{agent}/heartbeat"
        assert bob.post(path, HEARTBEAT, Idempotency_Key="k").status_code == 500
    assert head(bob) == before
    assert not IdempotencyKey.objects.filter(tenant=bob.tenant).exists()
    assert bob.post(path, HEARTBEAT, Idempotency_Key="k").status_code == 200
