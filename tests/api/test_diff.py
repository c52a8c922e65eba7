"""The past through the API: the difference between two versions, and what looking back costs."""

import pytest

from tests.api.conftest import Caller, People, body_of


@pytest.fixture
def agent(bob: Caller) -> str:
    """At version 5: created, activated (2, 3), paused (4, 5)."""
    made = bob.available()
    bob.made(bob.post(f"/agents/{made}/pause", {"reason": "upgrade"}))
    return made


def test_each_changed_path_comes_with_old_new_and_the_event(bob: Caller, agent: str) -> None:
    paused = body_of(bob.get(f"/agents/{agent}/events?types=AgentPausedEvent"))["items"][0]

    bob.made(bob.post(f"/agents/{agent}/resume"))  # what comes after plays no part
    response = bob.get(f"/agents/{agent}/diff?from=3&to=5")

    body = body_of(response)
    event = {
        "event_id": paused["id"],
        "seq": int(paused["seq"]),
        "version": 4,
        "type": "AgentPausedEvent",
        "recorded_at": paused["recordedat"],
        "actor": "token:bob",
        "reason": "upgrade",
    }
    assert body["changes"] == [
        {"op": "replace", "path": "/status", "old": "AVAILABLE", "new": "PAUSED"}
        | {"event": event},
        {"op": "replace", "path": "/intent", "old": "active", "new": "paused"} | {"event": event},
        {"op": "replace", "path": "/pause_reason", "old": None, "new": "upgrade"}
        | {"event": event},
    ]
    ends = [body_of(bob.get(f"/agents/{agent}?version={version}")) for version in (3, 5)]
    assert [body["from"], body["to"]] == [
        {"version": each["version"], "seq": each["seq"]} for each in ends
    ]
    assert body["agent_id"] == agent
    assert response["ETag"] == '"5"'
    assert response["AgentMesh-Seq"] == str(ends[1]["seq"])


def test_without_an_end_it_is_the_agent_as_it_stands(bob: Caller, agent: str) -> None:
    head = bob.get("/agents")["AgentMesh-Seq"]
    response = bob.get(f"/agents/{agent}/diff?from=3")
    assert response["AgentMesh-Seq"] == head
    assert response.content == bob.get(f"/agents/{agent}/diff?from=3&to=5").content


def test_from_0_tells_how_all_came_about(bob: Caller, agent: str) -> None:
    body = body_of(bob.get(f"/agents/{agent}/diff?from=0&to=1"))
    now = body_of(bob.get(f"/agents/{agent}?version=1"))
    assert body["from"] == {"version": 0, "seq": None}
    added = {each["path"]: each["new"] for each in body["changes"]}
    assert {f"/{name}" for name in now} - added.keys() == {"/version", "/seq"}
    assert {each["op"] for each in body["changes"]} == {"add"}
    assert added["/created_at"] == now["created_at"]


def test_between_a_version_and_itself_nothing_changed(bob: Caller, agent: str) -> None:
    assert body_of(bob.get(f"/agents/{agent}/diff?from=3&to=3"))["changes"] == []


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("", "from"),
        ("to=3", "from"),
        ("from=5&to=3", "from"),
        ("from=6", "from"),
        ("from=6&to=7", "to"),
        ("from=1&to=6", "to"),
        ("from=1&to=0", "to"),
        ("from=-1", "from"),
        ("from=x", "from"),
        ("from=1&to=99999999999999999999", "to"),
        ("from=1&from=2", "from"),
        ("from=1&seq=2", "seq"),
        ("from=1&min_seq=99999", "min_seq"),
    ],
)
def test_what_is_wrong_is_named(bob: Caller, agent: str, query: str, parameter: str) -> None:
    response = bob.get(f"/agents/{agent}/diff?{query}")
    assert (response.status_code, body_of(response)["code"]) == (400, "invalid")
    assert body_of(response)["errors"][0]["parameter"] == parameter


def test_whoever_has_it_needs_no_body(bob: Caller, agent: str) -> None:
    path = f"/agents/{agent}/diff?from=1&to=3"
    response = bob.get(path, If_None_Match=bob.get(path)["ETag"])
    assert (response.status_code, response.content) == (304, b"")


def test_an_agent_sees_its_own_alone(people: People, agent: str) -> None:
    other = people.bob.create()
    own = people.agent(agent)
    assert own.get(f"/agents/{agent}/diff?from=1").status_code == 200
    assert own.get(f"/agents/{other}/diff?from=1").status_code == 404


def test_mallory_sees_what_she_would_see_of_nobody(people: People, agent: str) -> None:
    for query in ("from=1&to=3", "from=1&to=99", ""):
        real = people.mallory.get(f"/agents/{agent}/diff?{query}")
        nobody = people.mallory.get(f"/agents/nobody-here/diff?{query}")
        assert (real.status_code, real.content) == (404, nobody.content)
