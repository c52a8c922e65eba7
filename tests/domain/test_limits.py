"""What values may look like: at each limit, and one beyond."""

from typing import Any

import pytest

from agents.domain import decide, limits
from agents.domain.errors import InvalidCommand
from events.vocabulary import Capability
from tests.domain.fleet import NOW, creation, registered


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize("agent_id", ["a-1", "A_z", "-_-", "000", "a" * 256])
def test_an_agent_id_may_go_to_the_limits(agent_id: str) -> None:
    assert creation(agent_id=agent_id)[0].agent_id == agent_id


@pytest.mark.parametrize(
    "agent_id",
    ["", "a1", "a" * 257, "a-1\n", "a 1", "a.1", "a/1", "äää", "١٢٣", "a\u212a1", None, 123],
)
def test_an_agent_id_beyond_the_limits_is_refused(agent_id: Any) -> None:
    with pytest.raises(InvalidCommand) as refused:
        creation(agent_id=agent_id)

    assert refused.value.field == "agent_id"


@pytest.mark.parametrize("key", ["t", "7", "t-9", "a.b:c_d-e", "k" * 256])
def test_task_ids_and_capability_names_may_go_to_the_limits(key: str) -> None:
    limits.check_task_id(key)
    limits.check_capability_name(key)


@pytest.mark.parametrize(
    "key", ["", "k" * 257, "t\n", ".t", "-t", "_t", ":t", "t 1", "t/1", "é", "٣", None, 7]
)
def test_task_ids_and_capability_names_beyond_the_limits_are_refused(key: Any) -> None:
    with pytest.raises(InvalidCommand):
        limits.check_task_id(key)
    with pytest.raises(InvalidCommand):
        limits.check_capability_name(key)


@pytest.mark.parametrize(
    "details",
    [
        {"name": "n"},
        {"name": "😀" * 256},
        {"description": "d" * 10_000},
        {"agent_type": "t" * 100},
        {"tags": [f"t{n}" for n in range(100)]},
        {"tags": ["t" * 100, "eu west", "größe"]},
        {"health_check_timeout_seconds": 5},
        {"health_check_timeout_seconds": 86400},
        {"metadata": {}},
        {"metadata": {"": [None, True, -(2**63), 2**63 - 1, 1.5, "é😀", {}, []]}},
        {"capabilities": [Capability("a", 1), Capability("b", 5)]},
    ],
)
def test_details_may_go_to_the_limits(details: dict[str, Any]) -> None:
    assert creation(**details)


@pytest.mark.parametrize(
    ("details", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " \t"}, "name"),
        ({"name": "n" * 257}, "name"),
        ({"name": "a\0"}, "name"),
        ({"name": "a\udfff"}, "name"),
        ({"name": None}, "name"),
        ({"name": b"Ada"}, "name"),
        ({"description": "d" * 10_001}, "description"),
        ({"description": None}, "description"),
        ({"agent_type": "t" * 101}, "agent_type"),
        ({"tags": [f"t{n}" for n in range(101)]}, "tags"),
        ({"tags": "eu"}, "tags"),
        ({"tags": {"eu"}}, "tags"),
        ({"tags": ["eu", ""]}, "tags/1"),
        ({"tags": ["t" * 101]}, "tags/0"),
        ({"tags": ["a,b"]}, "tags/0"),
        ({"tags": ["a*"]}, "tags/0"),
        ({"tags": ["a\nb"]}, "tags/0"),
        ({"tags": ["a\x85b"]}, "tags/0"),
        ({"tags": ["a\x7f"]}, "tags/0"),
        ({"tags": ["\ud800"]}, "tags/0"),
        ({"tags": [7]}, "tags/0"),
        ({"tags": ["eu", "us", "eu"]}, "tags/2"),
        ({"health_check_timeout_seconds": 4}, "health_check_timeout_seconds"),
        ({"health_check_timeout_seconds": 86401}, "health_check_timeout_seconds"),
        ({"health_check_timeout_seconds": 90.0}, "health_check_timeout_seconds"),
        ({"health_check_timeout_seconds": True}, "health_check_timeout_seconds"),
        ({"metadata": []}, "metadata"),
        ({"metadata": "x"}, "metadata"),
        ({"capabilities": []}, "capabilities"),
        ({"capabilities": [Capability("-", 1)]}, "capabilities/0/name"),
        ({"capabilities": [Capability("a", 0)]}, "capabilities/0/proficiency_level"),
        (
            {"capabilities": [Capability("a", 1), Capability("b", 6)]},
            "capabilities/1/proficiency_level",
        ),
        ({"capabilities": [Capability("a", True)]}, "capabilities/0/proficiency_level"),
        ({"capabilities": [Capability("a", 1), Capability("a", 2)]}, "capabilities/1/name"),
    ],
)
def test_details_beyond_the_limits_are_refused_by_name(details: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidCommand) as refused:
        creation(**details)

    assert refused.value.field == field
    assert refused.value.detail.startswith("must ")


@pytest.mark.parametrize(
    ("details", "field"),
    [
        ({"name": ""}, "name"),
        ({"description": "d" * 10_001}, "description"),
        ({"tags": ["a,b"]}, "tags/0"),
        ({"metadata": None}, "metadata"),
        ({"health_check_timeout_seconds": 4}, "health_check_timeout_seconds"),
    ],
)
def test_an_update_has_the_limits_of_a_creation(details: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidCommand) as refused:
        decide.update(registered(), **details, now=NOW)

    assert refused.value.field == field


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "text",
        0,
        False,
        [],
        nested(64),
        {"k": nested(63)},
        "x" * (64 * 1024 - 2),
        "é" * (32 * 1024 - 1),
    ],
    ids=["null", "text", "zero", "false", "list", "deep", "deep_object", "long", "long_utf8"],
)
def test_a_payload_may_go_to_the_limits(payload: Any) -> None:
    limits.check_payload(payload, "input")


@pytest.mark.parametrize(
    "payload",
    [
        float("nan"),
        [float("-inf")],
        2**63,
        {"k": -(2**63) - 1},
        10**4000,
        "a\0b",
        ["\ud800"],
        {"\0": 1},
        {"\ud800": 1},
        {7: 1},
        (1, 2),
        {1, 2},
        b"bytes",
        NOW,
        [object()],
        nested(65),
        {"k": nested(64)},
        nested(900),
        "x" * (64 * 1024 - 1),
        "é" * (32 * 1024),
    ],
    ids=lambda payload: repr(payload)[:20],
)
def test_a_payload_beyond_the_limits_is_refused(payload: Any) -> None:
    with pytest.raises(InvalidCommand) as refused:
        limits.check_payload(payload, "input")

    assert refused.value.field == "input"
