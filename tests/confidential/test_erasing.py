"""Erasure: keys destroyed together with the fact that says so, once, whatever runs beside it."""

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import connections

from agents.api.representation import task_json
from agents.domain.errors import RuleViolated
from agents.rebuild import compare
from agents.tasks import find
from events import tenants
from events.confidential import erase as erasing
from events.confidential import reveal, seal
from events.log.append import append
from events.log.errors import VersionConflict
from events.log.verify import verify
from events.models import Event, IdempotencyKey, PayloadKey
from events.tenants import Refused
from tests.api.conftest import Caller, People, body_of
from tests.confidential.conftest import (
    BY,
    INPUT,
    RESULT,
    assign,
    complete,
    erase,
    events_of,
    fail,
    keys,
    payload_in,
    read,
    why,
)
from tests.services.conftest import create


def facts(tenant: str) -> list[Any]:
    return [json.loads(row.data) for row in events_of(tenant, "PayloadErased")]


def test_a_task_is_erased_whoever_had_it(acme: str, alice: Caller) -> None:
    create(acme, "a-2")
    assign(acme)
    fail(acme)
    assign(acme, agent_id="a-2")
    complete(acme, agent_id="a-2")
    assign(acme, "t-2")

    response = alice.post("/tasks/t-1/erase", {"reason": "asked for"})

    (event,) = events_of(acme, "PayloadErased")
    assert alice.made(response) == {
        "agent_id": None,
        "task_id": "t-1",
        "erased": 2,
        "seq": event.seq,
    }
    assert response["AgentMesh-Seq"] == str(event.seq)
    (fact,) = facts(acme)
    assert (fact["agent_id"], fact["task_id"], fact["reason"]) == (None, "t-1", "asked for")
    assert (event.stream_type, event.stream_id, event.reason) == ("tenant", acme, "asked for")
    assert read(acme) == [why("erased")] * 3 + [INPUT]


def test_an_agent_is_erased_whatever_it_had_and_works_on(acme: str, alice: Caller) -> None:
    create(acme, "a-2")
    assign(acme, "t-1")
    complete(acme, "t-1")
    assign(acme, "t-2")
    assign(acme, "t-3", "a-2")

    answer = erase(alice, "/agents/a-1")

    assert (answer["agent_id"], answer["task_id"], answer["erased"]) == ("a-1", None, 2)
    complete(acme, "t-2")
    assign(acme, "t-4")
    assert read(acme) == [
        *[why("erased")] * 3,
        INPUT,
        why("erased"),  # the result of the task that the agent had in hand
        INPUT,
    ]


def test_what_is_erased_is_erased_everywhere_and_the_log_is_as_it_was(
    acme: str, people: People
) -> None:
    assign(acme)
    complete(acme)
    before = [(row.data, bytes(row.hash)) for row in events_of(acme)]
    erase(people.alice, "/tasks/t-1")

    assert [(row.data, bytes(row.hash)) for row in events_of(acme)] == before
    assert verify(acme).seq == Event.objects.filter(tenant=acme).count()
    assert list(compare(acme)[1]) == []
    for who in (people.alice, people.bob, people.carol, people.agent("a-1")):
        for path in ("/events", "/agents/a-1/events", "/tasks/t-1"):
            assert "Lovelace" not in who.get(path).content.decode()
        assert who.made(who.get("/tasks/t-1"))["input"] == why("erased")


def test_erasing_again_destroys_nothing_and_records_nothing(acme: str, alice: Caller) -> None:
    assign(acme)
    first = erase(alice, "/tasks/t-1")
    again = erase(alice, "/tasks/t-1", "asked again")
    by_agent = erase(alice, "/agents/a-1")

    assert (first["erased"], again["erased"], by_agent["erased"]) == (1, 0, 0)
    assert len(facts(acme)) == 1


def test_an_erasure_sent_again_under_its_key_gets_its_first_answer(
    acme: str, alice: Caller
) -> None:
    assign(acme)

    def send(reason: str = "asked for") -> Any:
        return alice.post("/tasks/t-1/erase", {"reason": reason}, Idempotency_Key="k")

    first, again = send(), send()

    assert first.content == again.content
    assert body_of(again)["erased"] == 1
    assert again["Idempotent-Replayed"] == "true"
    assert send("another").status_code == 422
    later = alice.post("/tasks/t-1/erase", {"reason": "x"}, Idempotency_Key="k2")
    kept = alice.post("/tasks/t-1/erase", {"reason": "x"}, Idempotency_Key="k2")
    assert later.content == kept.content
    assert body_of(kept)["erased"] == 0


def test_where_nothing_is_confidential_that_is_said(people: People) -> None:
    agent = people.bob.busy("t-1")
    for path in ("/tasks/t-1/erase", f"/agents/{agent}/erase"):
        response = people.alice.post(path, {"reason": "x"}, Idempotency_Key="k")
        problem = body_of(response)
        assert (response.status_code, problem["code"]) == (409, "rule_violated")
        assert problem["rule"] == "nothing_confidential"
    assert facts(people.alice.tenant) == []
    assert not IdempotencyKey.objects.filter(tenant=people.alice.tenant).exists()


@pytest.mark.parametrize("path", ["/tasks/t-1/erase", "/agents/a-1/erase"])
def test_an_erasure_has_a_reason(acme: str, alice: Caller, path: str) -> None:
    assign(acme)
    for body in ({}, {"reason": ""}, {"reason": " "}, {"reason": "x" * 1001}):
        response = alice.post(path, body)
        assert response.status_code == 400
        assert body_of(response)["errors"][0]["pointer"] == "/reason"
    assert read(acme) == [INPUT]


def test_who_may_not_erase_is_refused_and_that_is_recorded(acme: str, people: People) -> None:
    assign(acme)
    for who in (people.bob, people.carol, people.agent("a-1")):
        assert who.post("/tasks/t-1/erase", {"reason": "x"}).status_code == 403
    assert len(events_of(acme, "AccessDenied")) == 3
    assert read(acme) == [INPUT]


def test_mallory_erases_nothing_here(acme: str, people: People) -> None:
    assign(acme)
    for path in ("/tasks/t-1/erase", "/agents/a-1/erase"):
        theirs = people.mallory.post(f"/api/v1/tenants/{acme}{path}", {"reason": "x"})
        own = people.mallory.post(path, {"reason": "x"})  # the same names, in her own tenant
        assert (theirs.status_code, theirs.content) == (404, own.content)
    with pytest.raises(Refused):
        erasing.erase(people.mallory.tenant, task_id="t-1", reason="x", by=BY)
    assert read(acme) == [INPUT]


def test_the_fact_and_the_destruction_are_one(acme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assign(acme)

    def fails_late(*_: object, **__: object) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as broken:
        broken.setattr("events.bus.consult", fails_late)  # after the keys, before the fact
        with pytest.raises(RuntimeError):
            erasing.erase(acme, task_id="t-1", reason="x", by=BY)
    assert read(acme) == [INPUT]
    assert facts(acme) == []


def test_another_fact_that_is_first_is_no_hindrance(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assign(acme)

    def second(*_: Any, **__: Any) -> Any:
        monkeypatch.setattr(tenants, "append", append)
        raise VersionConflict(acme, acme, 1)

    monkeypatch.setattr(tenants, "append", second)

    assert erasing.erase(acme, task_id="t-1", reason="x", by=BY).erased == 1
    assert len(facts(acme)) == 1


def test_a_key_that_comes_while_they_are_counted_is_destroyed_and_counted(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assign(acme, "t-1")
    complete(acme, "t-1")
    record = tenants.record

    def late(*given: Any, **more: Any) -> Any:
        monkeypatch.setattr(tenants, "record", record)
        assign(acme, "t-2")
        return record(*given, **more)

    monkeypatch.setattr(tenants, "record", late)

    assert erasing.erase(acme, agent_id="a-1", reason="x", by=BY).erased == 2
    assert read(acme) == [why("erased")] * 3
    assert len(facts(acme)) == 1


def test_an_erasure_that_never_counts_right_is_refused(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assign(acme)
    monkeypatch.setattr(erasing, "_destroy", lambda _: 7)

    with pytest.raises(Refused, match="Try again") as refused:
        erasing.erase(acme, task_id="t-1", reason="x", by=BY)

    assert refused.value.code == "conflict"
    assert read(acme) == [INPUT]


def in_thread(work: Any) -> Any:
    try:
        return work()
    finally:
        connections.close_all()


def test_no_payload_slips_in_between_the_destruction_and_its_fact(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is assigned while an erasure runs stands after it in the log, with its key."""
    assign(acme, "t-1")
    complete(acme, "t-1")
    destroy = erasing._destroy
    beside = threading.Thread(target=in_thread, args=(partial(assign, acme, "t-2"),))

    def destroy_and_let_another_try(covered: Any) -> int:
        destroyed = destroy(covered)
        beside.start()
        beside.join(0.3)
        return destroyed

    monkeypatch.setattr(erasing, "_destroy", destroy_and_let_another_try)
    erasing.erase(acme, agent_id="a-1", reason="x", by=BY)
    beside.join(20)

    (erasure,) = events_of(acme, "PayloadErased")
    last = events_of(acme)[-1]
    assert last.seq > erasure.seq
    assert read(acme) == [why("erased"), why("erased"), INPUT]


def test_an_erasure_beside_an_assignment_elsewhere_leaves_the_task_without_a_key(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task failed on one agent, and is erased while another is being given it: what was decided
    before the erasure is decided again, and refused."""
    create(acme, "a-2")
    assign(acme)
    fail(acme)
    real = seal._standing
    found: list[erasing.Erasure] = []

    def then_somebody_erases(tenant: str, task_ids: Sequence[str]) -> Any:
        standing = real(tenant, task_ids)
        if not found:
            found.append(erasing.erase(tenant, task_id="t-1", reason="Asked to.", by=BY))
        return standing

    monkeypatch.setattr(seal, "_standing", then_somebody_erases)
    with pytest.raises(RuleViolated, match="were erased"):
        assign(acme, agent_id="a-2")

    assert [erasure.erased for erasure in found] == [1]
    left = PayloadKey.objects.filter(tenant=acme)
    assert [(key.agent_id, key.wrapped) for key in left] == [("a-1", None)]


def test_a_task_that_failed_is_given_to_another_agent_with_a_key_of_its_own(acme: str) -> None:
    create(acme, "a-2")
    assign(acme)
    fail(acme)

    assign(acme, agent_id="a-2")

    there = PayloadKey.objects.filter(tenant=acme, wrapped__isnull=False).order_by("agent_id")
    assert [key.agent_id for key in there] == ["a-1", "a-2"]


def test_erasing_an_agent_takes_nothing_from_another_that_has_its_task_now(acme: str) -> None:
    create(acme, "a-2")
    assign(acme)
    fail(acme)
    assign(acme, agent_id="a-2")

    erasing.erase(acme, agent_id="a-1", reason="x", by=BY)
    complete(acme, agent_id="a-2")

    task = find(acme, "t-1")
    (shown,) = reveal.of_tasks(acme, [task_json(task)], plain=True)
    assert (shown["input"], shown["result"]) == (INPUT, RESULT)


def test_erasures_beside_a_working_agent_leave_no_key_of_what_was_before(acme: str) -> None:
    def work() -> None:
        for number in range(14):
            assign(acme, f"t-{number}")
            complete(acme, f"t-{number}")

    def erase_now_and_then() -> int:
        done = 0
        while working.running():
            try:
                done += erasing.erase(acme, agent_id="a-1", reason="x", by=BY).erased
            except Refused as refused:
                assert refused.rule == "nothing_confidential"  # noqa: PT017
        return done

    with ThreadPoolExecutor(3) as pool:
        working = pool.submit(in_thread, work)
        erasers = [pool.submit(in_thread, erase_now_and_then) for _ in range(2)]
        working.result(60)
        destroyed = sum(each.result(60) for each in erasers)

    standing = keys(acme)
    assert sum(key.wrapped is None for key in standing) == destroyed
    erasures = [row.seq for row in events_of(acme, "PayloadErased")]
    assert erasures
    assert all(key.wrapped is None for key in standing if key.seq < erasures[-1])
    rows = events_of(acme)
    shown = reveal.of_rows(rows, plain=True)
    for row in rows:
        payload = payload_in(json.loads(shown.get(row.seq, row.data)))
        assert payload in (why("erased"), INPUT, RESULT)
        if row.seq < erasures[-1]:
            assert payload == why("erased")
    assert verify(acme).seq == Event.objects.filter(tenant=acme).count()


def test_of_two_erasures_at_once_one_destroys(acme: str) -> None:
    assign(acme)
    barrier = threading.Barrier(2)

    def erase_it() -> int:
        barrier.wait(10)
        return erasing.erase(acme, task_id="t-1", reason="x", by=BY).erased

    with ThreadPoolExecutor(2) as pool:
        counts = [pool.submit(in_thread, erase_it) for _ in range(2)]
        assert sorted(each.result(30) for each in counts) == [0, 1]
    assert len(facts(acme)) == 1
