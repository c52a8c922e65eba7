"""Many agents at once: a rehearsal says what would happen, and nothing has."""

from typing import Any

import pytest

from agents import current, fleet_commands, services
from agents.command import Request
from agents.domain.errors import RuleViolated
from agents.domain.state import Status
from agents.fleet_commands import Order, Told
from agents.models import CurrentAgent, TaskClaim
from agents.rebuild import compare
from events import bus
from events.idempotency import Answer, AnsweredBefore, Once
from events.models import Event
from tests.services.conftest import ALICE, create


def pauses(tenant: str, *agent_ids: str) -> list[Order]:
    def order(agent_id: str) -> Order:
        def give(request: Request) -> list[Any]:
            at: dict[str, Any] = {
                "tenant": tenant,
                "agent_id": agent_id,
                "by": ALICE,
                "request": request,
            }
            return [services.pause_agent(reason="Noon", **at)]

        return Order(agent_id=agent_id, give=give)

    return [order(agent_id) for agent_id in agent_ids]


def once(tenant: str, key: str = "bulk-1") -> Once:
    return Once.of(
        tenant=tenant, principal="", method="bulk", path="fleet", key=key, body=key.encode()
    )


def refusals(told: list[Told]) -> dict[str, str]:
    return {each.agent_id: str(each.refusal) for each in told if each.refusal}


def summarized(told: Any) -> Answer:
    return Answer(200, {"refused": refusals(told), "seq": None})


def head(tenant: str) -> int:
    return Event.objects.filter(tenant=tenant).count()


@pytest.fixture
def fleet(acme: str) -> str:
    create(acme, "a-1")
    create(acme, "a-2", active=False)
    create(acme, "a-3")
    services.assign_task(tenant=acme, agent_id="a-3", task_id="t-1", by=ALICE)
    return acme


def test_a_rehearsal_tells_what_carrying_out_does_and_records_nothing(fleet: str) -> None:
    orders = pauses(fleet, "a-1", "a-2", "a-3", "a-4")
    before = head(fleet), list(CurrentAgent.objects.filter(tenant=fleet).values())

    rehearsed = fleet_commands.rehearse(fleet, orders)

    assert (head(fleet), list(CurrentAgent.objects.filter(tenant=fleet).values())) == before
    assert list(refusals(rehearsed)) == ["a-2", "a-4"]
    seq = fleet_commands.carry_out(fleet, orders, once(fleet), summarized)
    kept = once(fleet).earlier_answer()
    assert kept is not None
    assert (kept.seq, kept.body) == (seq, {"refused": refusals(rehearsed), "seq": head(fleet)})
    for told in rehearsed:
        if told.agent is not None:
            now = current.load(fleet, told.agent_id).agent
            assert (told.agent.status, told.agent.intent) == (now.status, now.intent)
    assert list(compare(fleet)[1]) == []


def test_it_is_carried_out_once_whoever_presses_twice(fleet: str) -> None:
    orders = pauses(fleet, "a-1")
    fleet_commands.carry_out(fleet, orders, once(fleet), summarized)
    done = head(fleet)

    services.resume_agent(tenant=fleet, agent_id="a-1", by=ALICE)
    with pytest.raises(AnsweredBefore):
        fleet_commands.carry_out(fleet, orders, once(fleet), summarized)

    assert head(fleet) == done + 2
    assert current.load(fleet, "a-1").agent.status is Status.AVAILABLE


def test_what_was_refused_is_kept_where_nobody_took_it(fleet: str) -> None:
    before = head(fleet)

    seq = fleet_commands.carry_out(fleet, pauses(fleet, "a-2"), once(fleet), summarized)

    kept = once(fleet).earlier_answer()
    assert (seq, head(fleet)) == (None, before)
    assert kept is not None
    assert list(kept.body["refused"]) == ["a-2"]


def test_a_rehearsal_asks_receivers_too_and_takes_back_what_they_wrote(fleet: str) -> None:
    def veto(facts: Any, **_: Any) -> None:
        TaskClaim.objects.filter(tenant=fleet).update(attempts="[1]")
        if facts[0].agent_id == "a-1":
            raise RuleViolated("Not on Mondays.", rule="monday")

    bus.events_appended.connect(veto)
    try:
        told = fleet_commands.rehearse(fleet, pauses(fleet, "a-1", "a-3"))
    finally:
        bus.events_appended.disconnect(veto)

    assert refusals(told) == {"a-1": "Not on Mondays."}
    assert TaskClaim.objects.get(tenant=fleet).attempts == "[]"


def test_a_fault_of_ours_is_no_refusal(fleet: str) -> None:
    def give(_: Request) -> list[Any]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fleet_commands.rehearse(fleet, [Order(agent_id="a-1", give=give)])
