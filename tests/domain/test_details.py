"""Updating details, and the capabilities an agent adds and improves."""

from typing import Any

import pytest

from agents.domain import decide
from agents.domain.errors import InvalidCommand, RuleViolated
from agents.domain.evolve import fold
from events.vocabulary import (
    AgentCapabilityAddedEvent,
    AgentCapabilityUpgradedEvent,
    AgentDetailsChangedEvent,
    Capability,
)
from tests.domain.fleet import EVERY_STATE, NOW, available, registered, terminated

LIVING = [name for name in EVERY_STATE if name != "terminated"]
DETAILS: dict[str, Any] = {
    "name": "Ada",
    "description": "Reads",
    "tags": ["eu", "night"],
    "metadata": {"rack": 7},
    "health_check_timeout_seconds": 60,
}


def test_an_update_records_what_really_changed_and_nothing_else() -> None:
    agent = registered(**DETAILS)
    facts = decide.update(agent, **(DETAILS | {"name": "Bea", "tags": ["eu"]}), now=NOW)

    assert facts == [
        AgentDetailsChangedEvent("a-1", {"name": "Bea", "tags": ["eu"]}, occurred_at=NOW)
    ]


def test_an_update_is_remembered() -> None:
    new: dict[str, Any] = {
        "name": "Bea",
        "description": "Writes",
        "tags": ["us"],
        "metadata": {"rack": [8]},
        "health_check_timeout_seconds": 86400,
    }
    agent = fold(decide.update(registered(), **new, now=NOW), registered())

    assert agent.tags == ("us",)
    assert {field: getattr(agent, field) for field in new} == new | {"tags": ("us",)}


@pytest.mark.parametrize("order", [{}, DETAILS, {"tags": ("eu", "night")}])
def test_an_update_that_changes_nothing_records_nothing(order: dict[str, Any]) -> None:
    assert decide.update(registered(**DETAILS), **order, now=NOW) == []


def test_the_order_of_keys_is_no_change() -> None:
    agent = registered(metadata={"a": 1, "b": 2})

    assert decide.update(agent, metadata={"b": 2, "a": 1}, now=NOW) == []


@pytest.mark.parametrize("value", [1.0, True])
def test_what_differs_in_json_is_a_change_though_python_calls_it_equal(value: object) -> None:
    assert decide.update(registered(metadata={"a": 1}), metadata={"a": value}, now=NOW) != []


@pytest.mark.parametrize("state", LIVING)
def test_every_living_agent_is_updated_without_a_status_change(state: str) -> None:
    assert len(decide.update(EVERY_STATE[state](), name="Bea", now=NOW)) == 1


@pytest.mark.parametrize("order", [{}, {"name": "Bea"}])
def test_a_terminated_agent_is_not_updated(order: dict[str, Any]) -> None:
    with pytest.raises(RuleViolated, match="cannot be changed") as refused:
        decide.update(terminated(), **order, now=NOW)

    assert refused.value.rule == "agent_terminated"


def test_a_new_capability_comes_last() -> None:
    facts = decide.add_capability(available(), name="write", proficiency_level=1, now=NOW)

    assert facts == [AgentCapabilityAddedEvent("a-1", "write", 1, occurred_at=NOW)]
    assert fold(facts, available()).capabilities == (
        Capability("translate", 3),
        Capability("write", 1),
    )


def test_a_capability_is_added_once() -> None:
    with pytest.raises(RuleViolated, match="has translate already, at level 3") as refused:
        decide.add_capability(available(), name="translate", proficiency_level=5, now=NOW)

    assert refused.value.rule == "capability_exists"


def test_an_upgraded_capability_keeps_its_place() -> None:
    agent = available(capabilities=[Capability("translate", 3), Capability("write", 1)])
    facts = decide.upgrade_capability(agent, name="translate", proficiency_level=5, now=NOW)

    assert facts == [AgentCapabilityUpgradedEvent("a-1", "translate", 3, 5, occurred_at=NOW)]
    assert fold(facts, agent).capabilities == (Capability("translate", 5), Capability("write", 1))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_level_only_rises(level: int) -> None:
    with pytest.raises(RuleViolated, match="level from 4 to 5") as refused:
        decide.upgrade_capability(available(), name="translate", proficiency_level=level, now=NOW)

    assert refused.value.rule == "level_not_higher"


def test_there_is_no_level_above_the_highest() -> None:
    agent = available(capabilities=[Capability("translate", 5)])

    with pytest.raises(RuleViolated, match="There is none above"):
        decide.upgrade_capability(agent, name="translate", proficiency_level=5, now=NOW)


def test_a_missing_capability_is_not_upgraded() -> None:
    with pytest.raises(RuleViolated, match="Add it first") as refused:
        decide.upgrade_capability(available(), name="write", proficiency_level=2, now=NOW)

    assert refused.value.rule == "capability_missing"


@pytest.mark.parametrize("learn", [decide.add_capability, decide.upgrade_capability])
@pytest.mark.parametrize("level", [0, 6, True, 2.0, "2", None])
def test_a_level_is_a_whole_number_from_1_to_5(learn: Any, level: Any) -> None:
    with pytest.raises(InvalidCommand) as refused:
        learn(available(), name="translate", proficiency_level=level, now=NOW)

    assert refused.value.field == "proficiency_level"


@pytest.mark.parametrize("learn", [decide.add_capability, decide.upgrade_capability])
def test_a_terminated_agent_learns_nothing(learn: Any) -> None:
    with pytest.raises(RuleViolated, match="cannot learn") as refused:
        learn(terminated(), name="translate", proficiency_level=4, now=NOW)

    assert refused.value.rule == "agent_terminated"


@pytest.mark.parametrize("state", LIVING)
def test_every_living_agent_learns_without_a_status_change(state: str) -> None:
    agent = EVERY_STATE[state]()

    assert len(decide.add_capability(agent, name="write", proficiency_level=1, now=NOW)) == 1
    assert (
        len(decide.upgrade_capability(agent, name="translate", proficiency_level=4, now=NOW)) == 1
    )
