"""Who can do a task, and how well each is suited."""

from typing import Any

import msgspec
import pytest

from agents.domain import routing
from agents.domain.errors import InvalidCommand
from agents.domain.routing import Match, Preference, Requirement
from agents.domain.state import Agent
from events.vocabulary import Capability
from tests.domain.fleet import NOW, available, later

PYTHON = Requirement("python")


def agent(python: int = 3, **facts: Any) -> Agent:
    return msgspec.structs.replace(
        available(capabilities=(Capability("python", python), Capability("review", 2))), **facts
    )


def matched(one: Agent, *required: Requirement, after_seconds: float = 0) -> Match:
    found = routing.match(one, required or (PYTHON,), later(after_seconds))
    assert found is not None
    return found


def test_who_lacks_a_capability_or_a_level_cannot_do_it() -> None:
    for required in (Requirement("rust"), Requirement("python", 4)):
        assert routing.match(agent(), [PYTHON, required], NOW) is None
    assert routing.match(agent(4), [Requirement("python", 4)], NOW) is not None


def test_the_capability_factor_is_the_mean_level_of_what_is_required() -> None:
    assert matched(agent(5)).capability == 1
    assert matched(agent(3)).capability == 0.6
    assert matched(agent(4), PYTHON, Requirement("review")).capability == 0.6


def test_a_new_agent_counts_like_one_that_mostly_succeeds() -> None:
    assert matched(agent()).success == 0.8
    proven = matched(agent(tasks_completed=95, tasks_failed=0)).success
    failing = matched(agent(tasks_completed=1, tasks_failed=9)).success

    assert proven == 0.99
    assert failing == pytest.approx(1 / 3)


def test_one_success_does_not_make_a_new_agent_better_than_a_proven_one() -> None:
    lucky = matched(agent(tasks_completed=1))
    proven = matched(agent(tasks_completed=980, tasks_failed=20))

    assert lucky.success < proven.success


def test_idleness_counts_from_the_last_task_or_else_from_the_activation() -> None:
    assert matched(agent(), after_seconds=600).idle == 0.5
    worked = agent(last_task_ended_at=later(600))

    assert matched(worked, after_seconds=660).idle_seconds == 60
    assert matched(worked, after_seconds=600).idle == 0


def test_a_clock_that_is_behind_makes_nobody_less_than_not_idle() -> None:
    assert matched(agent(last_task_ended_at=later(60))).idle_seconds == 0


def test_the_score_is_the_weighted_sum_and_never_above_one() -> None:
    perfect = matched(agent(5, tasks_completed=10**9), after_seconds=10**9)

    assert matched(agent(), after_seconds=600).score == pytest.approx(0.3 + 0.24 + 0.1)
    assert 0.999 < perfect.score <= 1


def test_a_less_used_agent_overtakes_a_proven_one_in_time() -> None:
    proven = agent(tasks_completed=95, last_task_ended_at=later(3_600))
    new = agent(activated_at=later(3_600 - 300))

    assert matched(proven, after_seconds=3_600).score < matched(new, after_seconds=3_600).score


def test_a_preference_is_for_one_that_is_and_has_all_of_it() -> None:
    eu = agent(tags=("eu", "gpu"))

    assert Preference("a-1", ("eu",)).fits(eu)
    assert not Preference("a-2", ("eu",)).fits(eu)
    assert not Preference(None, ("eu", "arm")).fits(eu)
    assert not Preference()


@pytest.mark.parametrize(
    ("required", "prefer", "field"),
    [
        ([], Preference(), "required_capabilities"),
        ([Requirement(f"c{n}") for n in range(21)], Preference(), "required_capabilities"),
        ([Requirement("-x")], Preference(), "required_capabilities/0/name"),
        ([PYTHON, Requirement("x", 0)], Preference(), "required_capabilities/1/min_level"),
        ([Requirement("x", 6)], Preference(), "required_capabilities/0/min_level"),
        ([PYTHON, PYTHON], Preference(), "required_capabilities/1/name"),
        ([PYTHON], Preference("a b"), "prefer/agent_id"),
        ([PYTHON], Preference(None, ("eu", "a*")), "prefer/tags/1"),
        ([PYTHON], Preference(None, ("eu", "eu")), "prefer/tags/1"),
    ],
)
def test_what_no_task_can_ask_for_is_named(
    required: list[Requirement], prefer: Preference, field: str
) -> None:
    with pytest.raises(InvalidCommand) as refused:
        routing.check(required, prefer)

    assert refused.value.field == field
