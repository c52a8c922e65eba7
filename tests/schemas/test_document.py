"""The JSON Schemas: complete, valid by their own standard, and true of what is stored."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from events import registry
from events.facts import DomainEvent
from events.registry import Kind, UnknownFact
from events.schemas import document
from events.schemas.lock import golden
from tests.schemas.conftest import Redefine
from tests.schemas.payloads import assert_valid, stored, validator

KINDS = registry.kinds()
each_kind = pytest.mark.parametrize("kind", KINDS, ids=str)
COMPLETED = Kind("AgentTaskCompletedEvent", "2.0")


def reachable(schema: Any, root: dict[str, Any]) -> None:
    """Follow every $ref; KeyError for one that leads nowhere."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            assert schema["$ref"].startswith("#/$defs/")
            root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        for part in schema.values():
            reachable(part, root)
    elif isinstance(schema, list):
        for part in schema:
            reachable(part, root)


@each_kind
def test_a_schema_is_valid_and_complete_on_its_own(kind: Kind) -> None:
    schema = json.loads(document.served(*kind))

    Draft202012Validator.check_schema(schema)
    reachable(schema, schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"/api/v1/schemas/{kind.type}/{kind.version}"
    assert schema["title"] == kind.type
    assert schema["description"].endswith(".")
    assert "  " not in schema["description"]


@each_kind
def test_a_schema_names_every_field_and_admits_no_other(kind: Kind) -> None:
    schema = document.document(*kind)

    assert schema["additionalProperties"] is False
    assert list(schema["properties"]) == schema["required"]
    assert tuple(schema["required"]) == registry.fact_type(*kind).__struct_encode_fields__


@each_kind
def test_golden_payloads_are_valid(kind: Kind) -> None:
    for line in golden(kind):
        assert_valid(line, kind)


@given(st.sampled_from(KINDS), st.data())
@settings(max_examples=50, deadline=None)
def test_whatever_can_be_stored_is_valid(kind: Kind, data: st.DataObject) -> None:
    assert_valid(data.draw(stored(kind)), kind)


@pytest.mark.parametrize(
    "change",
    [
        {"surprise": 1},
        {"task_id": None},
        {"task_id": 7},
        {"execution_time_ms": -1},
        {"execution_time_ms": "12"},
        {"completed_at": "yesterday"},
        {"completed_at": "2026-01-05T09:00:00"},
        {"usage": {}},
        {"usage": {"input_tokens": 1, "output_tokens": -1}},
        {"usage": {"input_tokens": 1, "output_tokens": 1, "cached": 1}},
        {"usage": {"input_tokens": 1, "output_tokens": 2**63}},
    ],
    ids=str,
)
def test_schema_and_decoder_refuse_the_same(change: dict[str, Any]) -> None:
    payload = json.loads(golden(COMPLETED)[0]) | change

    with pytest.raises(ValidationError):
        validator(COMPLETED).validate(payload)
    with pytest.raises(msgspec.ValidationError):
        registry.decoder(*COMPLETED)(json.dumps(payload))


def test_a_missing_field_is_not_what_the_log_writes() -> None:
    payload = json.loads(golden(COMPLETED)[0])
    del payload["usage"]

    with pytest.raises(ValidationError, match="'usage' is a required property"):
        validator(COMPLETED).validate(payload)


def test_what_does_not_exist_has_no_schema() -> None:
    for kind in (Kind("AgentDancedEvent", "1.0"), Kind(COMPLETED.type, "3.0")):
        with pytest.raises(UnknownFact):
            document.served(*kind)


def test_words_are_no_part_of_the_shape_and_all_else_is(redefine: Redefine) -> None:
    class AgentNamedEvent(DomainEvent, frozen=True):
        """One way to say it."""

        title: str
        description: str

    redefine(newest=[AgentNamedEvent])
    before = document.document("AgentNamedEvent", "1.0")
    AgentNamedEvent.__doc__ = "Another\n\n    way."
    after = document.document("AgentNamedEvent", "1.0")

    assert after["description"] == "Another way."
    assert document.sha256(before) != document.sha256(after)
    assert document.shape(before) == document.shape(after)
    # Properties that are called like the words stay.
    assert {"title", "description"} < set(document.shape(after)["properties"])


def test_a_default_is_not_seen_by_readers(redefine: Redefine) -> None:
    class AgentNamedEvent(DomainEvent, frozen=True):
        name: str

    redefine(newest=[AgentNamedEvent])
    before = document.shape(document.document("AgentNamedEvent", "1.0"))

    class Later(DomainEvent, frozen=True):
        name: str = "nobody"

        @classmethod
        def wire_type(cls) -> str:
            return "AgentNamedEvent"

    redefine(newest=[Later])
    assert document.shape(document.document("AgentNamedEvent", "1.0")) == before


def test_the_hash_is_that_of_sorted_keys_without_white_space() -> None:
    assert document.sha256({"b": "é", "a": [1]}) == (
        # printf '{"a":[1],"b":"é"}' | sha256sum
        "04f34bc0940adae4d1055943965f4f1a5617be528e5e463451aa03f0ecff81f3"
    )
