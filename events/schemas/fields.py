"""An event type as a person reads it: its fields over all versions, and the way between two.

Made of the registry alone: what a field may hold is said in the words of its JSON Schema.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from inspect import cleandoc, getmodule
from itertools import pairwise
from typing import Any

import msgspec

from events import registry
from events.casters import Caster
from events.registry import Kind
from events.schemas import document, lock

Schema = Mapping[str, Any]
BOUNDS = {"minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
FORMATS = {"date-time": "moment", "uuid": "UUID"}
WHOLE = "whole "
UNBOUNDED = 2**63 - 1  # what no integer of the log exceeds is nothing to tell
WORDS = {None: "any JSON", "integer": f"{WHOLE}number", "boolean": "true or false"}


@dataclass(frozen=True, slots=True)
class Field:
    """holds: what it may hold, in words. since: the first version with it, so; until: the last one,
    None while the newest has it."""

    name: str
    holds: str
    since: str
    until: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """From one version to the next, or back. words: of whoever wrote the caster; changes: what it
    does to the golden payload, field by field."""

    older: str
    newer: str
    words: str
    up: Sequence[str]
    down: Sequence[str]


@cache
def fields(type: str) -> tuple[Field, ...]:
    """Every field that any version has, in the order in which the newest has them; then those that
    are gone. Raises registry.UnknownFact."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    versions = registry.versions(type)
    for version in versions:
        schema = document.document(type, version)
        for name, part in schema["properties"].items():
            kept = name, in_words(part, schema.get("$defs", {}))
            found[kept] = found.get(kept, (version, version))[0], version
    order = list(document.document(type, versions[-1])["properties"])
    rows = [
        Field(name, holds, since, None if last == versions[-1] else last)
        for (name, holds), (since, last) in found.items()
    ]
    gone = len(order)
    return tuple(
        sorted(
            rows,
            key=lambda row: (
                row.until is not None,
                order.index(row.name) if row.name in order else gone,
            ),
        )
    )


def in_words(part: Schema, definitions: Mapping[str, Schema]) -> str:
    """What a part of a schema lets through."""
    if "$ref" in part:
        return in_words(definitions[part["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in part:
        kinds = sorted(part["anyOf"], key=lambda each: each.get("type") == "null")
        words = dict.fromkeys(in_words(each, definitions) for each in kinds)
        # What may be a whole number or any other is a number.
        return " or ".join(
            each
            for each in words
            if not (each.startswith(WHOLE) and each.removeprefix(WHOLE) in words)
        )
    kind = part.get("type")
    if kind == "object":
        return _object(part, definitions)
    if kind == "array":
        inner = part.get("items")
        return f"list of {in_words(inner, definitions)}" if inner else "list"
    if kind == "string":
        return FORMATS.get(part.get("format", ""), "text") + _bounded(part)
    return WORDS.get(kind, str(kind)) + _bounded(part)


def _object(part: Schema, definitions: Mapping[str, Schema]) -> str:
    if "properties" in part:
        inner = (
            f"{name}: {in_words(each, definitions)}" for name, each in part["properties"].items()
        )
        return "{" + ", ".join(inner) + "}"
    values = part.get("additionalProperties")
    return f"names to {in_words(values, definitions)}" if isinstance(values, dict) else "object"


def _bounded(part: Schema) -> str:
    told = ((sign, part[word]) for word, sign in BOUNDS.items() if word in part)
    return "".join(f" {sign} {bound}" for sign, bound in told if abs(bound) < UNBOUNDED)


@cache
def steps(type: str) -> tuple[Step, ...]:
    """The way through the versions, the oldest step first. Raises registry.UnknownFact."""
    casters = {(each.older, each.newer): each for each in registry.CASTERS if each.type == type}
    return tuple(
        Step(
            older,
            newer,
            _words_of(casters.get((older, newer))),
            _changes(sample(Kind(type, older)), Kind(type, older), newer),
            _changes(sample(Kind(type, newer)), Kind(type, newer), older),
        )
        for older, newer in pairwise(registry.versions(type))
    )


def _words_of(caster: Caster | None) -> str:
    if caster is None:
        return ""
    spoken = (each.__doc__ for each in (caster.up, caster.down))
    module = getmodule(caster.definition)
    words = [*filter(None, spoken)] or [(module.__doc__ if module else None) or ""]
    return " ".join(cleandoc(each) for each in words)


def sample(kind: Kind) -> bytes:
    """A payload as it was stored in this version: the first of the golden ones."""
    return lock.golden(kind)[0]


def _changes(payload: bytes, kind: Kind, to_version: str) -> tuple[str, ...]:
    before = _decode(payload)
    after = _decode(registry.recast(payload, kind.type, kind.version, to_version))
    return tuple(_told(before, after))


def _decode(payload: bytes) -> dict[str, bytes]:
    raw = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    return {name: bytes(value) for name, value in raw.items()}


def _told(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterable[str]:
    for name in after:
        if name not in before:
            yield f"adds {name}: {after[name].decode()}"
        elif after[name] != before[name]:
            yield f"turns {name}: {before[name].decode()} into {after[name].decode()}"
    for name in before:
        if name not in after:
            yield f"leaves out {name}"
