"""A task finds the best available agent, and no race gives one agent two."""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import msgspec
import pytest
from django.db import connections

from agents import candidates, current, services
from agents.candidates import Wanted
from agents.domain import decide, routing
from agents.domain.errors import InvalidCommand, RuleViolated
from agents.domain.evolve import fold
from agents.domain.routing import Preference, Requirement
from agents.domain.state import Agent, Intent, Status
from agents.models import CurrentAgent
from agents.rebuild import compare
from agents.routing import AT_ONCE, NoAgent
from events.facts import utc_now
from events.models import Event
from events.vocabulary import Capability
from tests.services.conftest import ALICE, create

TRANSLATE = [Requirement("translate")]
NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)


def route(tenant: str, task_id: str = "t-1", **asked: Any) -> str:
    given: dict[str, Any] = {"required": TRANSLATE, "by": ALICE} | asked
    outcome = services.route_task(tenant=tenant, task_id=task_id, **given)
    assert outcome.agent.current_task_id == task_id
    return outcome.agent.agent_id


def finish(tenant: str, agent_id: str, task_id: str) -> None:
    services.complete_task(
        tenant=tenant, agent_id=agent_id, task_id=task_id, execution_time_ms=1, by=ALICE
    )


def refusal(tenant: str, **asked: Any) -> list[tuple[str, int]]:
    with pytest.raises(NoAgent) as refused:
        route(tenant, **asked)
    return [(each.code, each.agents) for each in refused.value.reasons]


class TestWhoIsChosen:
    def test_the_one_that_does_it_best(self, acme: str) -> None:
        for agent_id, level in (("a-1", 2), ("a-2", 4), ("a-3", 3)):
            create(acme, agent_id)
            for step in range(3, level + 1):
                services.upgrade_capability(
                    tenant=acme,
                    agent_id=agent_id,
                    name="translate",
                    proficiency_level=step,
                    by=ALICE,
                )

        assert [route(acme, f"t-{n}") for n in range(3)] == ["a-2", "a-3", "a-1"]

    def test_of_equal_ones_the_smaller_id_then_who_has_waited_longer(self, acme: str) -> None:
        start = utc_now()
        for agent_id in ("a-2", "a-1"):
            create(acme, agent_id, active=False)
            services.activate_agent(tenant=acme, agent_id=agent_id, by=ALICE, now=start)

        assert route(acme, "t-1") == "a-1"
        finish(acme, "a-1", "t-1")
        later = start + timedelta(minutes=10)
        # The record of a-1 is better by one task, and its rest shorter by nothing that counts.
        assert route(acme, "t-2", now=later) == "a-1"

    def test_the_preferred_one_whatever_the_scores(self, acme: str, a1: str) -> None:
        create(acme, "a-2")
        services.update_agent(tenant=acme, agent_id="a-2", tags=["eu", 'q"'], by=ALICE)

        assert route(acme, "t-1", prefer=Preference(tags=("eu", 'q"'))) == "a-2"
        assert route(acme, "t-2", prefer=Preference(agent_id="a-2")) == "a-1"

    def test_one_that_has_all_that_is_required(self, acme: str, a1: str) -> None:
        create(acme, "a-2")
        services.add_capability(
            tenant=acme, agent_id="a-2", name="law", proficiency_level=1, by=ALICE
        )

        assert route(acme, required=[*TRANSLATE, Requirement("law", 1)]) == "a-2"

    def test_nobody_of_another_tenant(self, acme: str, globex: str) -> None:
        create(globex, "g-1")

        assert refusal(acme) == [("no_agents", 0)]


class TestARow:
    def test_made_by_other_rules_is_chosen_last_and_by_its_replayed_agent(
        self, acme: str, a1: str
    ) -> None:
        create(acme, "a-2")
        CurrentAgent.objects.filter(tenant=acme, agent_id=a1).update(fold=1)
        # What the earlier rules wrote.
        labels = '{"capabilities":["translate"],"tags":[]}'
        CurrentAgent.objects.filter(tenant=acme, agent_id=a1).update(labels=labels)

        assert [route(acme, f"t-{n}") for n in range(2)] == ["a-2", "a-1"]
        assert not list(compare(acme)[1])

    def test_made_by_other_rules_whose_agent_cannot_do_it_is_passed_over(
        self, acme: str, a1: str
    ) -> None:
        CurrentAgent.objects.filter(tenant=acme).update(fold=1)

        assert refusal(acme, required=[Requirement("translate", 3)]) == [("no_agents", 0)]

    @pytest.mark.parametrize("agent_id", ["a-1", "ghost"])
    def test_that_lies_costs_a_try_and_nothing_else(
        self, acme: str, a1: str, agent_id: str
    ) -> None:
        create(acme, "a-2")
        services.pause_agent(tenant=acme, agent_id=a1, reason="rest", by=ALICE)
        CurrentAgent.objects.filter(tenant=acme, agent_id=a1).update(
            status="AVAILABLE", agent_id=agent_id
        )

        assert route(acme, prefer=Preference(agent_id=agent_id)) == "a-2"

    def test_keeps_what_the_choice_looks_at(self, acme: str, a1: str) -> None:
        route(acme)
        finish(acme, a1, "t-1")

        row = CurrentAgent.objects.get(tenant=acme)
        agent = current.load(acme, a1).agent
        assert (row.tasks_completed, row.tasks_failed) == (1, 0)
        assert row.idle_since == agent.last_task_ended_at is not None
        assert not list(compare(acme)[1])


class TestNoAgent:
    def test_says_which_capability_nobody_has(self, acme: str, a1: str) -> None:
        with pytest.raises(NoAgent) as refused:
            route(acme, required=[Requirement("translate", 3), Requirement("law")])

        low, missing = refused.value.reasons
        assert (low.code, low.requirement, low.agents) == ("capability", 0, 1)
        assert low.detail == (
            "No agent has translate at level 3 or more. 1 agent has it at level 2 or less."
        )
        assert (missing.code, missing.requirement, missing.agents) == ("capability", 1, 0)
        assert missing.detail == "No agent has law."

    def test_says_when_nobody_has_it_all_together(self, acme: str, a1: str) -> None:
        services.create_agent(
            tenant=acme, agent_id="a-2", name="x", capabilities=[Capability("law", 5)], by=ALICE
        )

        assert refusal(acme, required=[*TRANSLATE, Requirement("law")]) == [("combination", 0)]

    def test_counts_who_could_by_status(self, acme: str) -> None:
        for number in range(1, 7):
            create(acme, f"a-{number}", active=number != 1)
        at: Any = {"tenant": acme, "by": ALICE}
        services.assign_task(agent_id="a-2", task_id="o-1", **at)
        services.assign_task(agent_id="a-3", task_id="o-2", **at)
        services.pause_agent(agent_id="a-4", reason="rest", **at)
        services.record_health_failure(agent_id="a-5", reason="down", **at)
        services.terminate_agent(agent_id="a-6", reason="old", **at)

        with pytest.raises(
            NoAgent, match=r"2 that could are BUSY\. 1 that could is PAUSED\."
        ) as no:
            route(acme)

        assert [(each.code, each.agents) for each in no.value.reasons] == [
            ("registered", 1),
            ("busy", 2),
            ("paused", 1),
            ("unhealthy", 1),
        ]


class TestATaskThatIsTaken:
    @pytest.mark.parametrize(("rule", "end"), [("task_held", False), ("task_completed", True)])
    def test_is_refused_before_anybody_is_looked_for(
        self, acme: str, a1: str, monkeypatch: pytest.MonkeyPatch, rule: str, end: bool
    ) -> None:
        services.assign_task(tenant=acme, agent_id=a1, task_id="t-1", by=ALICE)
        if end:
            finish(acme, a1, "t-1")
        monkeypatch.setattr(candidates, "ranked", lambda *_, **__: pytest.fail("it looked"))

        with pytest.raises(RuleViolated) as refused:
            route(acme)

        assert refused.value.rule == rule

    def test_may_be_routed_again_when_it_failed(self, acme: str, a1: str) -> None:
        create(acme, "a-2")
        services.assign_task(tenant=acme, agent_id=a1, task_id="t-1", by=ALICE)
        services.fail_task(tenant=acme, agent_id=a1, task_id="t-1", error_message="no", by=ALICE)

        assert route(acme) == "a-2"  # a-1 has the worse record now

    def test_is_asked_for_in_a_form_that_a_task_has(self, acme: str, a1: str) -> None:
        wrongs: list[dict[str, Any]] = [
            {"task_id": "-"},
            {"input": {"$confidential": 1}},
            {"required": []},
        ]
        for wrong in wrongs:
            with pytest.raises(InvalidCommand):
                route(acme, **wrong)
        assert current.load(acme, a1).agent.current_task_id is None


AMBIGUOUS = ["capabilities", "tags", "python", "python:4", "a.b", "1", "name"]
TAGS = ["eu", "python", '"python":5', 'python":', '"', "\\", '"\\', "ünï", '"tags":[', "tags", "x"]


def any_agent(rng: random.Random, agent_id: str, tenant: str) -> Agent:
    names = rng.sample(AMBIGUOUS, rng.randint(1, len(AMBIGUOUS)))
    now = NOW - timedelta(microseconds=rng.randrange(1, 4_000_000_000))
    agent = fold(
        decide.create(
            agent_id=agent_id,
            tenant_id=tenant,
            name="x",
            capabilities=[Capability(name, rng.randint(1, 5)) for name in names],
            tags=rng.sample(TAGS, rng.randint(0, 4)),
            metadata={"tasks_completed": 7, "labels": {"python": 5}},
            now=now,
        )
    )
    return msgspec.structs.replace(
        agent,
        intent=rng.choice([Intent.ACTIVE, Intent.ACTIVE, Intent.PAUSED]),
        activated_at=now,
        tasks_completed=rng.choice([0, 0, 3, 100, 12_345]),
        tasks_failed=rng.choice([0, 0, 1, 50]),
        last_task_ended_at=rng.choice([None, now, NOW + timedelta(microseconds=1)]),
    )


def expected(fleet: Sequence[Agent], wanted: Wanted) -> list[str]:
    found = [
        (not wanted.prefer.fits(agent), -match.score, agent.agent_id)
        for agent in fleet
        if agent.intent is Intent.ACTIVE
        and (match := routing.match(agent, wanted.required, NOW)) is not None
    ]
    return [agent_id for _, _, agent_id in sorted(found)]


def test_the_database_orders_agents_exactly_as_the_formula_does(acme: str, globex: str) -> None:
    rng = random.Random()
    fleet = [any_agent(rng, f"{rng.choice('aB-_')}{n:03}", acme) for n in range(200)]
    for tenant in (acme, globex):
        CurrentAgent.objects.bulk_create(
            CurrentAgent(
                tenant_id=tenant, agent_id=each.agent_id, version=1, seq=1, **current.columns(each)
            )
            for each in fleet
        )
    for _ in range(30):
        required = [
            Requirement(name, rng.randint(1, 4))
            for name in rng.sample([*AMBIGUOUS, "nobody-has"], rng.randint(1, 2))
        ]
        prefer = Preference(
            rng.choice([None, None, rng.choice(fleet).agent_id]),
            tuple(rng.sample(TAGS, rng.randint(0, 2))),
        )
        wanted = Wanted(required, prefer)
        ranking = expected(fleet, wanted)
        without = ranking[:2]

        found = candidates.ranked(acme, wanted, NOW, limit=1_000)
        rest = candidates.ranked(acme, wanted, NOW, limit=3, without=without)

        assert found == ranking, wanted
        assert rest == ranking[2:5], wanted
        able = candidates.census(acme, required).by_status.get(Status.AVAILABLE, 0)
        assert able == len(ranking)


def all_at_once(callers: int, act: Callable[[int], Any]) -> list[Any]:
    """What each caller got, an exception too, in a thread and with a connection of its own."""
    barrier = Barrier(callers)

    def call(number: int) -> Any:
        try:
            barrier.wait(10)
            return act(number)
        except Exception as error:  # noqa: BLE001 -- what it is is the test's question
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(call, range(callers)))


@pytest.mark.parametrize(("callers", "agents"), [(12, 5), (6, 9), (8, 8)])
def test_of_n_callers_and_m_agents_as_many_succeed_as_there_are_of_the_fewer(
    acme: str, callers: int, agents: int
) -> None:
    for number in range(agents):
        create(acme, f"a-{number}")

    found = all_at_once(callers, lambda number: route(acme, f"t-{number}"))

    chosen = [each for each in found if isinstance(each, str)]
    refused = [each for each in found if not isinstance(each, str)]
    assert len(chosen) == len(set(chosen)) == min(callers, agents)
    assert all(isinstance(each, NoAgent) for each in refused), refused
    assigned = Event.objects.filter(tenant=acme, type="AgentTaskAssignedEvent")
    assert sorted(assigned.values_list("stream_id", flat=True)) == sorted(chosen)
    assert not list(compare(acme)[1])


def test_of_callers_with_one_task_one_succeeds(acme: str) -> None:
    for number in range(4):
        create(acme, f"a-{number}")

    found = all_at_once(4, lambda _: route(acme, "t-1"))

    assert len([each for each in found if isinstance(each, str)]) == 1
    rules = [each.rule for each in found if isinstance(each, RuleViolated)]
    assert rules == ["task_held"] * 3


def test_the_best_that_is_lost_to_a_race_is_followed_by_the_next(
    acme: str, a1: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for agent_id in ("a-2", "a-3"):
        create(acme, agent_id)
    look = candidates.ranked

    def look_and_lose_two(*given: Any, **more: Any) -> list[str]:
        found = look(*given, **more)
        monkeypatch.undo()
        for agent_id in found[:2]:
            services.assign_task(tenant=acme, agent_id=agent_id, task_id=f"o-{agent_id}", by=ALICE)
        return found

    monkeypatch.setattr(candidates, "ranked", look_and_lose_two)

    assert route(acme, prefer=Preference(agent_id="a-2")) == "a-3"


def test_when_a_whole_page_of_candidates_is_lost_it_looks_again(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        create(acme, f"a-{number}")
    monkeypatch.setattr("agents.routing.AT_ONCE", 2)
    look = candidates.ranked

    def look_and_lose_all(*given: Any, **more: Any) -> list[str]:
        found = look(*given, **more)
        monkeypatch.setattr(candidates, "ranked", look)
        for agent_id in found:
            services.pause_agent(tenant=acme, agent_id=agent_id, reason="rest", by=ALICE)
        return found

    monkeypatch.setattr(candidates, "ranked", look_and_lose_all)

    assert route(acme) == "a-2"
    assert AT_ONCE > 2
