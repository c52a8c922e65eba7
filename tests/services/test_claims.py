"""A task is open on one agent of a tenant at a time, and never again once completed."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from agents import claims, command, current, services
from agents.domain.errors import RuleViolated
from agents.models import TaskClaim
from agents.rebuild import rebuild
from events.log.append import append
from events.models import Event
from tests.services.conftest import ALICE, create


@pytest.fixture
def a2(acme: str) -> str:
    create(acme, "a-2")
    return "a-2"


def assign(tenant: str, agent_id: str, task_id: str = "t-1") -> None:
    services.assign_task(tenant=tenant, agent_id=agent_id, task_id=task_id, by=ALICE)


def fail(tenant: str, agent_id: str, message: str = "no") -> None:
    services.fail_task(
        tenant=tenant, agent_id=agent_id, task_id="t-1", error_message=message, by=ALICE
    )


def complete(tenant: str, agent_id: str) -> None:
    services.complete_task(
        tenant=tenant, agent_id=agent_id, task_id="t-1", execution_time_ms=1, by=ALICE
    )


def standing(tenant: str, task_id: str = "t-1") -> TaskClaim:
    found = claims.find(tenant, task_id)
    assert found is not None
    return found


def test_a_held_task_is_refused_to_another_and_names_its_holder(
    acme: str, a1: str, a2: str
) -> None:
    assign(acme, a1)

    with pytest.raises(RuleViolated, match=a1) as refused:
        assign(acme, a2)

    assert refused.value.rule == "task_held"
    assert current.load(acme, a2).version == 3
    assert standing(acme).agent_id == a1


@pytest.mark.parametrize("again", ["a-1", "a-2"])
@pytest.mark.usefixtures("a1", "a2")
def test_a_completed_task_is_never_assigned_again(acme: str, again: str) -> None:
    assign(acme, "a-1")
    complete(acme, "a-1")

    with pytest.raises(RuleViolated, match="never assigned again") as refused:
        assign(acme, again)

    assert refused.value.rule == "task_completed"
    assert standing(acme).status == "completed"


def test_a_failed_task_may_be_assigned_again_and_remembers_its_attempts(
    acme: str, a1: str, a2: str
) -> None:
    assign(acme, a1)
    fail(acme, a1, "out of memory")
    assign(acme, a2)
    assert (standing(acme).agent_id, standing(acme).status) == (a2, "assigned")
    fail(acme, a2, "out of time")
    assign(acme, a1)
    complete(acme, a1)

    claim = standing(acme)
    assert (claim.agent_id, claim.status) == (a1, "completed")
    attempts = msgspec.json.decode(claim.attempts)
    assert [(each["agent_id"], each["error_message"]) for each in attempts] == [
        (a1, "out of memory"),
        (a2, "out of time"),
    ]


def test_a_claim_knows_the_version_where_its_input_stands(acme: str, a1: str) -> None:
    assign(acme, a1)

    claim = standing(acme)
    event = Event.objects.get(tenant=acme, stream_id=a1, version=claim.assigned_version)
    assert event.type == "AgentTaskAssignedEvent"
    assert claim.seq == event.seq + 1  # the change of status ends the append


def test_a_forced_termination_lets_the_task_go(acme: str, a1: str, a2: str) -> None:
    assign(acme, a1)
    services.terminate_agent(tenant=acme, agent_id=a1, reason="old", force=True, by=ALICE)

    assert standing(acme).status == "failed"
    assign(acme, a2)
    assert standing(acme).agent_id == a2


def test_a_task_id_is_the_tenants_own(acme: str, a1: str, globex: str) -> None:
    create(globex, "g-1")
    assign(acme, a1)
    complete(acme, a1)

    assign(globex, "g-1")

    assert standing(globex).status == "assigned"
    assert standing(acme).status == "completed"


@pytest.mark.parametrize("first", [False, True], ids=["a new task", "a failed task"])
def test_of_two_agents_that_reach_for_a_task_at_once_one_gets_it(
    acme: str, a1: str, a2: str, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    if first:
        assign(acme, a2)
        fail(acme, a2)
    others: list[Any] = [lambda: assign(acme, a2)]

    def append_after_the_other(*given: Any, **more: Any) -> Any:
        if others:
            others.pop()()
        return append(*given, **more)

    monkeypatch.setattr(command, "append", append_after_the_other)

    with pytest.raises(RuleViolated) as refused:  # a-1 had looked before a-2 wrote
        assign(acme, a1)

    assert refused.value.rule == "task_held"
    assert standing(acme).agent_id == a2
    assert current.load(acme, a1).agent.current_task_id is None


def dropped(acme: str) -> None:
    TaskClaim.objects.filter(tenant=acme).delete()


def given_to_another(acme: str) -> None:
    TaskClaim.objects.filter(tenant=acme).update(agent_id="a-9")


@pytest.mark.parametrize("damage", [dropped, given_to_another])
@pytest.mark.parametrize("end", [complete, fail])
def test_a_task_whose_claim_is_lost_is_ended_by_nobody_until_it_is_rebuilt(
    acme: str, a1: str, damage: Callable[[str], None], end: Callable[[str, str], None]
) -> None:
    assign(acme, a1)
    damage(acme)

    with pytest.raises(claims.ClaimLost, match=f"Run manage.py rebuild agents --tenant {acme}"):
        end(acme, a1)  # a claim that contradicts the log is never written over

    assert current.load(acme, a1).agent.current_task_id == "t-1"
    rebuild(acme)
    end(acme, a1)
    assert current.load(acme, a1).agent.current_task_id is None
