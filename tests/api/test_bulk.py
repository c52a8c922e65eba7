"""POST /commands: what it takes, whom it lets do what, how it refuses, and what it costs."""

import json
from http import HTTPStatus
from typing import Any

import pytest
from django.urls import resolve

from agentmesh_site.body_limit import most_bytes
from agents.api.items import KINDS, MOST_ITEMS
from events.api.strict_json import MAX_BODY_BYTES, MAX_BULK_BYTES
from events.models import Event
from tests.api.conftest import CREATION, HEARTBEAT, Caller, People, body_of
from tests.api.test_cost import one_connection, statements

__all__ = ["one_connection"]

Item = dict[str, Any]
PATH = "/commands"


def heartbeat(agent_id: str) -> Item:
    return {"command": "heartbeat", "agent_id": agent_id, "body": HEARTBEAT}


def only(caller: Caller, item: object) -> Item:
    """The answer to a bulk of this item alone."""
    (told,) = caller.made(caller.post(PATH, [item]))
    found: Item = told
    return found


class TestWhatIsNoBulk:
    @pytest.mark.parametrize("body", [{}, None, "x", [], [heartbeat("a-1")] * (MOST_ITEMS + 1)])
    def test_is_refused_as_a_whole(self, bob: Caller, body: Any) -> None:
        response = bob.post(PATH, body)
        assert (response.status_code, body_of(response)["code"]) == (400, "invalid")

    def test_is_what_is_broken_anywhere(self, bob: Caller) -> None:
        deep = b'[{"command": "x", "body": {"a": ' + b"[" * 62 + b"]" * 62 + b"}}]"
        for raw in (b'[{"command": "a\\u0000"}]', b"[{]", b'[{"a": 1, "a": 2}]', deep):
            assert bob.post(PATH, raw).status_code == 400

    def test_may_have_eight_mebibytes_and_no_more(self, bob: Caller) -> None:
        agent = bob.create()
        big = {"metadata": {str(n): "x" * 60_000 for n in range(1)}}
        items = [{"command": "update", "agent_id": agent, "body": big}] * 120
        raw = json.dumps(items).encode()
        assert MAX_BODY_BYTES < len(raw) < MAX_BULK_BYTES
        told = bob.made(bob.post(PATH, raw))
        assert {each["status"] for each in told} == {200}
        response = bob.post(PATH, raw + b" " * (MAX_BULK_BYTES + 1 - len(raw)))
        assert (response.status_code, body_of(response)["code"]) == (413, "too_large")
        assert str(MAX_BULK_BYTES) in body_of(response)["detail"]

    def test_keeps_the_old_limit(self, bob: Caller) -> None:
        raw = json.dumps({**CREATION, "description": "x" * MAX_BODY_BYTES}).encode()
        assert bob.post("/agents", raw).status_code == 413

    def test_the_server_lets_through_what_the_door_takes(self) -> None:
        for path in ("/api/v1/tenants/acme/commands", "/api/v1/tenants/acme/agents"):
            door = resolve(path).func.view_class  # type: ignore[attr-defined]  # a view's
            assert most_bytes(path) == door.most_body_bytes
        for path in ("/api/v1/tenants/a/b/commands", "/api/v1/commands", "/api/"):
            assert most_bytes(path) == MAX_BODY_BYTES
        assert most_bytes("/admin/") is None


MALFORMED: list[tuple[Any, str]] = [
    (5, ""),
    (None, ""),
    ([], ""),
    ({}, "/command"),
    ({"command": 5, "agent_id": "a-1"}, "/command"),
    ({"command": "x" * 500, "agent_id": "a-1"}, "/command"),
    ({"command": "heartbeat"}, "/agent_id"),
    ({"command": "heartbeat", "agent_id": None}, "/agent_id"),
    ({"command": "heartbeat", "agent_id": 7}, "/agent_id"),
    ({**heartbeat("a-1"), "if_version": "1"}, "/if_version"),
    ({**heartbeat("a-1"), "if_version": 1.0}, "/if_version"),
    ({**heartbeat("a-1"), "idempotency_key": ""}, "/idempotency_key"),
    ({**heartbeat("a-1"), "idempotency_key": "x" * 256}, "/idempotency_key"),
    ({**heartbeat("a-1"), "idempotency_key": "é"}, "/idempotency_key"),
    ({**heartbeat("a-1"), "body": []}, "/body"),
    ({**heartbeat("a-1"), "more/or less": 1}, "/more~1or less"),
    ({"command": "create", "agent_id": "a-1", "if_version": 1}, "/if_version"),
    ({"command": "create", "agent_id": "a-2", "body": {"agent_id": "a-3"}}, "/body/agent_id"),
]
WRONG: list[tuple[str, Any, str]] = [
    ("heartbeat", {**HEARTBEAT, "success_rate": 2}, "/body/success_rate"),
    ("heartbeat", {**HEARTBEAT, "success_rate": True}, "/body/success_rate"),
    ("heartbeat", {**HEARTBEAT, "nope": 1}, "/body/nope"),
    ("activate", {"nope": 1}, "/body/nope"),
    ("pause", {}, "/body/reason"),
    ("pause", {"reason": "x", "until": "now"}, "/body/until"),
    ("upgrade_capability", {"proficiency_level": 2}, "/body/name"),
    ("complete", {"execution_time_ms": 1}, "/body/task_id"),
    ("complete", {"execution_time_ms": 1, "task_id": "/"}, "/body/task_id"),
    ("fail", {"task_id": 5, "error_message": "x"}, "/body/task_id"),
    ("assign", {"task_id": "t-1", "input": {"$confidential": 1}}, "/body/input"),
]


class TestAnItem:
    @pytest.mark.parametrize(("item", "pointer"), MALFORMED, ids=str)
    def test_that_is_malformed_is_refused_alone(self, bob: Caller, item: Any, pointer: str) -> None:
        agent = bob.available()
        told = bob.made(bob.post(PATH, [item, heartbeat(agent)]))
        assert [each["status"] for each in told] == [400, 200]
        error = told[0]["error"]
        assert (error["code"], error["status"]) == ("invalid", 400)
        assert error["errors"][0]["pointer"] == pointer
        assert len(json.dumps(error)) < 2_000

    @pytest.mark.parametrize(("command", "body", "pointer"), WRONG, ids=str)
    def test_with_a_wrong_body_says_where(
        self, bob: Caller, command: str, body: Any, pointer: str
    ) -> None:
        told = only(bob, {"command": command, "agent_id": bob.available(), "body": body})
        assert told["status"] == told["error"]["status"] == 400
        assert told["error"]["errors"][0]["pointer"] == pointer
        absent = only(bob, {"command": command, "agent_id": "nobody-here", "body": body})
        assert absent["error"] == body_of(bob.get("/agents/nobody-here"))

    def test_with_too_large_a_payload_is_refused_alone(self, bob: Caller) -> None:
        agent = bob.available()
        body = {"task_id": "t-1", "input": "x" * 70_000}
        told = only(bob, {"command": "assign", "agent_id": agent, "body": body})
        assert (told["status"], told["error"]["code"]) == (413, "too_large")
        assert told["error"]["errors"][0]["pointer"] == "/body/input"

    def test_at_another_version_is_refused(self, bob: Caller) -> None:
        agent = bob.available()
        at = [{**heartbeat(agent), "if_version": version} for version in (3, 3, 4, None, 0, -1)]
        told = bob.made(bob.post(PATH, at))
        assert [each["status"] for each in told] == [200, 412, 200, 200, 412, 412]
        assert told[1]["error"]["errors"] == [
            {"pointer": "/if_version", "detail": "the agent's ETag is 4."}
        ]

    def test_may_leave_its_body_out_where_it_is_empty(self, bob: Caller) -> None:
        assert only(bob, {"command": "activate", "agent_id": bob.create()})["status"] == 200

    def test_may_create_an_agent_that_it_names_anywhere_or_nowhere(self, bob: Caller) -> None:
        items = [
            {"command": "create", "agent_id": "in-item", "body": CREATION},
            {"command": "create", "body": {**CREATION, "agent_id": "in-body"}},
            {"command": "create", "body": CREATION},
            {"command": "create", "agent_id": "x", "body": CREATION},
            {"command": "create", "body": {**CREATION, "agent_id": "y"}},
        ]
        told = bob.made(bob.post(PATH, items))
        assert [each["status"] for each in told] == [201, 201, 201, 400, 400]
        ids = [each["body"]["agent_id"] for each in told[:3]]
        assert ids[:2] == ["in-item", "in-body"]
        assert ids[2].startswith("agent-")
        pointers = [each["error"]["errors"][0]["pointer"] for each in told[3:]]
        assert pointers == ["/agent_id", "/body/agent_id"]

    def test_every_command_of_the_contract_is_there(self) -> None:
        assert set(KINDS) == {
            *("create", "update", "activate", "pause", "resume", "terminate"),
            *("add_capability", "upgrade_capability", "heartbeat", "health_failed"),
            *("assign", "complete", "fail"),
        }


class TestAnAgentsToken:
    def test_does_what_an_agent_does_to_its_own_alone(self, people: People) -> None:
        agent, other = people.bob.create(), people.bob.available()
        caller = people.agent(agent)
        told = caller.made(
            caller.post(
                PATH,
                [
                    {"command": "activate", "agent_id": agent},
                    heartbeat(agent),
                    heartbeat(other),
                    {"command": "pause", "agent_id": agent, "body": {"reason": "x"}},
                    {"command": "pause", "agent_id": other, "body": {"reason": "x"}},
                    {"command": "create", "agent_id": "another", "body": CREATION},
                    {"command": "create", "body": CREATION},
                ],
            )
        )
        assert [each["status"] for each in told] == [200, 200, 404, 403, 404, 403, 409]
        alone = caller.post(f"/agents/{agent}/pause", {"reason": "x"})
        assert told[3]["error"] == body_of(alone)
        alone = caller.post("/agents", {**CREATION, "agent_id": "another"})
        assert told[5]["error"] == body_of(alone)
        assert told[2]["error"] == body_of(caller.get("/agents/nobody-here"))

    def test_creates_itself(self, people: People) -> None:
        caller = people.agent("robot-7")
        told = caller.made(
            caller.post(
                PATH,
                [
                    {"command": "create", "body": CREATION},
                    {"command": "activate", "agent_id": "robot-7"},
                ],
            )
        )
        assert [each["status"] for each in told] == [201, 200]
        assert told[0]["body"]["agent_id"] == "robot-7"

    def test_leaves_its_refused_attempts_in_the_log(self, people: People) -> None:
        agent = people.bob.create()
        caller = people.agent(agent)
        order = {"command": "pause", "agent_id": agent, "body": {"reason": "x"}}
        assert only(caller, order)["status"] == 403
        denied = body_of(people.carol.get("/events?types=AccessDenied"))["items"]
        assert [each["actor"] for each in denied] == [f"agent:{agent}"]
        assert denied[0]["data"]["route"].endswith("/commands")


def test_refusals_alone_reflect_the_log_as_it_stands(bob: Caller) -> None:
    head = bob.get("/agents")["AgentMesh-Seq"]
    assert bob.post(PATH, [heartbeat("nobody-here")])["AgentMesh-Seq"] == head


def test_mallory_meets_no_agent_of_acme(people: People) -> None:
    agent = people.bob.available()
    told = only(people.mallory, heartbeat(agent))
    assert told["error"] == only(people.mallory, heartbeat("nobody-here"))["error"]
    assert told["status"] == 404


def test_an_auditor_changes_nothing(people: People) -> None:
    response = people.carol.post(PATH, [heartbeat("a-1")])
    assert (response.status_code, body_of(response)["code"]) == (403, "forbidden")


def test_every_event_says_where_it_comes_from(bob: Caller) -> None:
    agent = bob.available()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    pause = {"command": "pause", "agent_id": agent, "body": {"reason": "noon"}}
    response = bob.post(
        PATH,
        [heartbeat(agent), pause],
        X_Correlation_Id="c-1",
        X_Causation_Id="c-0",
        traceparent=trace,
        User_Agent="bulk/1",
    )
    assert response["X-Correlation-Id"] == "c-1"
    assert response["AgentMesh-Seq"] == str(body_of(response)[1]["seq"])
    events = Event.objects.filter(tenant=bob.tenant).order_by("-seq")[:3]
    assert [each.reason for each in events] == ["noon", "noon", None]
    for each in events:
        assert (each.actor, each.correlation_id, each.causation_id) == ("token:bob", "c-1", "c-0")
        assert each.traceparent == trace
        assert "bulk/1" in (each.origin or "")


def test_an_answer_is_bounded(bob: Caller) -> None:
    agent = bob.create(metadata={"x": "x" * 60_000})
    bob.made(bob.post(f"/agents/{agent}/activate"))
    told = bob.made(bob.post(PATH, [heartbeat(agent)] * 150))
    assert {each["status"] for each in told} == {200}
    with_body = ["body" in each for each in told]
    assert with_body == sorted(with_body, reverse=True)
    assert 100 < sum(with_body) < 150
    assert told[-1]["seq"] == told[0]["seq"] + 149


def verbs(seen: list[str]) -> list[tuple[str, str]]:
    """Verb and table of each statement."""
    found = []
    for sql in seen:
        words = sql.replace('"', " ").split()
        tables = [w for w in words if w.startswith(("events_", "agents_")) and "." not in w]
        found.append((words[0], tables[0] if tables else ""))
    return found


@pytest.mark.parametrize("count", [2, 1_000])
def test_a_thousand_heartbeats_cost_the_statements_of_two(bob: Caller, count: int) -> None:
    agents = [f"a-{number}" for number in range(count)]
    for command, body in (("create", CREATION), ("activate", {})):
        items = [{"command": command, "agent_id": agent, "body": body} for agent in agents]
        told = bob.made(bob.post(PATH, items))
        assert {each["status"] for each in told} <= {HTTPStatus.OK, HTTPStatus.CREATED}
    with statements() as seen:
        told = bob.made(bob.post(PATH, [heartbeat(agent) for agent in agents]))
    assert {each["status"] for each in told} == {200}
    # Past Django's cursors go: the head's lock, the streams, COPY, the rows, the head.
    assert verbs(seen) == [("SELECT", "events_token"), ("SELECT", "agents_currentagent")]


@pytest.mark.parametrize("count", [2, 200])
def test_many_assignments_with_keys_cost_the_statements_of_two(bob: Caller, count: int) -> None:
    agents = [f"a-{number}" for number in range(count)]
    for command, body in (("create", CREATION), ("activate", {})):
        items = [{"command": command, "agent_id": agent, "body": body} for agent in agents]
        bob.made(bob.post(PATH, items))
    items = [
        {
            "command": "assign",
            "agent_id": agent,
            "idempotency_key": f"k-{agent}",
            "body": {"task_id": f"t-{agent}", "input": {"n": 1}},
        }
        for agent in agents
    ]
    with statements() as seen:
        told = bob.made(bob.post(PATH, items))
    assert {each["status"] for each in told} == {201}
    assert verbs(seen) == [
        ("SELECT", "events_token"),
        ("SELECT", "agents_currentagent"),
        ("SELECT", "agents_taskclaim"),
        ("SELECT", "events_tenant"),
        ("SELECT", "events_idempotencykey"),
    ]
