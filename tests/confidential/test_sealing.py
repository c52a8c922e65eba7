"""What payloads of a confidential tenant become on the way into the log; nothing plain remains."""

import json
import logging
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from pytest_django.fixtures import Settings

from agents import command, current, services, tasks
from agents.domain.errors import InvalidCommand, PayloadTooLarge, RuleViolated
from agents.rebuild import compare
from events import bus, tenants
from events.confidential import erase as erasing
from events.confidential import reveal
from events.confidential.seal import CannotSeal, Sealer
from events.log import postgresql, sqlite
from events.log.append import append
from events.log.verify import verify
from events.models import Event, IdempotencyKey, PayloadKey
from events.vocabulary import AgentTaskAssignedEvent, AgentTaskCompletedEvent
from tests.api.conftest import Caller, People
from tests.confidential.conftest import (
    BY,
    INPUT,
    KEK,
    OTHER_KEK,
    RESULT,
    assign,
    complete,
    counting,
    events_of,
    fail,
    keys,
    read,
    stored,
    why,
)
from tests.confidential.test_form import JSON_VALUES
from tests.services.conftest import create


def test_input_and_result_are_sealed_and_come_back(acme: str) -> None:
    assign(acme)
    complete(acme)

    for payload in stored(acme):
        assert set(payload["$confidential"]) == {"v", "key", "nonce", "ciphertext"}
    assert read(acme) == [INPUT, RESULT]


def test_a_revealed_event_has_to_the_byte_the_data_it_would_have_had(
    acme: str, mallory: Caller
) -> None:
    payload = {"ü": [1.0, -0.0, 10**18, "\u2028", {"": None}], "a": 1e-7}
    create(mallory.tenant)
    for tenant in (acme, mallory.tenant):
        assign(tenant, input=payload)
    (sealed,), (plain,) = events_of(acme), events_of(mallory.tenant)

    shown = reveal.of_rows([sealed], plain=True)[sealed.seq]

    def timeless(data: str, row: Event) -> str:
        return data.replace(json.loads(row.data)["assigned_at"], "now")

    assert timeless(shown, sealed) == timeless(plain.data, plain)


@hypothesis(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=JSON_VALUES.filter(lambda value: value is not None))
def test_whatever_a_result_is_its_reader_gets_it(acme: str, value: Any) -> None:
    task_id = f"t-{uuid.uuid4().hex}"
    fact = AgentTaskCompletedEvent("a-1", task_id=task_id, result=value)

    (sealed,), rows = Sealer(acme).seal([fact])

    PayloadKey.objects.create(**rows[0].key, **rows[0].values, seq=1)
    thing = {"agent_id": "a-1", "task_id": task_id, "result": sealed.result}  # type: ignore[attr-defined]
    (shown,) = reveal.of_tasks(acme, [thing], plain=True)
    assert json.dumps(shown["result"]) == json.dumps(value)


def test_a_task_and_an_agent_have_one_key_from_the_first_payload_on(acme: str) -> None:
    create(acme, "a-2")
    assign(acme, "t-1")
    fail(acme, "t-1")
    assign(acme, "t-1", "a-2")
    complete(acme, "t-1", "a-2")
    assign(acme, "t-2", input=None)
    complete(acme, "t-2")

    assert [(key.task_id, key.agent_id) for key in keys(acme)] == [
        ("t-1", "a-1"),
        ("t-1", "a-2"),
        ("t-2", "a-1"),
    ]
    assert read(acme) == [INPUT, INPUT, RESULT, None, RESULT]
    made_with = {key.seq: key.task_id for key in keys(acme)}
    assert all(Event.objects.filter(tenant=acme, seq=seq).exists() for seq in made_with)


def test_null_needs_no_key(acme: str) -> None:
    assign(acme, input=None)
    complete(acme, result=None)

    assert stored(acme) == [None, None]
    assert keys(acme) == []


@pytest.mark.parametrize("payload", [0, False, "", [], {}])
def test_what_is_empty_is_sealed_all_the_same(acme: str, payload: Any) -> None:
    assign(acme, input=payload)

    assert "$confidential" in stored(acme)[0]
    assert read(acme) == [payload]


def test_another_tenant_stores_as_ever_and_makes_no_key(acme: str, mallory: Caller) -> None:
    create(mallory.tenant)
    assign(mallory.tenant)
    complete(mallory.tenant)

    assert stored(mallory.tenant) == [INPUT, RESULT]
    assert keys(mallory.tenant) == []


def test_only_payloads_cost_a_query_and_they_cost_one(acme: str) -> None:
    to: Any = {"tenant": acme, "agent_id": "a-1", "by": BY}
    with counting() as seen:
        services.pause_agent(reason="lunch", **to)
        services.resume_agent(**to)
        assign(acme, "t-1", input=None)
        fail(acme, "t-1")
    assert seen == []
    for deed in (assign, complete):
        with counting() as seen:
            deed(acme, "t-2")
        assert len(seen) == 1


def test_off_means_new_payloads_alone(acme: str) -> None:
    assign(acme)
    tenants.change_settings(acme, confidential_payloads=False, by=BY)
    complete(acme)
    assign(acme, "t-2")

    assert read(acme) == [INPUT, RESULT, INPUT]
    assert ["$confidential" in each for each in stored(acme)] == [True, False, False]


# --- nothing plain anywhere -------------------------------------------------------------------


def everything_stored() -> str:
    """Every byte that the database keeps: its files, or the rows of every table."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            name = connection.settings_dict["NAME"]
            return "".join(
                path.read_bytes().decode("latin-1")
                for path in (Path(name), Path(f"{name}-wal"))
                if path.exists()
            )
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        found = []
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM "{table}" AS t')
            found += [row[0] for row in cursor.fetchall()]
        return "\n".join(found)


def test_no_table_and_no_log_holds_a_payload(
    acme: str, bob: Caller, alice: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    canary, kept = f"canary-{uuid.uuid4().hex}", f"kept-{uuid.uuid4().hex}"
    body = {"task_id": "t-1", "input": {"secret": canary, "note": [canary]}}
    bob.made(bob.post("/agents/a-1/tasks", body, Idempotency_Key="k1"))
    bob.made(bob.post("/agents/a-1/tasks/t-1/fail", {"error_message": kept}, Idempotency_Key="k2"))
    bob.made(bob.post("/agents/a-1/tasks", body, Idempotency_Key="k3"))
    end = {"result": canary, "execution_time_ms": 1}
    bob.made(bob.post("/agents/a-1/tasks/t-1/complete", end, Idempotency_Key="k4"))
    for path in ("/events", "/tasks/t-1", "/agents/a-1/events"):
        assert canary in bob.get(path).content.decode()
    bob.post("/agents/a-1/tasks", {**body, "task_id": "no such id"})
    alice.made(alice.post("/tasks/t-1/erase", {"reason": kept}))

    bytes_stored = everything_stored()

    assert kept in bytes_stored  # so a canary would be found
    assert canary not in bytes_stored
    assert canary not in caplog.text


def test_a_search_does_not_find_what_is_sealed(acme: str, bob: Caller) -> None:
    assign(acme)

    assert bob.made(bob.get("/events?q=lovelace"))["items"] == []
    assert len(bob.made(bob.get("/events?q=t-1"))["items"]) == 1


def test_a_kept_answer_holds_the_sealed_form_and_a_keyed_fingerprint(
    acme: str, bob: Caller, settings: Settings
) -> None:
    body = {"task_id": "t-1", "input": INPUT}
    first = bob.post("/agents/a-1/tasks", body, Idempotency_Key="k")
    row = IdempotencyKey.objects.get(tenant=acme)

    assert json.loads(first.content)["input"] == INPUT
    assert json.loads(row.body)["input"] == stored(acme)[0]
    # Who has the database alone cannot try what the body may have been.
    settings.SECRET_KEY = "another" * 10
    assert bob.post("/agents/a-1/tasks", body, Idempotency_Key="k").status_code == 422


def test_subscribers_get_the_sealed_form_and_those_who_may_reveal_it(acme: str) -> None:
    heard: list[Any] = []
    here = bus.InMemoryEventBus()
    here.subscribe("AgentTask*", heard.append, name=f"here-{acme}")
    assign(acme)
    complete(acme)

    mine = [event for event in heard if event.envelope.tenant == acme]
    assert "$confidential" in mine[0].input
    assert "$confidential" in mine[1].result
    revealed = [reveal.of_event(event) for event in mine]
    assert (revealed[0].input, revealed[1].result) == (INPUT, RESULT)
    assert revealed[0].envelope == mine[0].envelope
    erasing.erase(acme, task_id="t-1", reason="x", by=BY)
    assert reveal.of_event(mine[0]).input == why("erased")
    # Without a payload, or without a place in a log, there is nothing to reveal.
    alone = AgentTaskAssignedEvent("a-1", task_id="t-1", input=mine[0].input)
    assert reveal.of_event(alone) is alone


def test_what_python_gets_back_is_sealed_too(acme: str) -> None:
    outcome = services.assign_task(tenant=acme, agent_id="a-1", task_id="t-1", input=INPUT, by=BY)

    assert outcome.facts[0].input == stored(acme)[0]  # type: ignore[attr-defined]
    assert tasks.find(acme, "t-1").input == stored(acme)[0]


def test_one_place_in_the_room_makes_proposals() -> None:
    """So nothing plain gets past the line in it that seals."""
    room = Path(command.__file__).parent
    proposing = [
        str(path.relative_to(room))
        for path in room.rglob("*.py")
        if "Proposal(" in path.read_text()
    ]

    assert proposing == ["command.py"]


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("forged", [{"$confidential": "erased"}, {"$confidential": {}, "a": 1}])
def test_nobody_forges_a_sealed_payload(mallory: Caller, forged: Any) -> None:
    agent = mallory.available()
    assigned = mallory.post(f"/agents/{agent}/tasks", {"task_id": "t-1", "input": forged})
    mallory.made(mallory.post(f"/agents/{agent}/tasks", {"task_id": "t-1"}))
    body = {"execution_time_ms": 1, "result": forged}
    completed = mallory.post(f"/agents/{agent}/tasks/t-1/complete", body)

    for response, field in ((assigned, "input"), (completed, "result")):
        assert response.status_code == 400
        (error,) = json.loads(response.content)["errors"]
        assert error["pointer"] == f"/{field}"
        assert "$confidential" in error["detail"]


def test_the_mark_deeper_inside_is_a_payload_like_any_other(acme: str, mallory: Caller) -> None:
    payload = {"a": {"$confidential": "erased"}}
    create(mallory.tenant)
    for tenant in (acme, mallory.tenant):
        assign(tenant, input=payload)
        assert read(tenant) == [payload]


def test_the_limit_counts_what_was_sent_and_not_what_is_stored(acme: str) -> None:
    most = "x" * (64 * 1024 - 2)
    assign(acme, input=most)
    assert len(events_of(acme)[0].data) > 64 * 1024

    with pytest.raises(PayloadTooLarge):
        complete(acme, result=most + "x")
    complete(acme, result=most)

    assert read(acme) == [most, most]


def test_without_a_key_a_payload_is_refused_and_never_stored_plain(
    acme: str, bob: Caller, settings: Settings
) -> None:
    settings.ENCRYPTION_KEYS = ()
    before = current.load(acme, "a-1").version

    response = bob.post("/agents/a-1/tasks", {"task_id": "t-1", "input": INPUT})

    assert response.status_code == 503
    problem = json.loads(response.content)
    assert problem["code"] == "unavailable"
    assert "AGENTMESH_ENCRYPTION_KEYS" in problem["detail"]
    assert response["Retry-After"]
    assert current.load(acme, "a-1").version == before
    assign(acme, input=None)  # what needs no key goes on
    with pytest.raises(CannotSeal):
        complete(acme)
    complete(acme, result=None)


def test_a_page_says_so_too(acme: str, settings: Settings, admin_of_acme: Client) -> None:
    settings.ENCRYPTION_KEYS = ()
    path = f"/admin/t/{acme}/agents/a-1/assign/"

    response = admin_of_acme.post(path, {"task_id": "t-1", "input": '{"a": 1}'})

    assert response.status_code == 503
    assert "AGENTMESH_ENCRYPTION_KEYS" in response.content.decode()


def test_a_key_that_is_locked_or_damaged_seals_nothing(acme: str, settings: Settings) -> None:
    assign(acme)
    settings.ENCRYPTION_KEYS = (OTHER_KEK,)
    with pytest.raises(CannotSeal, match="630dcd2966c43366"):
        complete(acme)
    settings.ENCRYPTION_KEYS = (KEK,)
    PayloadKey.objects.filter(tenant=acme).update(wrapped=b"x" * 40)
    with pytest.raises(CannotSeal, match="damaged"):
        complete(acme)

    complete(acme, result=None)


# --- erased before ------------------------------------------------------------------------------


def test_a_result_that_comes_after_the_erasure_is_kept_as_erased(acme: str) -> None:
    assign(acme)
    erasing.erase(acme, task_id="t-1", reason="x", by=BY)
    complete(acme)

    assert stored(acme)[1] == why("erased")
    assert read(acme) == [why("erased")] * 2
    assert [key.wrapped for key in keys(acme)] == [None]


def test_a_result_whose_erasure_overtakes_it_opens_for_nobody(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assign(acme)

    def erase_first(*given: Any, **more: Any) -> Any:
        monkeypatch.setattr(command, "append", append)
        erasing.erase(acme, task_id="t-1", reason="x", by=BY)
        return append(*given, **more)

    monkeypatch.setattr(command, "append", erase_first)
    complete(acme)

    assert read(acme) == [why("erased")] * 2


@pytest.mark.parametrize("confidential", [True, False])
@pytest.mark.parametrize("agent_id", ["a-1", "a-2"])
def test_an_erased_task_is_given_no_new_input(acme: str, agent_id: str, confidential: bool) -> None:
    create(acme, "a-2")
    assign(acme)
    fail(acme)
    erasing.erase(acme, task_id="t-1", reason="x", by=BY)
    tenants.change_settings(acme, confidential_payloads=confidential, by=BY)

    with pytest.raises(RuleViolated, match="Use a new task_id") as refused:
        assign(acme, agent_id=agent_id)
    assert refused.value.rule == "task_erased"

    assign(acme, agent_id=agent_id, input=None)
    complete(acme, agent_id=agent_id)
    assert stored(acme)[1:] == [None, why("erased")]


# --- together, or not at all --------------------------------------------------------------------


def test_a_crash_leaves_neither_the_events_nor_the_key(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = postgresql if connection.vendor == "postgresql" else sqlite

    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as broken:
        broken.setattr(engine, "append_one", breaks)
        with pytest.raises(RuntimeError):
            assign(acme)
    assert (stored(acme), keys(acme)) == ([], [])


def test_a_refused_command_leaves_no_key(acme: str) -> None:
    create(acme, "a-2")
    assign(acme)
    for task_id, agent_id in (("t-2", "a-1"), ("t-1", "a-2")):
        with pytest.raises(RuleViolated):
            assign(acme, task_id, agent_id)

    assert len(keys(acme)) == 1


def test_a_command_that_is_overtaken_seals_again(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def beat_first(*given: Any, **more: Any) -> Any:
        monkeypatch.setattr(command, "append", append)
        services.add_capability(tenant=acme, agent_id="a-1", name="x", proficiency_level=1, by=BY)
        return append(*given, **more)

    monkeypatch.setattr(command, "append", beat_first)
    assign(acme)

    assert read(acme) == [INPUT]
    assert len(keys(acme)) == 1


def test_a_bulk_that_assigns_and_completes_makes_one_key(acme: str) -> None:
    sealer = Sealer(acme)
    first, made = sealer.seal([AgentTaskAssignedEvent("a-1", task_id="t-1", input=INPUT)])
    second, more = sealer.seal([AgentTaskCompletedEvent("a-1", task_id="t-1", result=RESULT)])

    assert (len(made), len(more)) == (1, 0)
    named = [first[0].input, second[0].result]  # type: ignore[attr-defined]
    assert len({each["$confidential"]["key"] for each in named}) == 1


def test_the_log_of_a_confidential_tenant_is_whole_and_its_rows_are_as_it_tells(
    acme: str, people: People
) -> None:
    assign(acme)
    fail(acme)
    assign(acme)
    complete(acme)
    erasing.erase(acme, agent_id="a-1", reason="x", by=BY)
    assign(acme, "t-2")

    assert verify(acme).seq == Event.objects.filter(tenant=acme).count()
    assert list(compare(acme)[1]) == []


def test_the_shape_of_a_command_is_checked_before_anything_is_sealed(acme: str) -> None:
    with counting() as seen, pytest.raises(InvalidCommand):
        assign(acme, input={"a": float("nan")})
    assert seen == []
