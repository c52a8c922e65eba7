"""Queries of the timeline that a tenant's people share."""

from typing import Any

import pytest

from events import saved_views
from tests.api.conftest import Caller, People, body_of
from tests.api.test_hostile import BODIES
from tests.api.test_members import walk

QUERY = {"types": "AgentTask*", "agent": "a-1,b-*", "order": "desc", "q": "a+b & ü"}


def test_a_view_is_made_read_changed_and_deleted(people: People) -> None:
    response = people.bob.post("/saved-views", {"name": "Tasks of a", "query": QUERY})
    made = body_of(response)
    path = f"/api/v1/tenants/{people.bob.tenant}/saved-views/{made['id']}"
    assert (response.status_code, response["Location"]) == (201, path)
    assert (made["name"], made["query"]) == ("Tasks of a", QUERY)
    assert made["created_by"] == made["updated_by"] == "token:bob"
    assert made["created_at"] == made["updated_at"]
    for reader in (people.alice, people.bob, people.carol):
        assert body_of(reader.get(path)) == made
        assert body_of(reader.get("/saved-views"))["items"] == [made]
    changed = people.alice.made(people.alice.patch(path, {"name": "All", "query": {}}))
    assert (changed["name"], changed["query"]) == ("All", {})
    assert (changed["created_by"], changed["updated_by"]) == ("token:bob", "token:alice")
    assert changed["updated_at"] > changed["created_at"] == made["created_at"]
    gone = people.bob.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    assert "Content-Type" not in gone
    for again in (people.bob.get(path), people.bob.delete(path), people.bob.patch(path, {})):
        assert again.status_code == 404


def test_its_link_gives_what_it_asks_for(bob: Caller) -> None:
    agent = bob.create()
    bob.create()
    query = {"types": "AgentCreated*", "agent": agent, "since": "2020-01-01T00:00:00+01:00"}
    made = bob.made(bob.post("/saved-views", {"name": "x", "query": query}))
    found = body_of(bob.get(made["events"]))["items"]
    assert [(each["type"], each["subject"]) for each in found] == [("AgentCreatedEvent", agent)]
    everything = bob.made(bob.post("/saved-views", {"name": "y", "query": {}}))
    assert len(body_of(bob.get(everything["events"]))["items"]) > 1


def test_names_are_unique_in_a_tenant_and_no_further(people: People) -> None:
    order = {"name": "Mine", "query": {}}
    made = people.bob.made(people.bob.post("/saved-views", order))
    people.mallory.made(people.mallory.post("/saved-views", order))
    other = people.bob.made(people.bob.post("/saved-views", {**order, "name": "Other"}))
    for response in (
        people.alice.post("/saved-views", order),
        people.alice.patch(f"/saved-views/{other['id']}", {"name": "Mine"}),
    ):
        assert (response.status_code, body_of(response)["code"]) == (409, "already_exists")
    assert people.alice.patch(f"/saved-views/{made['id']}", {"name": "Mine"}).status_code == 200


def test_no_change_is_none(people: People) -> None:
    made = people.bob.made(people.bob.post("/saved-views", {"name": "x", "query": QUERY}))
    path = f"/saved-views/{made['id']}"
    for body in ({}, {"name": "x"}, {"query": QUERY}):
        assert body_of(people.alice.patch(path, body)) == made


def test_a_replay_is_the_first_answer(bob: Caller) -> None:
    order = {"name": "x", "query": QUERY}
    first, again = (bob.post("/saved-views", order, Idempotency_Key="k") for _ in range(2))
    assert (again.status_code, again.content) == (201, first.content)
    assert (again["Location"], again["Idempotent-Replayed"]) == (first["Location"], "true")
    assert bob.post("/saved-views", {**order, "name": "y"}, Idempotency_Key="k").status_code == 422
    path = first["Location"]
    one, two = (bob.patch(path, {"name": "z"}, Idempotency_Key="k2") for _ in range(2))
    assert (two.content, two["Idempotent-Replayed"]) == (one.content, "true")


@pytest.mark.parametrize(
    ("order", "pointer"),
    [
        ({"query": {}}, "/name"),
        ({"name": "x"}, "/query"),
        ({"name": "", "query": {}}, "/name"),
        ({"name": " x", "query": {}}, "/name"),
        ({"name": "x\n", "query": {}}, "/name"),
        ({"name": "x" * 101, "query": {}}, "/name"),
        ({"name": 5, "query": {}}, "/name"),
        ({"name": "x", "query": []}, "/query"),
        ({"name": "x", "query": None}, "/query"),
        ({"name": "x", "query": {"nope": "1"}}, "/query/nope"),
        ({"name": "x", "query": {"a/b": "1"}}, "/query/a~1b"),
        ({"name": "x", "query": {"a/b": 1}}, "/query/a~1b"),
        ({"name": "x", "query": {"after": "1"}}, "/query/after"),
        ({"name": "x", "query": {"types": ["A"]}}, "/query/types"),
        ({"name": "x", "query": {"types": ""}}, "/query/types"),
        ({"name": "x", "query": {"types": "A*B"}}, "/query/types"),
        ({"name": "x", "query": {"agent": "a,,b"}}, "/query/agent"),
        ({"name": "x", "query": {"since": "yesterday"}}, "/query/since"),
        ({"name": "x", "query": {"until": "2026-01-01"}}, "/query/until"),
        ({"name": "x", "query": {"order": "down"}}, "/query/order"),
        ({"name": "x", "query": {"q": "x" * 1_001}}, "/query/q"),
        ({"name": "x", "query": {"query": "typ:x"}}, "/query/query"),
        ({"name": "x", "query": {"query": "a", "agent": "a"}}, "/query/agent"),
        ({"name": "x", "query": {}, "x": 1}, "/x"),
    ],
    ids=str,
)
def test_a_wrong_field_is_pointed_at(bob: Caller, order: dict[str, Any], pointer: str) -> None:
    response = bob.post("/saved-views", order)
    assert response.status_code == 400, response.content
    assert body_of(response)["errors"][0]["pointer"] == pointer
    assert body_of(bob.get("/saved-views"))["items"] == []


def test_no_body_breaks_a_change(bob: Caller) -> None:
    made = bob.made(bob.post("/saved-views", {"name": "x", "query": {}}))
    for raw in (*BODIES.values(), b'{"name": 5}', b'{"query": {"since": "x"}}', b'{"query": 5}'):
        assert bob.patch(f"/saved-views/{made['id']}", raw).status_code == 400


def test_there_are_not_endlessly_many(bob: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_views, "MOST_VIEWS", 2)
    answers = [bob.post("/saved-views", {"name": f"{n}", "query": {}}) for n in range(3)]
    assert [each.status_code for each in answers] == [201, 201, 409]
    assert body_of(answers[2])["rule"] == "too_many"


def test_a_walk_sees_each_view_once(bob: Caller) -> None:
    names = ["a", "b b", "c", "d", "é"]
    for name in reversed(names):
        bob.made(bob.post("/saved-views", {"name": name, "query": {}}))
    assert sorted(walk(bob, "/saved-views?limit=2", "name")) == names


def test_nothing_of_it_is_in_the_log(people: People) -> None:
    people.bob.get("/saved-views")
    before = body_of(people.carol.get("/events"))["head"]
    people.bob.made(people.bob.post("/saved-views", {"name": "x", "query": {}}))
    assert body_of(people.carol.get("/events"))["head"] == before
