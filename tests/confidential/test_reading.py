"""Who reads a sealed payload, and what stands in its place for everybody else, at every door."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from events.confidential import erase as erasing
from events.confidential import form, keys, reveal
from events.confidential.form import Place
from events.models import Event, PayloadKey
from tests.api.conftest import Caller, People, body_of
from tests.confidential.conftest import (
    BY,
    INPUT,
    KEK,
    OTHER_KEK,
    RESULT,
    assign,
    browser,
    complete,
    counting,
    erase,
    events_of,
    payload_in,
    stored,
    why,
)
from tests.services.conftest import create

ROLES = ("admin", "operator", "auditor", "agent")
READERS = ("admin", "operator", "agent")


def caller(people: People, role: str) -> Caller:
    if role == "agent":
        return people.agent("a-1")
    return {"admin": people.alice, "operator": people.bob, "auditor": people.carol}[role]


def nothing(_: str, __: Settings) -> None:
    pass


def erased(tenant: str, _: Settings) -> None:
    erasing.erase(tenant, task_id="t-1", reason="x", by=BY)


def missing(tenant: str, _: Settings) -> None:
    PayloadKey.objects.filter(tenant=tenant).delete()


def locked(_: str, settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = (OTHER_KEK,)


def without_any_key(_: str, settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = ()


def rotated(_: str, settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = (OTHER_KEK, KEK)


def damaged(tenant: str, _: Settings) -> None:
    PayloadKey.objects.filter(tenant=tenant).update(wrapped=b"x" * 40)


def of_another_task(tenant: str, _: Settings) -> None:
    """Whoever owns the database puts another key there, rightly wrapped."""
    PayloadKey.objects.filter(tenant=tenant).update(wrapped=form.wrap(b"k" * 32, KEK))


# What became of the key → what readers see, what auditors see; None is the payload itself.
STATES: dict[Callable[[str, Settings], None], tuple[str | None, str]] = {
    nothing: (None, "sealed"),
    rotated: (None, "sealed"),
    erased: ("erased", "erased"),
    missing: ("missing", "missing"),
    locked: ("locked", "sealed"),
    without_any_key: ("locked", "sealed"),
    damaged: ("unreadable", "sealed"),
    of_another_task: ("unreadable", "sealed"),
}


def seen_by(who: Caller) -> list[Any]:
    """Input and result as each door of the API shows them."""
    log = [
        payload_in(each["data"]) for each in who.made(who.get("/events?types=AgentTask*"))["items"]
    ]
    own = who.made(who.get("/agents/a-1/events?types=AgentTask*&schema=1.0"))["items"]
    last = who.made(who.get(f"/events/{own[-1]['id']}"))["data"]["result"]
    task = who.made(who.get("/tasks/t-1"))
    assert [payload_in(each["data"]) for each in own] == log
    assert [task["input"], task["result"]] == log
    assert last == log[1]
    return log


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_each_role_sees_what_its_role_and_the_key_allow(
    acme: str, people: People, settings: Settings, state: Callable[[str, Settings], None]
) -> None:
    assign(acme)
    complete(acme)
    in_the_log = stored(acme)
    state(acme, settings)

    for role in ROLES:
        reason = STATES[state][role not in READERS]
        found = seen_by(caller(people, role))
        assert found == ([INPUT, RESULT] if reason is None else [why(reason)] * 2), role
    assert stored(acme) == in_the_log


def test_the_stored_bytes_are_sealed_for_everybody_and_their_hash_fits(
    acme: str, people: People
) -> None:
    assign(acme)
    row = events_of(acme)[0]

    for role in ROLES:
        who = caller(people, role)
        item = who.made(who.get(f"/events/{row.event_id}?schema=stored"))
        shown = who.made(who.get(f"/events/{row.event_id}"))
        assert msgspec.json.encode(item["data"]).decode() == row.data
        assert item["hash"] == shown["hash"] == bytes(row.hash).hex()


def test_a_page_of_many_asks_for_their_keys_once(acme: str, bob: Caller) -> None:
    for number in range(6):
        assign(acme, f"t-{number}")
        complete(acme, f"t-{number}")
    for path in ("/events", "/agents/a-1/events", "/tasks/t-1"):
        with counting() as seen:
            bob.made(bob.get(path))
        assert len(seen) == 1, path
    with counting() as seen:
        bob.made(bob.get("/events?types=AgentCreatedEvent"))
        bob.made(bob.get("/events?schema=stored"))
    assert seen == []


def test_more_keys_than_one_query_takes(acme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reveal, "AT_ONCE", 2)
    for number in range(5):
        assign(acme, f"t-{number}", input=number + 1)
        complete(acme, f"t-{number}", result=None)

    shown = reveal.of_rows(events_of(acme, "AgentTaskAssignedEvent"), plain=True)

    assert [json.loads(data)["input"] for data in shown.values()] == [1, 2, 3, 4, 5]


def test_the_answer_to_a_command_is_readable_for_whoever_sent_it(acme: str, people: People) -> None:
    agent = people.agent("a-1")
    given = people.bob.post("/agents/a-1/tasks", {"task_id": "t-1", "input": INPUT})
    ended = agent.post("/agents/a-1/tasks/t-1/complete", {"execution_time_ms": 1, "result": RESULT})

    assert body_of(given)["input"] == INPUT
    assert (body_of(ended)["input"], body_of(ended)["result"]) == (INPUT, RESULT)


def test_a_failed_task_shows_its_input(acme: str, bob: Caller) -> None:
    assign(acme)
    failed = bob.made(bob.post("/agents/a-1/tasks/t-1/fail", {"error_message": "no"}))

    assert failed["input"] == INPUT


def test_the_first_answer_given_again_shows_what_may_be_read_by_then(
    acme: str, people: People, settings: Settings
) -> None:
    def send() -> Any:
        body = {"task_id": "t-1", "input": INPUT}
        return people.bob.post("/agents/a-1/tasks", body, Idempotency_Key="k")

    first, again = send(), send()
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    settings.ENCRYPTION_KEYS = (OTHER_KEK,)
    assert body_of(send())["input"] == why("locked")
    erase(people.alice, "/tasks/t-1")

    last = send()

    assert (last.status_code, last["Idempotent-Replayed"]) == (201, "true")
    assert body_of(last) == body_of(first) | {"input": why("erased")}


@pytest.mark.parametrize(
    ("role", "shown"), [("admin", "Lovelace"), ("operator", "Lovelace"), ("auditor", '"sealed"')]
)
def test_a_page_shows_what_the_api_shows(acme: str, role: str, shown: str) -> None:
    assign(acme)
    (row,) = events_of(acme)
    person = browser(acme, role)
    path = f"/admin/t/{acme}/events/{row.event_id}/"

    before = person.get(path).content.decode()
    erasing.erase(acme, task_id="t-1", reason="x", by=BY)
    after = person.get(path).content.decode()

    assert shown in before.replace("&quot;", '"')
    assert ("Lovelace" in before) == (shown == "Lovelace")
    assert "Lovelace" not in after
    assert '"$confidential": "erased"' in after.replace("&quot;", '"')
    assert "task t-1: x" in person.get(f"/admin/t/{acme}/events/").content.decode()
    for page in ("events/", "agents/a-1/", "agents/"):
        assert "Lovelace" not in person.get(f"/admin/t/{acme}/{page}").content.decode()


def test_an_agent_reads_its_own_and_no_others(acme: str, people: People) -> None:
    create(acme, "a-2")
    assign(acme, "t-2", "a-2")
    stranger = people.agent("a-1")

    assert stranger.made(stranger.get("/events?types=AgentTask*"))["items"] == []
    assert stranger.get("/tasks/t-2").status_code == 404
    assert stranger.get("/agents/a-2/events").status_code == 404


def test_mallory_sees_what_she_would_see_if_it_did_not_exist(acme: str, people: People) -> None:
    assign(acme)
    (row,) = events_of(acme)
    for path in ("/tasks/t-1", f"/events/{row.event_id}"):
        theirs = people.mallory.get(f"/api/v1/tenants/{acme}{path}")
        nowhere = people.mallory.get(path)
        assert (theirs.status_code, theirs.content) == (404, nowhere.content)


def test_a_key_opens_nothing_in_another_tenant(acme: str, people: People) -> None:
    """Not even for whoever copied the ciphertext there."""
    assign(acme)
    copy = {"agent_id": "a-1", "task_id": "t-1", "input": stored(acme)[0]}

    assert reveal.of_tasks(acme, [copy], plain=True)[0]["input"] == INPUT
    (shown,) = reveal.of_tasks(people.mallory.tenant, [copy], plain=True)
    assert shown["input"] == why("missing")


def test_a_moved_ciphertext_is_unreadable(acme: str) -> None:
    assign(acme)
    (payload,) = stored(acme)
    there: dict[str, Any] = {"agent_id": "a-1", "task_id": "t-1", "input": payload, "result": 1}

    for moved in ({"task_id": "t-2"}, {"agent_id": "a-2"}, {"input": None, "result": payload}):
        (shown,) = reveal.of_tasks(acme, [there | moved], plain=True)
        assert why("unreadable") in shown.values(), moved
        assert INPUT not in shown.values()


HOSTILE: list[str] = [
    '{"$confidential":"sealed"}',
    '{"$confidential":{}}',
    '{"$confidential":null}',
    '{"$confidential":{"v":1,"key":"00","nonce":"","ciphertext":""}}',
    '{"$confidential":{"v":1,"key":"%s","nonce":"","ciphertext":""}}' % ("0" * 32),
    '{"$confidential":{"v":9,"key":"%s","nonce":"","ciphertext":""}}' % ("0" * 32),
]


def a_row(tenant: str, data: str, type: str = "AgentTaskAssignedEvent") -> Event:
    return Event(tenant_id=tenant, stream_id="a-1", seq=1, type=type, data=data)


def test_a_strange_payload_out_of_an_import_is_told_and_no_fault(acme: str) -> None:
    for payload in HOSTILE:
        row = a_row(acme, f'{{"task_id":"t-1","input":{payload}}}')
        shown = json.loads(reveal.of_rows([row], plain=True)[1])
        assert shown["input"] in (why("unreadable"), why("missing")), payload


def test_a_damaged_row_is_shown_as_it_is(acme: str) -> None:
    for data in (
        '"$confidential"',
        '{"$confidential"',
        '["$confidential"]',
        '{"input":{"$confidential":1}}',
        '{"task_id":7,"input":{"$confidential":1}}',
    ):
        assert reveal.of_rows([a_row(acme, data)], plain=True) == {}, data


def test_what_only_looks_like_a_mark_is_left_alone(acme: str) -> None:
    for payload in ({"$confidential": 1, "more": 2}, {"a": {"$confidential": 1}}, "$confidential"):
        data = json.dumps({"task_id": "t-1", "input": payload})
        assert reveal.of_rows([a_row(acme, data)], plain=True) == {}
    other = a_row(acme, '{"reason":{"$confidential":1}}', "AgentPausedEvent")
    assert reveal.of_rows([other], plain=True) == {}


def test_the_readers_of_an_older_key_need_it_among_the_configured(acme: str) -> None:
    assign(acme)
    row = PayloadKey.objects.get(tenant=acme)
    data_key = form.unwrap(bytes(row.wrapped or b""), KEK)
    sealed = form.parse(stored(acme)[0]["$confidential"])

    assert row.kek == keys.kek_id(KEK)
    plain = form.open_sealed(sealed, data_key, Place(acme, "a-1", "t-1", "input"))
    assert json.loads(plain) == INPUT


def test_the_database_keeps_a_key_either_there_or_destroyed(acme: str) -> None:
    assign(acme)
    from django.db import IntegrityError

    for wrong in ({"wrapped": None}, {"destroyed_at": "2026-01-01T00:00:00Z"}):
        with pytest.raises(IntegrityError):
            PayloadKey.objects.filter(tenant=acme).update(**wrong)
    assert connection.in_atomic_block is False
