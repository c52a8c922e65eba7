"""Payloads of any definition, for Hypothesis, and JSON Schema's verdict on them."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from msgspec import inspect

from events import registry
from events.registry import Kind
from events.schemas import document

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001

formats = FormatChecker(formats=())


@formats.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@cache
def validator(kind: Kind) -> Draft202012Validator:
    return Draft202012Validator(document.document(*kind), format_checker=formats)


def assert_valid(text: bytes, kind: Kind) -> None:
    """By the schema that strangers see, and by our decoder."""
    validator(kind).validate(msgspec.json.decode(text))
    msgspec.json.decode(text, type=registry.fact_type(*kind))


@cache
def stored(kind: Kind) -> st.SearchStrategy[bytes]:
    """Texts as the log holds them."""
    definition = registry.fact_type(*kind)
    values = _of(inspect.type_info(definition))
    return values.map(lambda value: msgspec.json.encode(msgspec.convert(value, definition)))


def _of(kind: Any) -> st.SearchStrategy[Any]:
    return _STRATEGIES[type(kind)](kind)


def _integers(kind: Any) -> st.SearchStrategy[int]:
    lowest = -(2**63) if kind.ge is None else kind.ge
    return st.integers(lowest, 2**63 - 1 if kind.le is None else kind.le)


def _floats(kind: Any) -> st.SearchStrategy[float]:
    return st.floats(kind.ge, kind.le, allow_nan=False, allow_infinity=False)


def _fields(kind: Any) -> st.SearchStrategy[dict[str, Any]]:
    fields = {field.encode_name: _of(field.type) for field in kind.fields}
    required = {name for name in fields if isinstance(kind, inspect.StructType)}
    optional = {name: fields[name] for name in fields if name not in required}
    return st.fixed_dictionaries({name: fields[name] for name in required}, optional=optional)


_STRATEGIES: dict[type, Callable[[Any], st.SearchStrategy[Any]]] = {
    inspect.AnyType: lambda _: JSON,
    inspect.NoneType: lambda _: st.none(),
    inspect.BoolType: lambda _: st.booleans(),
    inspect.IntType: _integers,
    inspect.FloatType: _floats,
    inspect.StrType: lambda _: TEXT,
    inspect.DateTimeType: lambda _: MOMENTS,
    inspect.UnionType: lambda kind: st.one_of([_of(each) for each in kind.types]),
    inspect.ListType: lambda kind: st.lists(_of(kind.item_type), max_size=3),
    inspect.VarTupleType: lambda kind: st.lists(_of(kind.item_type), max_size=3),
    inspect.DictType: lambda kind: st.dictionaries(
        _of(kind.key_type), _of(kind.value_type), max_size=3
    ),
    inspect.StructType: _fields,
    inspect.TypedDictType: _fields,
}
