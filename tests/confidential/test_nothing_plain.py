"""No table, no log line, no answer that is kept and no subscriber has a payload in plain."""

import json
import logging
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from agents import command, services, tasks
from events import bus
from events.confidential import erase as erasing
from events.confidential import reveal
from events.models import IdempotencyKey
from events.vocabulary import AgentTaskAssignedEvent
from tests.api.conftest import Caller
from tests.confidential.conftest import (
    BY,
    INPUT,
    RESULT,
    assign,
    complete,
    keys,
    stored,
    why,
)

ON_SQLITE = connection.vendor == "sqlite"


def everything_stored() -> str:
    """Every byte that the database keeps: its files, or the rows of every table."""
    with connection.cursor() as cursor:
        if ON_SQLITE:
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


def test_a_destroyed_key_leaves_nothing_in_its_table(acme: str) -> None:
    assign(acme)
    wrapped = bytes(keys(acme)[0].wrapped or b"")
    in_the_database = wrapped.decode("latin-1") if ON_SQLITE else wrapped.hex()
    assert in_the_database in everything_stored()

    erasing.erase(acme, task_id="t-1", reason="x", by=BY)

    if ON_SQLITE:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    left = everything_stored()
    piece = 8 if ON_SQLITE else 16  # of 40 bytes, or of twice as many digits
    places = range(len(in_the_database) - piece + 1)
    assert not any(in_the_database[place : place + piece] in left for place in places)


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
