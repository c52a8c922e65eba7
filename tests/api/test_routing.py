"""POST /tasks: a task finds its agent, and is told why where it finds none."""

from typing import Any

import pytest
from django.http import HttpResponse

from agents.domain.routing import CAPABILITY_WEIGHT, IDLE_WEIGHT, SUCCESS_WEIGHT
from events.tenant_settings import change_settings
from tests.api.conftest import SOMEBODY, Caller, People, body_of
from tests.api.test_cost import one_connection, statements
from tests.api.test_idempotency import head

__all__ = ["one_connection"]
NLP = [{"name": "nlp"}]
READS = 6  # the token, whether the task is taken, two of agents, and two as any assignment does


def sent(caller: Caller, task_id: str = "t-1", **asked: Any) -> HttpResponse:
    headers = {k: asked.pop(k) for k in list(asked) if k[0].isupper()}
    body = {"task_id": task_id, "required_capabilities": NLP, **asked}
    return caller.post("/tasks", body, **headers)


def refused(response: HttpResponse, code: str = "no_agent", status: int = 409) -> Any:
    body = body_of(response)
    assert (response.status_code, body["code"], body["status"]) == (status, code, status), body
    assert body["type"] == f"/problems/{code}"
    return body


def test_the_answer_is_the_task_with_its_score_and_what_that_is_made_of(bob: Caller) -> None:
    agent = bob.available()

    response = sent(bob, input={"file": "a.py"})

    body = body_of(response)
    assert response.status_code == 201
    assert response["Location"] == f"/api/v1/tenants/{bob.tenant}/tasks/t-1"
    assert int(response["AgentMesh-Seq"]) == head(bob)
    score, factors = body.pop("score"), body.pop("factors")
    assert body == bob.made(bob.get("/tasks/t-1"))
    assert (body["agent_id"], body["input"]) == (agent, {"file": "a.py"})
    assert set(factors) == {"capability", "success", "idle"}
    weights = [factors[name]["weight"] for name in ("capability", "success", "idle")]
    assert weights == [CAPABILITY_WEIGHT, SUCCESS_WEIGHT, IDLE_WEIGHT]
    assert sum(weights) == 1
    assert score == pytest.approx(
        sum(each["value"] * each["weight"] for each in factors.values()), abs=2e-6
    )
    assert factors["capability"]["value"] == 0.6
    assert factors["success"]["value"] == 0.8
    assert factors["idle"]["seconds"] >= 0


def test_it_is_recorded_as_any_assignment_is(bob: Caller) -> None:
    agent = bob.available()
    sent(bob, X_Correlation_Id="c-1")

    events = bob.made(bob.get("/events?types=AgentTaskAssignedEvent"))["items"]

    (event,) = events
    assert (event["subject"], event["actor"], event["correlationid"]) == (agent, "token:bob", "c-1")


def test_a_preference_is_kept_where_it_can_be_and_the_answer_says_whether(bob: Caller) -> None:
    for agent_id, tags in (("a-1", []), ("a-2", ["eu"]), ("a-3", [])):
        bob.available(agent_id, tags=tags)

    first = bob.made(sent(bob, "t-1", prefer={"tags": ["eu"]}))
    second = bob.made(sent(bob, "t-2", prefer={"agent_id": "a-2"}))
    third = bob.made(sent(bob, "t-3", prefer={}))

    assert (first["agent_id"], first["preferred"]) == ("a-2", True)
    assert second["preferred"] is False
    assert "preferred" not in third


def test_a_confidential_input_is_answered_as_its_reader_may_see_it(
    bob: Caller, settings: Any
) -> None:
    settings.ENCRYPTION_KEYS = (bytes(range(32)),)
    change_settings(bob.tenant, confidential_payloads=True, by=SOMEBODY)
    bob.available()

    body = bob.made(sent(bob, input={"patient": "Ada"}, Idempotency_Key="k"))
    again = bob.made(sent(bob, input={"patient": "Ada"}, Idempotency_Key="k"))

    assert body == again
    assert body["input"] == bob.made(bob.get("/tasks/t-1"))["input"]


class TestNoAgent:
    def test_says_which_capability_is_missing_and_where_it_was_asked_for(self, bob: Caller) -> None:
        bob.available("secret-name")
        wanted = [{"name": "nlp", "min_level": 4}, {"name": "law"}]

        body = refused(sent(bob, required_capabilities=wanted))

        assert body["detail"].startswith("No agent has nlp at level 4 or more. 1 agent has it")
        assert [each["pointer"] for each in body["errors"]] == [
            "/required_capabilities/0",
            "/required_capabilities/1",
        ]
        low, missing = body["reasons"]
        assert low.pop("detail")
        assert missing.pop("detail")
        assert low == {
            "code": "capability",
            "agents": 1,
            "capability": "nlp",
            "min_level": 4,
            "best_level": 3,
        }
        assert missing == {
            "code": "capability",
            "agents": 0,
            "capability": "law",
            "min_level": 1,
            "best_level": None,
        }
        assert "secret-name" not in str(body)

    def test_counts_those_that_could_and_names_none(self, bob: Caller) -> None:
        for number in range(3):
            bob.busy(f"o-{number}")
        bob.made(bob.post(f"/agents/{bob.available()}/pause", {"reason": "x"}))

        body = refused(sent(bob))

        assert body["detail"].startswith("3 that could are BUSY. 1 that could is PAUSED.")
        assert [(each["code"], each["agents"]) for each in body["reasons"]] == [
            ("busy", 3),
            ("paused", 1),
        ]
        assert "errors" not in body
        assert "a-" not in str(body)

    def test_is_what_a_tenant_without_agents_is_told(self, bob: Caller, mallory: Caller) -> None:
        mallory.available()

        assert refused(sent(bob))["reasons"][0]["code"] == "no_agents"

    def test_is_forgotten_by_the_key_so_that_the_same_request_may_succeed_later(
        self, bob: Caller
    ) -> None:
        refused(sent(bob, Idempotency_Key="k"))
        bob.available()

        assert sent(bob, Idempotency_Key="k").status_code == 201


class TestATaskThatIsTaken:
    def test_is_refused_as_by_direct_assignment_even_when_no_agent_is_free(
        self, bob: Caller
    ) -> None:
        holder = bob.busy("t-1")
        other = bob.available()
        direct = bob.post(f"/agents/{other}/tasks", {"task_id": "t-1"})
        bob.made(bob.post(f"/agents/{other}/pause", {"reason": "x"}))

        routed = sent(bob)

        assert (routed.status_code, routed.content) == (direct.status_code, direct.content)
        assert refused(routed, "rule_violated")["rule"] == "task_held"
        bob.made(bob.post(f"/agents/{holder}/tasks/t-1/complete", {"execution_time_ms": 1}))
        assert refused(sent(bob), "rule_violated")["rule"] == "task_completed"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"task_id": None}, "/task_id"),
        ({"task_id": "no good"}, "/task_id"),
        ({"required_capabilities": None}, "/required_capabilities"),
        ({"required_capabilities": []}, "/required_capabilities"),
        ({"required_capabilities": {}}, "/required_capabilities"),
        ({"required_capabilities": ["nlp"]}, "/required_capabilities/0"),
        ({"required_capabilities": [{}]}, "/required_capabilities/0/name"),
        ({"required_capabilities": [{"name": 'a"b'}]}, "/required_capabilities/0/name"),
        ({"required_capabilities": NLP * 2}, "/required_capabilities/1/name"),
        (
            {"required_capabilities": [{"name": f"c{n}"} for n in range(21)]},
            "/required_capabilities",
        ),
        (
            {"required_capabilities": [{"name": "nlp", "min_level": 6}]},
            "/required_capabilities/0/min_level",
        ),
        (
            {"required_capabilities": [{"name": "nlp", "min_level": "3"}]},
            "/required_capabilities/0/min_level",
        ),
        (
            {"required_capabilities": [{"name": "nlp", "level": 3}]},
            "/required_capabilities/0/level",
        ),
        ({"input": {"$confidential": "x"}}, "/input"),
        ({"prefer": "cheapest"}, "/prefer"),
        ({"prefer": {"speed": 1}}, "/prefer/speed"),
        ({"prefer": {"agent_id": "a b"}}, "/prefer/agent_id"),
        ({"prefer": {"tags": ["a*"]}}, "/prefer/tags/0"),
        ({"agent_id": "a-1"}, "/agent_id"),
    ],
    ids=str,
)
def test_a_wrong_body_is_400_and_points_at_what_is_wrong(
    bob: Caller, change: dict[str, Any], pointer: str
) -> None:
    bob.available()
    before = head(bob)

    body = refused(sent(bob, **change), "invalid", 400)

    assert body["errors"][0]["pointer"] == pointer
    assert head(bob) == before


def test_a_payload_beyond_its_limit_is_413(bob: Caller) -> None:
    refused(sent(bob, input="x" * 70_000), "too_large", 413)


def test_an_auditor_and_an_agent_may_list_tasks_and_route_none(people: People) -> None:
    agent = people.agent(people.bob.available())

    for caller in (people.carol, agent):
        assert caller.get("/tasks").status_code == 200
        refused(sent(caller), "forbidden", 403)
        refused(caller.post("/tasks", {"nonsense": 1}), "forbidden", 403)


def test_mallory_routes_nothing_in_acme(people: People) -> None:
    people.bob.available()
    path = f"/api/v1/tenants/{people.bob.tenant}/tasks"
    body = {"task_id": "t-1", "required_capabilities": NLP}

    there = people.mallory.post(path, body)
    nowhere = people.mallory.post("/api/v1/tenants/no-such-tenant/tasks", body)

    assert (there.status_code, there.content) == (404, nowhere.content)
    assert people.bob.get("/tasks/t-1").status_code == 404


def test_the_same_key_is_the_same_agent_and_the_same_answer(bob: Caller) -> None:
    for _ in range(3):
        bob.available()

    first = sent(bob, Idempotency_Key="k")
    again = sent(bob, Idempotency_Key="k")
    other = sent(bob, input=1, Idempotency_Key="k")

    assert (again.status_code, again.content) == (201, first.content)
    assert again["Idempotent-Replayed"] == "true"
    assert other.status_code == 422


@pytest.mark.parametrize("count", [1, 30])
def test_it_costs_the_same_however_many_agents_there_are(bob: Caller, count: int) -> None:
    for _ in range(count):
        bob.available()
    with statements() as seen:
        assert sent(bob).status_code == 201
    reads = [sql.partition(" FROM ")[2] for sql in seen if sql.startswith("SELECT")]
    # The ranking, and the agent that it names.
    assert sum("agents_currentagent" in each for each in reads) == 2
    assert len(reads) == READS
