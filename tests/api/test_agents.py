"""An agent's life through the API, as an integrator sees it."""

import re

import pytest

from agents.models import TaskClaim
from tests.api.conftest import CREATION, HEARTBEAT, Caller, People, body_of

AGENT_FIELDS = [
    *("agent_id", "name", "description", "agent_type", "status", "intent", "health"),
    *("capabilities", "tags", "metadata", "current_task_id", "tasks_assigned"),
    *("tasks_completed", "tasks_failed", "last_seen", "health_check_timeout_seconds"),
    *("created_at", "activated_at", "paused_until", "pause_reason", "terminated_at"),
    *("version", "seq"),
]
TASK_FIELDS = [
    *("task_id", "agent_id", "status", "assigned_at", "ended_at", "execution_time_ms"),
    *("input", "result", "usage", "error_code", "error_message", "attempts"),
]
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def test_a_created_agent_is_answered_whole_with_its_place_version_and_seq(alice: Caller) -> None:
    response = alice.post("/agents", {**CREATION, "agent_id": "a1x", "tags": ["eu"]})
    agent = body_of(response)
    assert response.status_code == 201
    assert response["Location"] == f"/api/v1/tenants/{alice.tenant}/agents/a1x"
    assert response["ETag"] == '"1"'
    assert response["AgentMesh-Seq"] == str(agent["seq"])
    assert list(agent) == AGENT_FIELDS
    assert agent["status"] == "REGISTERED"
    assert agent["tags"] == ["eu"]
    assert MOMENT.fullmatch(agent["created_at"])
    assert body_of(alice.get(response["Location"])) == agent


def test_an_agent_without_an_id_gets_one(alice: Caller) -> None:
    assert body_of(alice.post("/agents", CREATION))["agent_id"].startswith("agent-")


def test_a_taken_id_is_refused(alice: Caller) -> None:
    agent = alice.create()
    response = alice.post("/agents", {**CREATION, "agent_id": agent})
    assert (response.status_code, body_of(response)["code"]) == (409, "already_exists")


def test_every_command_answers_with_the_agent_as_it_left_it(bob: Caller) -> None:
    agent = f"/agents/{bob.create()}"
    steps = [
        ("activate", None, "AVAILABLE"),
        ("heartbeat", HEARTBEAT, "AVAILABLE"),
        ("health-failures", {"reason": "no answer"}, "UNHEALTHY"),
        ("heartbeat", HEARTBEAT, "AVAILABLE"),
        ("pause", {"reason": "maintenance", "until": "2999-01-01T01:00:00+01:00"}, "PAUSED"),
        ("resume", {}, "AVAILABLE"),
        ("capabilities", {"name": "ocr", "proficiency_level": 2}, "AVAILABLE"),
        ("terminate", {"reason": "retired"}, "TERMINATED"),
    ]
    for name, body, status in steps:
        response = bob.post(f"{agent}/{name}", body)
        made = bob.made(response)
        assert made["status"] == status
        assert response["ETag"] == f'"{made["version"]}"'
        assert response["AgentMesh-Seq"] == str(made["seq"])
        assert body_of(bob.get(agent)) == made


def test_a_pause_is_told_in_utc(bob: Caller) -> None:
    agent = bob.available()
    body = {"reason": "night", "until": "2999-01-01T01:00:00.25+01:00"}
    paused = bob.made(bob.post(f"/agents/{agent}/pause", body))
    assert paused["paused_until"] == "2999-01-01T00:00:00.250000Z"
    assert paused["pause_reason"] == "night"


def test_details_and_levels_change(bob: Caller) -> None:
    agent = f"/agents/{bob.create()}"
    changed = bob.made(bob.patch(agent, {"name": "New", "metadata": {"k": [1, 1.0]}}))
    assert (changed["name"], changed["metadata"]) == ("New", {"k": [1, 1.0]})
    raised = bob.made(bob.patch(f"{agent}/capabilities/nlp", {"proficiency_level": 5}))
    assert raised["capabilities"] == [{"name": "nlp", "proficiency_level": 5}]


def test_an_order_that_changes_nothing_records_nothing(bob: Caller) -> None:
    agent = f"/agents/{bob.create()}"
    before = body_of(bob.get(agent))
    response = bob.patch(agent, {})
    assert bob.made(response) == before
    assert response["AgentMesh-Seq"] == str(before["seq"])


def test_a_task_is_assigned_and_completed(bob: Caller) -> None:
    agent = bob.available()
    response = bob.post(f"/agents/{agent}/tasks", {"task_id": "t-1", "input": {"n": [1, 2.5]}})
    task = bob.made(response)
    assert response.status_code == 201
    assert response["Location"] == f"/api/v1/tenants/{bob.tenant}/tasks/t-1"
    assert list(task) == TASK_FIELDS
    assert task["input"] == {"n": [1, 2.5]}
    assert [each["status"] for each in task["attempts"]] == ["assigned"]
    assert body_of(bob.get("/tasks/t-1")) == task

    done = bob.made(
        bob.post(
            f"/agents/{agent}/tasks/t-1/complete",
            {
                "result": "ok",
                "execution_time_ms": 12.5,
                "usage": {"input_tokens": 3, "output_tokens": 4},
            },
        )
    )
    assert done["status"] == "completed"
    assert done["usage"] == {"input_tokens": 3, "output_tokens": 4}
    assert done["input"] == {"n": [1, 2.5]}
    assert MOMENT.fullmatch(done["ended_at"])
    assert done["attempts"] == [
        {
            "agent_id": agent,
            "status": "completed",
            "assigned_at": task["assigned_at"],
            "ended_at": done["ended_at"],
            "execution_time_ms": 12.5,
            "error_code": None,
            "error_message": None,
        }
    ]
    assert body_of(bob.get("/tasks/t-1")) == done


def test_a_failed_task_goes_to_another_agent_and_remembers_the_first(bob: Caller) -> None:
    first, second = bob.busy("t-2"), bob.available()
    failed = bob.made(
        bob.post(
            f"/agents/{first}/tasks/t-2/fail", {"error_message": "boom", "error_code": "E_BOOM"}
        )
    )
    assert (failed["status"], failed["error_code"]) == ("failed", "E_BOOM")
    assert body_of(bob.get("/tasks/t-2")) == failed
    again = bob.made(bob.post(f"/agents/{second}/tasks", {"task_id": "t-2"}))
    assert [(each["agent_id"], each["status"]) for each in again["attempts"]] == [
        (first, "failed"),
        (second, "assigned"),
    ]
    assert again["attempts"][0] == failed["attempts"][0]


def test_a_late_completion_is_refused_and_names_the_current_task(bob: Caller) -> None:
    agent = bob.busy("t-7")
    response = bob.post(f"/agents/{agent}/tasks/t-9/complete", {"execution_time_ms": 1})
    problem = body_of(response)
    assert response.status_code == 409
    assert response["Content-Type"] == "application/problem+json"
    assert problem == {
        "type": "/problems/rule_violated",
        "title": problem["title"],
        "status": 409,
        "detail": f"Task t-9 is not current; {agent} works on t-7.",
        "code": "rule_violated",
        "rule": "task_not_current",
        "current_task_id": "t-7",
    }


def test_the_events_say_who_why_and_in_which_chain(bob: Caller, carol: Caller) -> None:
    agent = bob.available()
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    response = bob.post(
        f"/agents/{agent}/pause",
        {"reason": "maintenance"},
        X_Correlation_Id="order-7",
        X_Causation_Id="mail-1",
        traceparent=trace,
        User_Agent="integrator/1",
    )
    assert response["X-Correlation-Id"] == "order-7"
    paused = body_of(carol.get(f"/agents/{agent}/events?types=AgentPausedEvent"))["items"][0]
    assert paused["actor"] == "token:bob"
    assert paused["reason"] == "maintenance"
    assert (paused["correlationid"], paused["causationid"]) == ("order-7", "mail-1")
    assert paused["traceparent"] == trace
    assert paused["origin"] == '{"address":"127.0.0.1","user_agent":"integrator/1"}'


def test_a_correlation_id_is_made_where_none_is_given(bob: Caller) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", bob.get("/agents")["X-Correlation-Id"])
    assert re.fullmatch(r"[0-9a-f]{32}", bob.get("/nowhere")["X-Correlation-Id"])


class TestIfMatch:
    def test_a_version_that_still_stands_is_let_through(self, bob: Caller) -> None:
        agent = f"/agents/{bob.create()}"
        etag = bob.get(agent)["ETag"]
        assert bob.post(f"{agent}/activate", If_Match=etag).status_code == 200

    def test_another_version_is_refused_with_the_present_one(self, bob: Caller) -> None:
        agent = f"/agents/{bob.available()}"
        for stale in ('"1"', '"99"', '"abc"', '"99999999999999999999999"', '""'):
            response = bob.post(f"{agent}/heartbeat", HEARTBEAT, If_Match=stale)
            assert (response.status_code, body_of(response)["code"]) == (412, "version_mismatch")
            assert response["ETag"] == bob.get(agent)["ETag"]

    def test_a_weakened_etag_matches_no_version(self, bob: Caller) -> None:
        agent = bob.create()
        response = bob.post(f"/agents/{agent}/activate", If_Match='W/"1"')
        assert (response.status_code, body_of(response)["code"]) == (412, "version_mismatch")

    def test_a_star_matches_every_version(self, bob: Caller) -> None:
        agent = bob.create()
        assert bob.post(f"/agents/{agent}/activate", If_Match="*").status_code == 200

    @pytest.mark.parametrize("malformed", ["7", '"7', 'w/"1"', '"1", "2"', "", "é"])
    def test_what_is_no_etag_is_refused(self, bob: Caller, malformed: str) -> None:
        response = bob.post(f"/agents/{bob.create()}/activate", If_Match=malformed)
        assert response.status_code == 400
        assert body_of(response)["errors"][0]["header"] == "If-Match"

    def test_every_command_asks(self, bob: Caller) -> None:
        agent = f"/agents/{bob.busy('t-m')}"
        for method, path, body in [
            ("PATCH", "", {"name": "x"}),
            ("POST", "/activate", {}),
            ("POST", "/pause", {"reason": "x"}),
            ("POST", "/resume", {}),
            ("POST", "/terminate", {"reason": "x"}),
            ("POST", "/capabilities", {"name": "x", "proficiency_level": 1}),
            ("PATCH", "/capabilities/nlp", {"proficiency_level": 5}),
            ("POST", "/health-failures", {"reason": "x"}),
            ("POST", "/tasks", {"task_id": "t-n"}),
            ("POST", "/tasks/t-m/complete", {"execution_time_ms": 1}),
            ("POST", "/tasks/t-m/fail", {"error_message": "x"}),
        ]:
            response = bob.request(method, agent + path, body, If_Match='"1"')
            assert response.status_code == 412, path

    def test_is_asked_after_what_is_wrong_at_any_version_and_before_the_rules(
        self, bob: Caller
    ) -> None:
        agent = bob.create()
        path, wrong = f"/agents/{agent}/heartbeat", {**HEARTBEAT, "success_rate": 7}
        for stale, body, status in (
            ('"9"', wrong, 400),
            ('"9"', HEARTBEAT, 412),
            ('"1"', HEARTBEAT, 409),
        ):
            assert bob.post(path, body, If_Match=stale).status_code == status
            version = int(stale.strip('"'))
            order = {"command": "heartbeat", "agent_id": agent, "body": body}
            item = {**order, "if_version": version}
            assert bob.made(bob.post("/commands", [item]))[0]["status"] == status


class TestAsOf:
    def test_an_agent_stands_again_as_it_stood(self, bob: Caller) -> None:
        agent = f"/agents/{bob.create()}"
        created = body_of(bob.get(agent))
        activated = bob.made(bob.post(f"{agent}/activate"))
        bob.made(bob.post(f"{agent}/pause", {"reason": "x"}))
        assert body_of(bob.get(f"{agent}?version=1")) == created
        assert body_of(bob.get(f"{agent}?version=3"))["status"] == activated["status"]
        assert body_of(bob.get(f"{agent}?seq={created['seq']}")) == created
        assert bob.get(f"{agent}?seq={created['seq']}")["AgentMesh-Seq"] == str(created["seq"])
        assert body_of(bob.get(f"{agent}?seq={activated['seq']}")) == activated

    def test_a_moment_is_that_of_recording(self, bob: Caller) -> None:
        agent = f"/agents/{bob.create()}"
        created = body_of(bob.get(agent))
        bob.made(bob.post(f"{agent}/activate"))
        first = body_of(bob.get(f"{agent}/events"))["items"][0]
        assert body_of(bob.get(f"{agent}?at={first['recordedat']}")) == created

    def test_before_its_creation_there_was_none(self, bob: Caller) -> None:
        bob.create()
        agent = f"/agents/{bob.create()}"
        created = body_of(bob.get(agent))
        assert bob.get(f"{agent}?seq={created['seq'] - 1}").status_code == 404
        assert bob.get(f"{agent}?seq=0").status_code == 404
        assert bob.get(f"{agent}?at=2020-01-01T00:00:00Z").status_code == 404

    @pytest.mark.parametrize(
        "query",
        [
            *("version=99", "version=0", "seq=999999", "at=2999-01-01T00:00:00Z"),
            *("version=1&seq=1", "seq=1&at=2020-01-01T00:00:00Z", "version=x", "at=yesterday"),
            *("at=2020-01-01T00:00:00", "at=0000-01-01T00:00:00Z"),
            *("at=0001-01-01T00:00:00%2B14:00", "at=2020-02-30T00:00:00Z"),
        ],
    )
    def test_the_future_two_answers_and_nonsense_are_refused(self, bob: Caller, query: str) -> None:
        assert bob.get(f"/agents/{bob.create()}?{query}").status_code == 400

    def test_the_whole_fleet_stands_again(self, bob: Caller) -> None:
        ids = sorted(bob.create() for _ in range(4))
        then = body_of(bob.get("/agents"))["items"]
        seq = max(each["seq"] for each in then)
        moment = body_of(bob.get(f"/events?after={seq - 1}"))["items"][0]["recordedat"]
        for agent in ids[:3]:
            bob.made(bob.post(f"/agents/{agent}/activate"))
        bob.made(bob.post(f"/agents/{ids[0]}/terminate", {"reason": "x"}))
        bob.create()
        for as_of in (f"seq={seq}", f"at={moment}"):
            response = bob.get(f"/agents?{as_of}")
            assert body_of(response)["items"] == then
            assert response["AgentMesh-Seq"] == str(seq)
        assert body_of(bob.get(f"/agents?seq={seq}&status=AVAILABLE"))["items"] == []


def test_an_unchanged_agent_needs_no_body(bob: Caller) -> None:
    agent = f"/agents/{bob.create()}"
    response = bob.get(agent, If_None_Match=bob.get(agent)["ETag"])
    assert (response.status_code, response.content) == (304, b"")


def test_an_agent_works_under_its_own_token(people: People) -> None:
    agent = people.agent("robot-1")
    made = agent.made(agent.post("/agents", CREATION))
    assert made["agent_id"] == "robot-1"
    agent.made(agent.post("/agents/robot-1/activate"))
    agent.made(agent.post("/agents/robot-1/heartbeat", HEARTBEAT))
    people.bob.made(people.bob.post("/agents/robot-1/tasks", {"task_id": "t-r"}))
    agent.made(agent.post("/agents/robot-1/tasks/t-r/complete", {"execution_time_ms": 5}))
    events = body_of(agent.get("/events"))["items"]
    assert {event["actor"] for event in events} == {"agent:robot-1", "token:bob"}
    assert {event["subject"] for event in events} == {"robot-1"}


@pytest.mark.parametrize(
    ("end", "body"),
    [("complete", {"execution_time_ms": 1}), ("fail", {"error_message": "no"})],
)
def test_a_task_whose_claim_is_lost_says_what_the_operator_has_to_do(
    bob: Caller, end: str, body: dict[str, object]
) -> None:
    agent = bob.busy("t-1")
    TaskClaim.objects.filter(tenant=bob.tenant).delete()

    response = bob.post(f"/agents/{agent}/tasks/t-1/{end}", body)

    assert (response.status_code, body_of(response)["code"]) == (503, "unavailable")
    assert "manage.py rebuild agents" in body_of(response)["detail"]
