"""Casts: every version leads to every other, loses no more than it must, and harms nothing open."""

import json
from itertools import pairwise
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import registry
from events.ancestors.agent_task_completed_1_0 import AgentTaskCompletedEventV1
from events.casters import Caster, Payload
from events.facts import DomainEvent
from events.registry import Kind, MissingCaster
from events.schemas.lock import golden
from events.vocabulary import AgentPausedEvent, AgentTaskCompletedEvent, Usage
from tests.schemas.conftest import Redefine
from tests.schemas.payloads import assert_valid, stored

KINDS = registry.kinds()
NEIGHBOURS = [
    (Kind(name, older), Kind(name, newer))
    for name in registry.types()
    for older, newer in pairwise(registry.versions(name))
]
V1 = Kind("AgentTaskCompletedEvent", "1.0")


def recast(text: bytes, kind: Kind, to: str) -> bytes:
    return registry.recast(text, *kind, to)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_golden_payload_is_read_and_would_be_stored_the_same(kind: Kind) -> None:
    for line in golden(kind):
        fact = msgspec.json.decode(line, type=registry.fact_type(*kind))

        assert msgspec.json.encode(fact) == line


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_golden_payload_becomes_every_other_version(kind: Kind) -> None:
    for line in golden(kind):
        assert isinstance(registry.decoder(*kind)(line), registry.newest(kind.type))
        for version in registry.versions(kind.type):
            assert_valid(recast(line, kind, version), Kind(kind.type, version))


@given(st.sampled_from(NEIGHBOURS), st.data())
@settings(max_examples=50, deadline=None)
def test_up_and_down_again_loses_nothing(pair: tuple[Kind, Kind], data: st.DataObject) -> None:
    older, newer = pair
    text = data.draw(stored(older))
    up = recast(text, older, newer.version)

    assert_valid(up, newer)
    assert recast(up, newer, older.version) == text


@given(st.sampled_from(NEIGHBOURS), st.data())
@settings(max_examples=50, deadline=None)
def test_down_loses_once_and_never_again(pair: tuple[Kind, Kind], data: st.DataObject) -> None:
    older, newer = pair
    down = recast(data.draw(stored(newer)), newer, older.version)
    up = recast(down, older, newer.version)

    assert_valid(down, older)
    assert_valid(up, newer)
    assert recast(up, newer, older.version) == down


RESULTS = [
    "1.0", "1", "-0.0", "-0", "1E5", "1.50", "0.1e1", "1e-400", "12345678901234567890",
    "123456789012345678901234567890", "0.30000000000000004", "1e308", '"\\u00e9\\/\\u2028"',
    '{"a":1, "a":2}', '[ 1.0 ,{"b":1,"a":[]} ]', '{"$confidential":{"key":"k-1"}}',
]  # fmt: skip


@pytest.mark.parametrize("result", RESULTS)
def test_a_cast_leaves_what_is_open_as_it_was_written(result: str) -> None:
    text = golden(V1)[1].replace(b'"result":null', b'"result":' + result.encode())
    up = recast(text, V1, "2.0")

    assert b'"result":' + result.encode() + b"," in up
    assert recast(up, Kind(V1.type, "2.0"), "1.0") == text


def test_what_is_open_inside_a_field_is_left_as_it_was_written_too(redefine: Redefine) -> None:
    class Noted(DomainEvent, frozen=True):
        notes: dict[str, list[Any]]

        @classmethod
        def wire_type(cls) -> str:
            return "AgentNotedEvent"

    class AgentNotedEvent(Noted, frozen=True):
        version: ClassVar[str] = "2.0"
        author: str

        @classmethod
        def wire_type(cls) -> str:
            return "AgentNotedEvent"

    redefine(
        newest=[AgentNotedEvent],
        ancestors=[*registry.ANCESTORS, Noted],
        casters=[*registry.CASTERS, Caster(Noted, "2.0", lambda p: {**p, "author": "x"}, dict)],
    )
    text = b'{"agent_id":"a-1","notes":{"a":[1.50, 1E2]},"occurred_at":"2026-01-05T09:00:00Z"}'

    up = registry.recast(text, "AgentNotedEvent", "1.0", "2.0")

    assert up == text[:-1] + b',"author":"x"}'


def test_a_number_beyond_any_reader_is_refused_and_not_changed() -> None:
    text = golden(V1)[1].replace(b'"result":null', b'"result":1e400')

    with pytest.raises(msgspec.DecodeError):
        recast(text, V1, "2.0")


def test_a_caster_is_given_nothing_but_what_its_version_promises() -> None:
    for wrong in (b"{}", b"[]", b"", b'{"agent_id":"a","task_id":"t","usage":null}'):
        with pytest.raises(msgspec.DecodeError):
            recast(wrong, V1, "2.0")


class PausedTwo(DomainEvent, frozen=True):
    """AgentPausedEvent, with a category."""

    version: ClassVar[str] = "1.1"
    reason: str
    category: str

    @classmethod
    def wire_type(cls) -> str:
        return "AgentPausedEvent"


class PausedThree(DomainEvent, frozen=True):
    """AgentPausedEvent, with what the people who paused it say; the category has another name."""

    version: ClassVar[str] = "1.10"
    reason: str
    kind: str
    notes: dict[str, Any]

    @classmethod
    def wire_type(cls) -> str:
        return "AgentPausedEvent"


def renamed(payload: Payload, old: str, new: str) -> Payload:
    return {new if name == old else name: value for name, value in payload.items()}


def first_up(payload: Payload) -> Payload:
    kept = {name: payload[name] for name in ("agent_id", "reason", "occurred_at")}
    return {**kept, "category": str(payload["reason"]).partition(":")[0]}


def first_down(payload: Payload) -> Payload:
    kept = renamed(payload, "category", "until")
    return {**kept, "until": None, "paused_at": payload["occurred_at"]}


def second_up(payload: Payload) -> Payload:
    return {**renamed(payload, "category", "kind"), "notes": {}}


def second_down(payload: Payload) -> Payload:
    kept = {name: value for name, value in payload.items() if name != "notes"}
    return renamed(kept, "kind", "category")


FIRST = Caster(AgentPausedEvent, "1.1", up=first_up, down=first_down)
SECOND = Caster(PausedTwo, "1.10", up=second_up, down=second_down)


@pytest.fixture
def three_versions(redefine: Redefine) -> None:
    redefine(
        newest=[PausedThree],
        ancestors=[AgentTaskCompletedEventV1, PausedTwo, AgentPausedEvent],
        casters=[*registry.CASTERS, SECOND, FIRST],
    )


@pytest.mark.usefixtures("three_versions")
def test_a_long_way_is_walked_one_neighbour_at_a_time() -> None:
    first = AgentPausedEvent("a-1", reason="load: high")
    text = msgspec.json.encode(first)

    # 1.10 is above 1.1, as no number would be.
    assert registry.versions("AgentPausedEvent") == ("1.0", "1.1", "1.10")
    newest = registry.decoder("AgentPausedEvent", "1.0")(text)
    assert isinstance(newest, PausedThree)
    assert (newest.kind, newest.notes) == ("load", {})
    down = registry.represent(newest, "1.0")
    assert isinstance(down, AgentPausedEvent)
    assert down.reason == "load: high"


@pytest.mark.usefixtures("three_versions")
@pytest.mark.parametrize(
    ("pinned", "expected"),
    [("1.0", "1.0"), ("1.1", "1.1"), ("1.9", "1.1"), ("1.10", "1.10"), ("2.0", "1.10")],
)
def test_a_pin_means_the_highest_version_up_to_it(pinned: str, expected: str) -> None:
    assert registry.served("AgentPausedEvent", pinned) == expected


@pytest.mark.usefixtures("three_versions")
def test_a_type_younger_than_the_pin_is_served_in_its_first_version() -> None:
    assert registry.served("AgentPausedEvent", "0.9") == "1.0"


def test_a_hole_in_the_chain_is_a_named_error(redefine: Redefine) -> None:
    redefine(
        newest=[PausedThree],
        ancestors=[AgentTaskCompletedEventV1, AgentPausedEvent],
        casters=[*registry.CASTERS, FIRST, SECOND],
    )
    text = msgspec.json.encode(AgentPausedEvent("a-1", reason="r"))

    with pytest.raises(MissingCaster, match=r"no caster from 1\.0 to 1\.10"):
        registry.recast(text, "AgentPausedEvent", "1.0", "1.10")


def test_an_old_fact_in_memory_is_represented_in_the_newest_version() -> None:
    old = AgentTaskCompletedEventV1("a-1", "t-7", {"ok": 1.0}, 250)
    newest = registry.represent(old, None)

    assert isinstance(newest, AgentTaskCompletedEvent)
    assert (newest.result, newest.usage) == ({"ok": 1.0}, None)
    assert registry.represent(old, "1.0") is old


def test_the_newest_fact_costs_no_cast() -> None:
    event = AgentTaskCompletedEvent("a-1", "t-7", usage=Usage(1, 2))

    assert registry.represent(event, None) is event
    text = json.dumps({"anything": 1})
    assert registry.recast(text, event.type, "2.0", "2.0") == text.encode()


@pytest.mark.parametrize("pinned", [None, "1.0"])
def test_what_nobody_has_defined_stays_as_it_is(pinned: str | None) -> None:
    """It comes after the commit: an error here would deny what is durable."""

    class AgentDreamtEvent(DomainEvent, frozen=True):
        """Of no release."""

    class Later(AgentTaskCompletedEvent, frozen=True):
        version: ClassVar[str] = "9.0"

        @classmethod
        def wire_type(cls) -> str:
            return "AgentTaskCompletedEvent"

    for event in (AgentDreamtEvent("a-1"), Later("a-1", "t-1")):
        assert registry.represent(event, pinned) is event
