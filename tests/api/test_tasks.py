"""Lists of tasks: what a projection has made of the log, told as each task's own door tells it."""

import base64
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from events import tenant_settings
from events.bus import event_bus
from events.durable.catching_up import catch_up
from projections.api import door
from tests.api.conftest import SOMEBODY, Caller, People, body_of
from tests.api.test_idempotency import head

USAGE = {"input_tokens": 7, "output_tokens": 9}


def read_on(tenant: str) -> None:
    catch_up(event_bus.subscriptions["tasks"], tenant)


def work(bob: Caller, agent: str, task: str, **ending: Any) -> None:
    """Give the agent a task, and end it: with an error_message badly, else well."""
    bob.made(bob.post(f"/agents/{agent}/tasks", {"task_id": task, "input": {"of": task}}))
    verb = "fail" if "error_message" in ending else "complete"
    bob.made(bob.post(f"/agents/{agent}/tasks/{task}/{verb}", ending))


@pytest.fixture
def busy(bob: Caller) -> Caller:
    """Bob, in whose acme t-1 and t-2 went well on one-1, t-3 badly there and well on two-2, t-4
    badly on two-2, which works on t-5; and the projection has read all of it."""
    for agent in ("one-1", "two-2"):
        bob.available(agent)
    work(bob, "one-1", "t-1", execution_time_ms=1.5, result={"n": [1, 2.0]}, usage=USAGE)
    work(bob, "one-1", "t-2", execution_time_ms=3)
    work(bob, "one-1", "t-3", error_message="No.", error_code="E1")
    work(bob, "two-2", "t-4", error_message="No!")
    work(bob, "two-2", "t-3", execution_time_ms=4, result="late")
    bob.made(bob.post("/agents/two-2/tasks", {"task_id": "t-5", "input": None}))
    read_on(bob.tenant)
    return bob


def listed(caller: Caller, query: str = "", path: str = "/tasks") -> list[str]:
    return [each["task_id"] for each in caller.made(caller.get(f"{path}{query}"))["items"]]


def test_each_task_is_told_as_its_own_door_tells_it(busy: Caller) -> None:
    items = busy.made(busy.get("/tasks"))["items"]

    assert [each["task_id"] for each in items] == ["t-5", "t-3", "t-4", "t-2", "t-1"]
    for each in items:
        assert each == busy.made(busy.get(f"/tasks/{each['task_id']}"))
    assert [len(each["attempts"]) for each in items] == [1, 2, 1, 1, 1]


def test_a_list_reflects_what_the_projection_has_read_and_says_so(busy: Caller) -> None:
    read, before = head(busy), listed(busy)
    work(busy, "one-1", "t-6", execution_time_ms=1)

    assert listed(busy) == before
    assert busy.get("/tasks")["AgentMesh-Seq"] == str(read)
    read_on(busy.tenant)
    assert listed(busy) == ["t-6", *before]
    assert busy.get("/tasks")["AgentMesh-Seq"] == str(head(busy))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?status=completed", "t-3 t-2 t-1"),
        ("?status=failed,assigned", "t-5 t-4"),
        ("?agent=one-1", "t-2 t-1"),
        ("?agent=one*,two-2&status=completed", "t-3 t-2 t-1"),
        ("?agent=nobody", ""),
        ("?since=2999-01-01T00:00:00Z", ""),
        ("?until=2999-01-01T00:00:00Z", "t-5 t-3 t-4 t-2 t-1"),
    ],
)
def test_a_filter_finds_what_fits_and_nothing_else(busy: Caller, query: str, found: str) -> None:
    assert listed(busy, query) == found.split()


def test_since_and_until_are_the_moments_at_which_assignments_were_recorded(busy: Caller) -> None:
    query = "/events?types=AgentTaskAssignedEvent&limit=1000"
    moments = {
        each["data"]["task_id"]: each["recordedat"] for each in body_of(busy.get(query))["items"]
    }  # of t-3 the second one

    assert listed(busy, f"?since={moments['t-4']}&until={moments['t-5']}") == ["t-3", "t-4"]


def test_one_agents_tasks_are_those_that_it_was_given_last(busy: Caller) -> None:
    assert listed(busy, path="/agents/one-1/tasks") == ["t-2", "t-1"]
    assert listed(busy, "?status=failed", path="/agents/two-2/tasks") == ["t-4"]
    busy.create("new-1")
    assert listed(busy, path="/agents/new-1/tasks") == []


@pytest.mark.parametrize("path", ["/tasks", "/agents/two-2/tasks"])
def test_a_walk_sees_each_task_once(busy: Caller, path: str) -> None:
    whole, found, cursor = listed(busy, path=path), [], ""
    while True:
        page = busy.made(busy.get(f"{path}?limit=1{cursor}"))
        found += [each["task_id"] for each in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"

    assert found == whole


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        *(("cursor=x", "cursor"), ("cursor=WyJhIl0", "cursor"), ("cursor=WyItMSJd", "cursor")),
        *(("status=COMPLETED", "status"), ("status=", "status"), ("agent=a,,b", "agent")),
        *(("since=yesterday", "since"), ("limit=1001", "limit"), ("min_seq=-1", "min_seq")),
    ],
)
def test_a_wrong_parameter_is_named(busy: Caller, query: str, parameter: str) -> None:
    response = busy.get(f"/tasks?{query}")

    assert response.status_code == 400
    assert body_of(response)["errors"][0]["parameter"] == parameter


def test_one_agents_list_takes_no_agent(busy: Caller) -> None:
    assert busy.get("/agents/one-1/tasks?agent=two-2").status_code == 400


def test_a_seq_of_the_cursor_beyond_64_bits_is_none_that_was_given(busy: Caller) -> None:
    cursor = base64.urlsafe_b64encode(b'["9223372036854775808"]').decode().rstrip("=")

    assert busy.get(f"/tasks?cursor={cursor}").status_code == 400


def test_an_agent_sees_its_own_tasks_alone(people: People, busy: Caller) -> None:
    agent = people.agent("one-1")

    assert listed(agent) == listed(agent, "?agent=one-1") == ["t-2", "t-1"]
    assert listed(agent, "?agent=two-2") == []
    assert listed(agent, path="/agents/one-1/tasks") == ["t-2", "t-1"]
    there, nowhere = agent.get("/agents/two-2/tasks"), agent.get("/agents/nobody/tasks")
    assert (there.status_code, there.content) == (404, nowhere.content)


def test_mallory_finds_none_of_acmes_tasks_among_hers(people: People, busy: Caller) -> None:
    people.mallory.available("one-1")
    read_on(people.mallory.tenant)

    assert listed(people.mallory) == listed(people.mallory, "?agent=one-1") == []
    assert listed(people.mallory, path="/agents/one-1/tasks") == []
    assert people.mallory.get("/agents/two-2/tasks").status_code == 404


@pytest.fixture
def confidential(people: People, settings: Settings) -> People:
    settings.ENCRYPTION_KEYS = (bytes(range(32)),)
    tenant_settings.change_settings(people.bob.tenant, confidential_payloads=True, by=SOMEBODY)
    for agent in ("one-1", "two-2"):
        people.bob.available(agent)
        work(people.bob, agent, f"t-{agent}", execution_time_ms=1, result={"secret": 1})
    read_on(people.bob.tenant)
    return people


def payloads(caller: Caller) -> list[tuple[Any, Any]]:
    items = caller.made(caller.get("/tasks"))["items"]
    return [(each["input"], each["result"]) for each in items]


def test_confidential_payloads_are_for_those_who_may_read_them(confidential: People) -> None:
    sealed = {"$confidential": "sealed"}
    plain = [({"of": f"t-{agent}"}, {"secret": 1}) for agent in ("two-2", "one-1")]

    assert payloads(confidential.bob) == payloads(confidential.alice) == plain
    assert payloads(confidential.agent("one-1")) == plain[1:]
    assert payloads(confidential.carol) == [(sealed, sealed)] * 2


def test_an_erased_payload_is_gone_from_lists_at_once(confidential: People) -> None:
    erased = {"$confidential": "erased"}
    alice = confidential.alice
    alice.made(alice.post("/tasks/t-one-1/erase", {"reason": "Asked for."}))

    assert payloads(alice)[1] == (erased, erased)
    assert payloads(alice)[0][1] == {"secret": 1}


def test_whoever_read_waits_for_its_own_command(
    busy: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = {"task_id": "t-6"}
    seq = busy.post("/agents/one-1/tasks", task)["AgentMesh-Seq"]
    monkeypatch.setattr("projections.api.door.time.sleep", lambda _: read_on(busy.tenant))

    response = busy.get(f"/tasks?min_seq={seq}")

    assert response["AgentMesh-Seq"] == seq
    assert body_of(response)["items"][0]["task_id"] == "t-6"


@pytest.mark.parametrize("path", ["/tasks", "/agents/one-1/tasks"])
def test_what_takes_too_long_is_told_to_try_again(
    busy: Caller, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seq = busy.post("/agents/one-1/tasks", {"task_id": "t-6"})["AgentMesh-Seq"]
    monkeypatch.setattr(door, "WAIT_SECONDS", 0.1)

    response = busy.get(f"{path}?min_seq={seq}")

    assert (response.status_code, body_of(response)["code"]) == (503, "unavailable")
    assert response["Retry-After"] == "1"


def test_nobody_waits_for_what_is_beyond_the_head(busy: Caller) -> None:
    response = busy.get(f"/tasks?min_seq={head(busy) + 1}")

    assert response.status_code == 400
    assert body_of(response)["errors"][0]["parameter"] == "min_seq"


def test_whoever_waits_keeps_no_connection_from_those_who_command(
    busy: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    seq = busy.post("/agents/one-1/tasks", {"task_id": "t-6"})["AgentMesh-Seq"]
    monkeypatch.setattr(door, "WAIT_SECONDS", 0.1)
    kept: list[object] = []
    monkeypatch.setattr(
        "projections.api.door.time.sleep", lambda _: kept.append(connection.connection)
    )

    busy.get(f"/tasks?min_seq={seq}")

    assert kept
    assert set(kept) == {None}
