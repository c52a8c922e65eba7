"""The JSON Schema (2020-12) of one version of a fact, generated from its typed definition.

A schema is complete on its own. It describes a payload as the log writes one, and so as every
reader gets it: all fields there, none beyond them.
"""

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from events import registry

DIALECT = "https://json-schema.org/draft/2020-12/schema"
CONTENT_TYPE = "application/schema+json"
WORDS = ("title", "description")

Schema = dict[str, Any]


def path(type: str, version: str) -> str:
    """Where a schema is served, and its `$id`: one document, and one hash, whoever serves it. A
    reader's tools resolve it against the address that they had the schema from."""
    return f"/api/v1/schemas/{type}/{version}"


@cache
def served(type: str, version: str) -> bytes:
    """The schema as readers get it. Raises registry.UnknownFact."""
    return msgspec.json.format(msgspec.json.encode(document(type, version)), indent=2) + b"\n"


def document(type: str, version: str) -> Schema:
    """The schema. Raises registry.UnknownFact."""
    definition = registry.fact_type(type, version)
    generated = msgspec.json.schema(definition)
    nested = generated["$defs"]
    own = nested.pop(definition.__name__)
    for schema in (each for root in (own, *nested.values()) for each in _schemas(root)):
        _describe_what_is_written(schema)
    found: Schema = {"$schema": DIALECT, "$id": path(type, version)} | own | {"title": type}
    return found | {"$defs": nested} if nested else found


def _describe_what_is_written(schema: Schema) -> None:
    """A decoder forgives a field that has a default; what is written has them all."""
    schema.pop("default", None)
    if schema.get("additionalProperties") is False:
        schema["required"] = list(schema["properties"])
    if not schema.get("required", True):
        del schema["required"]
    if "description" in schema:
        schema["description"] = " ".join(schema["description"].split())


def _schemas(schema: Schema) -> Iterator[Schema]:
    """The schema and all that stand in it, told from properties that bear a keyword's name."""
    yield schema
    for keyword in ("properties", "$defs"):
        for each in schema.get(keyword, {}).values():
            yield from _schemas(each)
    for keyword in ("anyOf", "prefixItems"):
        for each in schema.get(keyword, ()):
            yield from _schemas(each)
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from _schemas(schema[keyword])


def sha256(schema: Schema) -> str:
    """Of the schema's canonical JSON: keys sorted, no white space, UTF-8. In hex."""
    canonical = json.dumps(schema, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def shape(schema: Schema) -> Schema:
    """The schema without its words: all that says whether a payload is valid."""
    copy: Schema = msgspec.json.decode(msgspec.json.encode(schema))
    for each in _schemas(copy):
        for word in WORDS:
            each.pop(word, None)
    return copy
