"""A bulk stores no payload in plain and shows it to whoever may read it, as single commands do."""

import json

from events.confidential import erase as erasing
from events.models import Event, IdempotencyKey, PayloadKey
from tests.api.conftest import Caller, body_of
from tests.confidential.conftest import BY, INPUT, RESULT, why

ORDERS = [
    {
        "command": "assign",
        "agent_id": "a-1",
        "idempotency_key": "k-1",
        "body": {"task_id": "t-1", "input": INPUT},
    },
    {
        "command": "complete",
        "agent_id": "a-1",
        "idempotency_key": "k-2",
        "body": {"task_id": "t-1", "result": RESULT, "execution_time_ms": 1},
    },
]


def test_payloads_are_sealed_with_one_key_and_answered_in_plain(acme: str, bob: Caller) -> None:
    told = bob.made(bob.post("/commands", ORDERS, Idempotency_Key="k"))

    assert told[0]["body"]["input"] == INPUT
    assert (told[1]["body"]["input"], told[1]["body"]["result"]) == (INPUT, RESULT)
    assert body_of(bob.get("/tasks/t-1")) == told[1]["body"]
    assert PayloadKey.objects.filter(tenant=acme).count() == 1
    kept = [row.body for row in IdempotencyKey.objects.filter(tenant=acme)]
    stored = [row.data for row in Event.objects.filter(tenant=acme)]
    assert len(kept) == 3
    for text in (*kept, *stored):
        assert "Ada" not in text
        assert "diagnosis" not in text


def test_answers_given_again_are_shown_as_they_may_be_read_now(acme: str, bob: Caller) -> None:
    first = bob.made(bob.post("/commands", ORDERS, Idempotency_Key="k"))
    whole = bob.post("/commands", ORDERS, Idempotency_Key="k")
    items = bob.made(bob.post("/commands", ORDERS))
    assert body_of(whole) == first
    assert items == [{**each, "replayed": True} for each in first]

    erasing.erase(acme, task_id="t-1", reason="x", by=BY)
    for told in (
        bob.made(bob.post("/commands", ORDERS)),
        body_of(bob.post("/commands", ORDERS, Idempotency_Key="k")),
    ):
        assert told[1]["body"]["result"] == why("erased")
        assert "Ada" not in json.dumps(told)


def test_an_input_for_an_erased_task_is_refused_alone(acme: str, bob: Caller) -> None:
    fail = {"task_id": "t-1", "error_message": "x"}
    bob.made(
        bob.post("/commands", [ORDERS[0], {"command": "fail", "agent_id": "a-1", "body": fail}])
    )
    erasing.erase(acme, task_id="t-1", reason="x", by=BY)
    again = {"task_id": "t-1", "input": INPUT}
    other = {"task_id": "t-2", "input": INPUT}
    told = bob.made(
        bob.post(
            "/commands",
            [{"command": "assign", "agent_id": "a-1", "body": body} for body in (again, other)],
        )
    )
    assert [each["status"] for each in told] == [409, 201]
    assert told[0]["error"]["rule"] == "task_erased"
