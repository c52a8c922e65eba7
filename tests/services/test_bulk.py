"""A bulk does what its commands would do one by one, and is one append."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any

import pytest
from django.db import connections

from agents import bulk, claims, services
from agents.command import TRIES, Outcome
from agents.domain.errors import RuleViolated
from agents.models import AgentState, CurrentAgent, TaskClaim
from agents.rebuild import compare
from events import bus
from events.log.append import append
from events.log.errors import VersionConflict
from events.models import Event, IdempotencyKey
from tests.api.conftest import CREATION, HEARTBEAT, SOMEBODY, Caller, People, body_of, people
from tests.services.singles import Item, one_by_one, random_items

__all__ = ["people"]

PASSING = ("created_at", "activated_at", "last_seen", "terminated_at", "assigned_at", "ended_at")


@pytest.fixture
def bob(people: People) -> Caller:
    return people.bob


def sent(caller: Caller, *items: Item, **headers: str) -> list[Item]:
    told: list[Item] = caller.made(caller.post("/commands", list(items), **headers))
    assert len(told) == len(items)
    return told


def item(command: str, agent_id: str, /, *, key: str | None = None, **body: Any) -> Item:
    given = {"idempotency_key": key} if key else {}
    return {"command": command, "agent_id": agent_id, "body": body, **given}


def heartbeat(agent_id: str, /, *, key: str | None = None) -> Item:
    return item("heartbeat", agent_id, key=key, **HEARTBEAT)


def creation(agent_id: str) -> Item:
    return {"command": "create", "agent_id": agent_id, "body": CREATION}


def statuses(told: list[Item]) -> list[int]:
    return [each["status"] for each in told]


def timeless(value: Any) -> Any:
    """Without what no two runs have in common."""
    if isinstance(value, dict):
        return {
            name: bool(part) if name in PASSING else timeless(part) for name, part in value.items()
        }
    return [timeless(part) for part in value] if isinstance(value, list) else value


def said(told: Item) -> Any:
    """An answer, without where a refusal points."""
    error = told.get("error", {})
    unpointed = {name: part for name, part in error.items() if name != "errors"}
    return timeless({**told, "error": unpointed})


def log_of(tenant: str) -> list[tuple[Any, ...]]:
    events = Event.objects.filter(tenant=tenant, stream_type="agent").order_by("seq")
    return list(events.values_list("seq", "stream_id", "version", "type", "reason"))


def head_of(tenant: str) -> int:
    return Event.objects.filter(tenant=tenant).count()


def differences(tenant: str) -> list[Any]:
    return list(compare(tenant)[1])


@contextmanager
def receiver(tenant: str, receive: Callable[[Any], None]) -> Iterator[None]:
    def hear(facts: Any, **told: Any) -> None:
        if told["tenant"] == tenant:
            receive(facts[0])

    bus.events_appended.connect(hear)
    try:
        yield
    finally:
        bus.events_appended.disconnect(hear)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_it_holds_it_ends_as_its_commands_one_by_one(
    people: People, fresh_slug: Callable[[str], str], seed: int
) -> None:
    from tests.api.conftest import people_of

    together, apart = people.bob, people_of(fresh_slug("acme"), fresh_slug("globex")).bob
    rng = random.Random(seed)
    told: list[Item] = []
    for size in (1, 25, 60):
        items = random_items(rng, size)
        told, singly = sent(together, *items), one_by_one(apart, items)
        for one, other, order in zip(told, singly, items, strict=True):
            assert said(one) == said(other), order
    agents, tasks = "/agents?status=REGISTERED,AVAILABLE,BUSY,PAUSED,UNHEALTHY,TERMINATED", "t-"
    for path in (agents, *(f"/tasks/{tasks}{number}" for number in range(6))):
        both = [body_of(caller.get(path)) for caller in (together, apart)]
        assert timeless(both[0]) == timeless(both[1])
    assert log_of(together.tenant) == log_of(apart.tenant)
    assert len(set(statuses(told))) > 2
    assert differences(together.tenant) == []


def test_it_is_one_append_in_the_order_of_its_items(bob: Caller) -> None:
    first, second = bob.available(), bob.available()
    before = head_of(bob.tenant)
    heard: list[int] = []

    def hear(tenant: str, events: Any, **_: Any) -> None:
        if tenant == bob.tenant:
            heard.append(len(events))

    bus.events_committed.connect(hear)
    try:
        told = sent(bob, *(heartbeat(agent) for agent in (first, second, first, second)))
    finally:
        bus.events_committed.disconnect(hear)
    written = Event.objects.filter(tenant=bob.tenant, seq__gt=before).order_by("seq")
    assert [each.stream_id for each in written] == [first, second, first, second]
    assert [each["seq"] for each in told] == [each.seq for each in written]
    assert len({each.recorded_at for each in written}) == 1
    assert heard == [4]


def test_many_commands_of_one_agent_leave_its_states_of_the_past(bob: Caller) -> None:
    told = sent(
        bob, creation("a-1"), item("activate", "a-1"), *(heartbeat("a-1") for _ in range(38))
    )
    assert statuses(told) == [201, *[200] * 39]
    assert [each["body"]["version"] for each in told] == [1, *range(3, 42)]
    assert [each["body"]["seq"] for each in told] == [each["seq"] for each in told]
    kept = AgentState.objects.filter(tenant=bob.tenant).order_by("version")
    assert list(kept.values_list("version", flat=True)) == [16, 32]
    assert body_of(bob.get("/agents/a-1?version=17")) == told[15]["body"]
    assert body_of(bob.get("/agents/a-1")) == told[-1]["body"]
    assert differences(bob.tenant) == []


def test_a_task_goes_through_many_hands_in_one_bulk(bob: Caller) -> None:
    first, second = bob.available(), bob.available()
    told = sent(
        bob,
        item("assign", first, task_id="t-1", input={"n": 1}),
        item("assign", second, task_id="t-1"),
        item("fail", first, task_id="t-1", error_message="boom"),
        item("assign", second, task_id="t-1", input={"n": 2}),
        item("assign", first, task_id="t-2"),
        item("complete", second, task_id="t-1", execution_time_ms=1),
        item("complete", first, task_id="t-2", execution_time_ms=1),
        item("assign", first, task_id="t-1"),
    )
    assert statuses(told) == [201, 409, 200, 201, 201, 200, 200, 409]
    alone = bob.post(f"/agents/{first}/tasks", {"task_id": "t-1"})
    assert told[7]["error"] == body_of(alone)
    assert told[1]["error"]["detail"].startswith(f"Task t-1 is held by {first}.")
    ended = body_of(bob.get("/tasks/t-1"))
    assert ended == told[5]["body"]
    assert ended["input"] == {"n": 2}
    assert [each["agent_id"] for each in ended["attempts"]] == [first, second]
    assert differences(bob.tenant) == []


def test_a_forced_end_fails_the_task_that_it_does_not_name(bob: Caller) -> None:
    agent = bob.busy("t-1")
    other = bob.available()
    told = sent(
        bob,
        item("terminate", agent, reason="x", force=True),
        item("assign", other, task_id="t-1"),
    )
    assert statuses(told) == [200, 201]
    assert body_of(bob.get("/tasks/t-1"))["agent_id"] == other
    assert differences(bob.tenant) == []


class TestARace:
    def test_is_decided_again_as_a_whole(
        self, bob: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        agent, other = bob.available(), bob.available()
        disturbed: list[Outcome] = []

        def overtaken(tenant: str, *proposals: Any) -> Any:
            if not disturbed:
                disturbed.append(
                    services.pause_agent(tenant=tenant, agent_id=agent, reason="x", by=SOMEBODY)
                )
            return append(tenant, *proposals)

        monkeypatch.setattr("agents.bulk.append", overtaken)
        told = sent(bob, heartbeat(other), item("assign", agent, task_id="t-1"))
        assert statuses(told) == [200, 409]
        assert told[1]["error"]["rule"] == "agent_not_available"
        assert differences(bob.tenant) == []

    def test_that_is_lost_again_and_again_is_won_while_others_wait(
        self, bob: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        agent, tries = bob.available(), []

        def overtaken(tenant: str, *_: Any) -> Any:
            tries.append(tenant)
            raise VersionConflict(tenant, agent, 1)

        monkeypatch.setattr("agents.bulk.append", overtaken)
        told = sent(bob, heartbeat(agent), item("assign", agent, task_id="t-1"))
        assert statuses(told) == [200, 201]
        assert len(tries) == bulk.FREE_TRIES

    def test_that_is_always_lost_refuses_what_would_have_been_accepted(
        self, bob: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        agent, tries, before = bob.available(), [], head_of(bob.tenant)

        def overtaken(tenant: str, decide: Any, **_: Any) -> Any:
            tries.append(decide())
            raise VersionConflict(tenant, agent, 1)

        monkeypatch.setattr("agents.bulk.append_decided", overtaken)
        monkeypatch.setattr("agents.bulk.time.sleep", lambda _: None)
        monkeypatch.setattr(bulk, "FREE_TRIES", 0)
        told = sent(bob, heartbeat(agent), heartbeat("nobody"), Idempotency_Key="k")
        assert [each["error"]["code"] for each in told] == ["conflict", "not_found"]
        assert len(tries) == TRIES
        assert head_of(bob.tenant) == before
        assert not IdempotencyKey.objects.filter(tenant=bob.tenant).exists()

    def test_among_many_bulks_and_commands_leaves_every_one_of_them(self, bob: Caller) -> None:
        agents = [bob.available() for _ in range(5)]
        barrier = Barrier(4)

        def work(number: int) -> list[int]:
            caller = Caller(bob.tenant, bob.token)
            barrier.wait(20)
            found: list[int] = []
            try:
                for _ in range(4):
                    if number < 2:
                        found += statuses(sent(caller, *(heartbeat(agent) for agent in agents)))
                    else:
                        answers = [
                            caller.post(f"/agents/{agent}/heartbeat", HEARTBEAT) for agent in agents
                        ]
                        found += [each.status_code for each in answers]
            finally:
                connections.close_all()
            return found

        before = head_of(bob.tenant)
        with ThreadPoolExecutor(4) as pool:
            answered = [status for each in pool.map(work, range(4)) for status in each]
        assert answered == [200] * 80
        assert head_of(bob.tenant) - before == 80
        assert differences(bob.tenant) == []


class TestAReceiver:
    def test_vetoes_one_item_alone(self, bob: Caller) -> None:
        agent = bob.available()
        seen: list[Any] = []

        def veto(fact: Any) -> None:
            seen.append(fact)
            # What it writes for a command that it refuses goes with it.
            CurrentAgent.objects.filter(tenant=bob.tenant, agent_id=agent).update(name="lost")
            if getattr(fact, "task_id", None) == "t-1":
                raise RuleViolated("Not this one.", rule="quota")

        with receiver(bob.tenant, veto):
            told = sent(
                bob,
                item("assign", agent, task_id="t-1"),
                item("assign", agent, task_id="t-2"),
                item("assign", agent, task_id="t-3"),
            )
        assert statuses(told) == [409, 201, 409]
        assert told[0]["error"]["rule"] == "quota"
        assert told[2]["error"]["current_task_id"] == "t-2"
        assert [fact.task_id for fact in seen] == ["t-1", "t-2"]
        assert not TaskClaim.objects.filter(tenant=bob.tenant, task_id="t-1").exists()
        assert differences(bob.tenant) == []

    def test_that_vetoes_all_leaves_nothing(self, bob: Caller) -> None:
        agent, before = bob.available(), head_of(bob.tenant)

        def veto(_: Any) -> None:
            raise RuleViolated("No.", rule="quota")

        with receiver(bob.tenant, veto):
            told = sent(bob, *(heartbeat(agent, key=f"k-{n}") for n in range(3)))
        assert statuses(told) == [409] * 3
        assert head_of(bob.tenant) == before
        assert not IdempotencyKey.objects.filter(tenant=bob.tenant).exists()

    def test_that_breaks_is_a_fault_of_ours_and_nothing_is_recorded(self, bob: Caller) -> None:
        agent, before = bob.available(), head_of(bob.tenant)
        bob.client.raise_request_exception = False

        def breaks(fact: Any) -> None:
            raise RuntimeError("broken")

        with receiver(bob.tenant, breaks):
            assert bob.post("/commands", [heartbeat(agent)]).status_code == 500
        assert head_of(bob.tenant) == before


class TestRowsThatAreNotTrue:
    def test_may_be_missing(self, bob: Caller) -> None:
        agents = [bob.available() for _ in range(2)]
        CurrentAgent.objects.filter(tenant=bob.tenant).delete()
        told = sent(bob, *(heartbeat(agent) for agent in agents), heartbeat("nobody"))
        assert statuses(told) == [200, 200, 404]
        assert differences(bob.tenant) == []

    def test_may_be_behind_their_streams(self, bob: Caller) -> None:
        agents = [bob.available() for _ in range(3)]
        kept = [CurrentAgent.objects.get(tenant=bob.tenant, agent_id=agent) for agent in agents]
        sent(bob, *(heartbeat(agent) for agent in agents))
        for row in kept:
            row.save()
        told = sent(bob, *(heartbeat(agent) for agent in agents))
        assert statuses(told) == [200] * 3
        assert differences(bob.tenant) == []

    def test_say_who_lost_a_claim(self, bob: Caller) -> None:
        agent, other = bob.busy("t-1"), bob.available()
        TaskClaim.objects.filter(tenant=bob.tenant).delete()
        told = sent(
            bob,
            item("complete", agent, task_id="t-1", execution_time_ms=1),
            heartbeat(other),
        )
        assert statuses(told) == [503, 200]
        assert "rebuild agents" in told[0]["error"]["detail"]
        assert claims.find(bob.tenant, "t-1") is None


class TestAnItemsKey:
    def test_gives_the_first_answer_again(self, bob: Caller) -> None:
        agent = bob.available()
        first = sent(bob, heartbeat(agent, key="k"), heartbeat(agent))
        before = head_of(bob.tenant)
        again = sent(bob, heartbeat(agent, key="k"))
        assert again == [{**first[0], "replayed": True}]
        assert head_of(bob.tenant) == before

    def test_twice_in_one_bulk_is_one_command(self, bob: Caller) -> None:
        agent, other, before = bob.available(), bob.available(), head_of(bob.tenant)
        told = sent(bob, *(heartbeat(agent, key="k") for _ in range(3)), heartbeat(other, key="k"))
        assert told[1] == told[2] == {**told[0], "replayed": True}
        assert (told[3]["status"], told[3]["error"]["code"]) == (422, "key_reused")
        assert told[3]["error"]["errors"][0]["pointer"] == "/idempotency_key"
        assert told[0]["seq"] == told[0]["body"]["seq"] == before + 1

    def test_of_another_body_is_refused(self, bob: Caller) -> None:
        agent = bob.available()
        sent(bob, heartbeat(agent, key="k"))
        told = sent(bob, item("heartbeat", agent, key="k", **{**HEARTBEAT, "success_rate": 0}))
        assert (told[0]["status"], told[0]["error"]["code"]) == (422, "key_reused")

    def test_of_a_refused_item_is_free(self, bob: Caller) -> None:
        agent = bob.create()
        order = item("assign", agent, key="k", task_id="t-1")
        told = sent(bob, order, item("activate", agent), order, order)
        assert statuses(told) == [409, 200, 201, 201]
        assert told[3] == {**told[2], "replayed": True}

    def test_is_kept_for_what_changed_nothing_too(self, bob: Caller) -> None:
        agent, other = bob.create(), bob.create()
        nothing = item("update", agent, key="k-1", name=CREATION["name"])
        alone = sent(bob, nothing)
        assert sent(bob, nothing) == [{**alone[0], "replayed": True}]
        mixed = [
            item("update", agent, key="k-2", name="new"),
            item("update", agent, key="k-3", name="new"),
            item("update", other, key="k-4", name=CREATION["name"]),
        ]
        told = sent(bob, *mixed)
        assert told[0]["seq"] == told[1]["seq"] > told[2]["seq"]
        assert sent(bob, *mixed) == [{**each, "replayed": True} for each in told]

    def test_makes_it_happen_once_when_many_send_it_at_once(self, bob: Caller) -> None:
        agent, before = bob.available(), head_of(bob.tenant)
        orders = [heartbeat(agent, key="k-1"), heartbeat(agent, key="k-2")]
        barrier = Barrier(4)

        def work(_: int) -> list[Item]:
            caller = Caller(bob.tenant, bob.token)
            barrier.wait(20)
            try:
                return sent(caller, *orders)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(work, range(4)))
        assert head_of(bob.tenant) == before + 2
        bare = [[{**each, "replayed": None} for each in told] for told in answers]
        assert all(told == bare[0] for told in bare)
        assert sum("replayed" not in told[0] for told in answers) == 1


class TestTheRequestsKey:
    def test_gives_the_whole_answer_again_refusals_too(self, bob: Caller) -> None:
        agent = bob.available()
        orders = [heartbeat(agent), heartbeat("nobody"), item("pause", agent, reason="x")]
        first = bob.post("/commands", orders, Idempotency_Key="k")
        bob.create("nobody")
        before = head_of(bob.tenant)
        again = bob.post("/commands", orders, Idempotency_Key="k")
        assert again.content == first.content
        assert again["AgentMesh-Seq"] == first["AgentMesh-Seq"]
        assert again["Idempotent-Replayed"] == "true"
        assert head_of(bob.tenant) == before
        other = bob.post("/commands", orders[:1], Idempotency_Key="k")
        assert (other.status_code, body_of(other)["code"]) == (422, "key_reused")

    def test_is_free_when_every_item_was_refused(self, bob: Caller) -> None:
        agent = bob.create()
        orders = [item("assign", agent, task_id="t-1")]
        assert statuses(sent(bob, *orders, Idempotency_Key="k")) == [409]
        bob.made(bob.post(f"/agents/{agent}/activate"))
        assert statuses(sent(bob, *orders, Idempotency_Key="k")) == [201]

    def test_is_kept_when_nothing_changed(self, bob: Caller) -> None:
        orders = [item("update", bob.create(), name=CREATION["name"])]
        first = bob.post("/commands", orders, Idempotency_Key="k")
        again = bob.post("/commands", orders, Idempotency_Key="k")
        assert (again.content, again["Idempotent-Replayed"]) == (first.content, "true")
        assert first["AgentMesh-Seq"] == str(body_of(first)[0]["seq"])
