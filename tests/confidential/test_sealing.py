"""What payloads of a confidential tenant become on their way into the log."""

import json
import uuid
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis

from agents import command, services
from agents.domain.errors import InvalidCommand, RuleViolated
from agents.rebuild import compare
from events import tenant_settings
from events.confidential import erase as erasing
from events.confidential import reveal
from events.confidential.seal import Sealer
from events.log import postgresql, sqlite
from events.log.append import append
from events.log.verify import verify
from events.models import Event, PayloadKey
from events.vocabulary import AgentTaskAssignedEvent, AgentTaskCompletedEvent
from tests.api.conftest import Caller, People
from tests.confidential.conftest import (
    BY,
    INPUT,
    RESULT,
    assign,
    complete,
    counting,
    events_of,
    fail,
    keys,
    read,
    stored,
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
    tenant_settings.change_settings(acme, confidential_payloads=False, by=BY)
    complete(acme)
    assign(acme, "t-2")

    assert read(acme) == [INPUT, RESULT, INPUT]
    assert ["$confidential" in each for each in stored(acme)] == [True, False, False]


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
    assigned = AgentTaskAssignedEvent("a-1", task_id="t-1", input=INPUT)
    completed = AgentTaskCompletedEvent("a-1", task_id="t-1", result=RESULT)
    sealer.seal([assigned])  # of a command that was refused then: its row is not written
    first, made = sealer.seal([assigned, completed])
    sealer.keep(made)
    second, more = sealer.seal([completed])

    assert (len(made), len(more)) == (1, 0)
    named: list[Any] = [first[0].input, first[1].result, second[0].result]  # type: ignore[attr-defined]
    assert {each["$confidential"]["key"] for each in named} == {made[0].values["key_id"]}


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
