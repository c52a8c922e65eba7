"""Who reads the log, how far, and what becomes of streams that a reader could not go on with."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from events.api import subscriptions
from events.bus import event_bus
from events.durable import held
from events.durable.catching_up import catch_up
from events.models import HeldStream, SubscriptionCheckpoint
from tests.api.conftest import HEARTBEAT, Caller, People, body_of
from tests.api.test_idempotency import at_once, head, same
from tests.api.things import LEDGER, park

REASON = {"reason": "The ledger has it by hand."}


class Ledger:
    """A subscriber that writes down the seq of what it hears, and refuses one."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.refused: int | None = None

    def hear(self, event: Any) -> None:
        if event.envelope.seq == self.refused:
            raise RuntimeError("The ledger is shut.")
        self.heard.append(event.envelope.seq)

    def read_on(self, tenant: str) -> None:
        """As the worker does, when all that waits for its next try is due."""
        waiting = HeldStream.objects.filter(tenant=tenant, parked_at=None)
        waiting.update(retry_at=timezone.now() - timedelta(seconds=1))
        catch_up(event_bus.subscriptions[LEDGER], tenant)


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    made = Ledger()
    monkeypatch.setattr(held, "ATTEMPTS", 2)
    event_bus.subscribe("AgentHealthCheckPassedEvent", made.hear, name=LEDGER, start="beginning")
    yield made
    event_bus.unsubscribe(LEDGER)


@pytest.fixture
def agent(bob: Caller, ledger: Ledger) -> str:
    """An agent with three heartbeats, the first of which the ledger could not take: it is parked,
    while another agent's heartbeat went through."""
    other, agent = bob.available(), bob.available()
    for each in (agent, agent, agent, other):
        answer = bob.post(f"/agents/{each}/heartbeat", HEARTBEAT)
        ledger.refused = ledger.refused or int(answer["AgentMesh-Seq"])
    ledger.read_on(bob.tenant)
    ledger.read_on(bob.tenant)
    return agent


def seen(caller: Caller, name: str = LEDGER) -> dict[str, Any]:
    """The subscription in the list."""
    items = caller.made(caller.get("/subscriptions"))["items"]
    (found,) = [each for each in items if each["name"] == name]
    assert isinstance(found, dict)
    return found


def met_unasked() -> list[str]:
    """Those that read every log from its first event on, whether or not a worker has met them."""
    every = event_bus.subscriptions.values()
    return sorted(each.name for each in every if each.start == "beginning")


def parked(agent: str, verb: str) -> str:
    return f"/subscriptions/{LEDGER}/parked/{agent}/{verb}"


def test_a_reader_is_listed_with_what_is_parked_of_it(
    carol: Caller, agent: str, ledger: Ledger
) -> None:
    found = seen(carol)

    (stream,) = found.pop("parked")
    assert found.pop("last_error_at") is not None
    assert found == {
        "name": LEDGER,
        "kind": "reaction",
        "state": "parked",
        "checkpoint": head(carol),
        "head": head(carol),
        "lag_events": 0,
        "lag_seconds": 0,
        "stopped_reason": None,
        "failures": 0,
        "last_error": "RuntimeError: The ledger is shut.",
        "parked_count": 1,
        "retrying_count": 0,
        "retrying": [],
    }
    assert stream.pop("parked_at") > stream.pop("held_at")
    assert stream == {
        "stream_id": agent,
        "stream_type": "agent",
        "seq": ledger.refused,
        "attempts": 2,
        "last_error": "RuntimeError: The ledger is shut.",
        "retry_at": None,
    }


def test_the_readers_of_every_tenant_are_there_though_no_worker_has_met_them(alice: Caller) -> None:
    found = seen(alice, "tasks")

    assert (found["kind"], found["state"], found["checkpoint"]) == ("projection", "behind", 0)
    assert found["lag_events"] == found["head"] == head(alice)


def test_how_long_the_first_unread_event_waits_is_told(alice: Caller) -> None:
    SubscriptionCheckpoint.objects.create(
        tenant_id=alice.tenant, subscription="tasks", seq=1, hash=b"", updated_at=timezone.now()
    )
    alice.create()

    assert 0 < seen(alice, "tasks")["lag_seconds"] < 60


def test_one_that_stopped_says_why_and_one_that_is_no_more_is_told_too(alice: Caller) -> None:
    park(alice.tenant)
    assert (seen(alice)["state"], seen(alice)["kind"]) == ("gone", None)
    SubscriptionCheckpoint.objects.filter(tenant=alice.tenant).update(stopped_reason="Restored.")

    assert (seen(alice)["state"], seen(alice)["stopped_reason"]) == ("stopped", "Restored.")


def test_a_retry_goes_on_where_it_failed_and_misses_nothing(
    bob: Caller, agent: str, ledger: Ledger
) -> None:
    failed, ledger.refused = ledger.refused, None
    assert failed is not None
    before, passed = head(bob), list(ledger.heard)

    answer = bob.made(bob.post(parked(agent, "retry")))

    assert (answer["state"], answer["parked"], answer["parked_count"]) == ("retrying", [], 0)
    (stream,) = answer["retrying"]
    assert (stream["stream_id"], stream["seq"], stream["attempts"]) == (agent, failed, 0)
    assert stream["retry_at"] is not None
    assert head(bob) == before  # nothing has happened that an auditor would ask for
    ledger.read_on(bob.tenant)
    assert ledger.heard == [*passed, failed, failed + 1, failed + 2]
    assert seen(bob)["state"] == "up_to_date"


def test_a_skip_leaves_out_the_one_event_and_is_a_fact_with_its_reason(
    bob: Caller, agent: str, ledger: Ledger
) -> None:
    failed = ledger.refused
    assert failed is not None
    before, passed = head(bob), list(ledger.heard)

    response = bob.post(parked(agent, "skip"), REASON)

    assert int(response["AgentMesh-Seq"]) == before + 1
    assert bob.made(response)["state"] == "retrying"
    ledger.read_on(bob.tenant)
    assert ledger.heard == [*passed, failed + 1, failed + 2]
    assert seen(bob)["state"] == "up_to_date"
    (fact,) = body_of(bob.get("/events?types=EventSkipped"))["items"]
    assert (fact["actor"], fact["data"]["reason"]) == ("token:bob", REASON["reason"])
    assert (fact["data"]["subscription"], fact["data"]["seq"]) == (LEDGER, failed)


def test_what_fails_again_is_parked_again(bob: Caller, agent: str, ledger: Ledger) -> None:
    bob.made(bob.post(parked(agent, "retry")))
    ledger.read_on(bob.tenant)
    ledger.read_on(bob.tenant)

    assert [each["stream_id"] for each in seen(bob)["parked"]] == [agent]


@pytest.mark.parametrize("verb", ["retry", "skip"])
def test_what_is_not_parked_is_not_there(bob: Caller, agent: str, verb: str) -> None:
    body = REASON if verb == "skip" else {}
    bob.made(bob.post(parked(agent, verb), body))

    again = bob.post(parked(agent, verb), body)
    elsewhere = bob.post(f"/subscriptions/tasks/parked/{agent}/{verb}", body)

    assert (again.status_code, elsewhere.status_code) == (404, 404)
    assert again.content == elsewhere.content == bob.get("/agents/nobody-here").content


@pytest.mark.parametrize("verb", ["retry", "skip"])
def test_mallory_moves_nothing_of_acme_by_the_same_names(
    people: People, agent: str, verb: str
) -> None:
    body = REASON if verb == "skip" else {}

    assert people.mallory.post(parked(agent, verb), body).status_code == 404
    assert seen(people.bob)["parked_count"] == 1
    names = [each["name"] for each in body_of(people.mallory.get("/subscriptions"))["items"]]
    assert names == met_unasked()
    assert seen(people.mallory)["parked"] == []


@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": " "}, {"reason": "x" * 1_001}, {"reason": "a\nb"}]
)
def test_a_skip_without_a_reason_skips_nothing(bob: Caller, agent: str, body: Any) -> None:
    response = bob.post(parked(agent, "skip"), body)

    assert response.status_code == 400
    assert body_of(response)["errors"][0]["pointer"] == "/reason"
    assert seen(bob)["parked_count"] == 1


@pytest.mark.parametrize("verb", ["retry", "skip"])
def test_under_a_key_it_happens_once_and_is_answered_alike(
    bob: Caller, agent: str, verb: str, ledger: Ledger
) -> None:
    body = REASON if verb == "skip" else {}
    first = bob.post(parked(agent, verb), body, Idempotency_Key="k")
    assert first.status_code == 200
    after = head(bob)
    ledger.read_on(bob.tenant)

    same(first, bob.post(parked(agent, verb), body, Idempotency_Key="k"))

    assert head(bob) == after


@pytest.mark.parametrize("verb", ["retry", "skip"])
def test_of_many_at_once_one_does_it_and_all_are_told_the_same(
    bob: Caller, agent: str, verb: str
) -> None:
    before = head(bob)
    callers = [Caller(bob.tenant, bob.token) for _ in range(4)]
    body = REASON if verb == "skip" else {}

    answers = at_once(callers, "POST", parked(agent, verb), body, "k")

    assert [each.status_code for each in answers] == [200] * 4
    assert len({each.content for each in answers}) == 1
    assert head(bob) - before == (verb == "skip")


def test_of_an_agent_and_the_tenant_of_one_name_the_agent_is_meant(bob: Caller) -> None:
    park(bob.tenant, bob.tenant)
    park(bob.tenant, bob.tenant, stream_type="tenant")

    answer = bob.made(bob.post(parked(bob.tenant, "retry")))

    assert [each["stream_type"] for each in answer["retrying"]] == ["agent"]
    assert answer["parked"] == seen(bob)["parked"]
    assert [each["stream_type"] for each in seen(bob)["parked"]] == ["tenant"]


def test_of_very_many_some_are_shown_and_all_are_counted(
    bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "HELD_SHOWN", 2)
    park(bob.tenant, "a-1", "a-2", "a-3")

    assert len(seen(bob)["parked"]) == 2
    assert seen(bob)["parked_count"] == 3


def test_an_event_that_a_restored_log_has_no_more_cannot_be_skipped(bob: Caller) -> None:
    park(bob.tenant, "a-1")
    HeldStream.objects.filter(tenant=bob.tenant).update(seq=10_000)

    response = bob.post(parked("a-1", "skip"), REASON)

    assert (response.status_code, body_of(response)["code"]) == (409, "conflict")
    assert "resume_subscription" in body_of(response)["detail"]


def test_they_come_in_pages_by_name(alice: Caller) -> None:
    park(alice.tenant)
    found, path = [], "/subscriptions?limit=1"
    while path:
        page = alice.made(alice.get(path))
        found += [each["name"] for each in page["items"]]
        path = page["next"] and f"/subscriptions?limit=1&cursor={page['next']}"

    assert found == sorted({*met_unasked(), LEDGER})


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("cursor=x", "cursor"), ("limit=0", "limit"), ("min_seq=999", "min_seq")],
)
def test_a_wrong_parameter_is_named(alice: Caller, query: str, parameter: str) -> None:
    response = alice.get(f"/subscriptions?{query}")

    assert response.status_code == 400
    assert body_of(response)["errors"][0]["parameter"] == parameter
