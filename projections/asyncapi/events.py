"""The events as components: of each type in each version its `data`, and the CloudEvent around it.

AsyncAPI reads schemas as JSON Schema draft 7. Of what the registry's schemas are made of, only
`$defs` has another meaning there; what stands in it becomes components.
"""

from typing import Any

from events import registry
from events.api.openapi.facts import ATTRIBUTES
from events.api.openapi.shape import Schema, Shape
from events.registry import Kind
from events.schemas import document

CONTENT_TYPE = "application/cloudevents+json"
ENVELOPE = "CloudEvent"
_SCHEMAS = "#/components/schemas/"
_NOT_HERE = ("$schema", "$id", "$defs")


def name_of(kind: Kind) -> str:
    return f"{kind.type}-{kind.version}"


def newest() -> list[Kind]:
    return [Kind(name, registry.versions(name)[-1]) for name in registry.types()]


def event_ref(kind: Kind) -> Schema:
    return {"$ref": f"{_SCHEMAS}{name_of(kind)}"}


def schemas() -> dict[str, Schema]:
    """The components. Raises TypeError when two definitions of one name differ."""
    found: dict[str, Schema] = {ENVELOPE: _envelope()}
    for kind in registry.kinds():
        data = document.document(*kind)
        for name, definition in data.get("$defs", {}).items():
            shared = _referring(definition)
            if found.setdefault(name, shared) != shared:
                raise TypeError(f"{kind} has another {name} than the facts before it.")
        own = {key: value for key, value in data.items() if key not in _NOT_HERE}
        found[f"{name_of(kind)}-data"] = _referring(own)
        found[name_of(kind)] = _event(kind, data["description"])
    return found


def _envelope() -> Schema:
    """All attributes; which of them an event has, and what they are, its own schema narrows."""
    schema: Schema = _plain(ATTRIBUTES.schema)
    open_to_all = {"type": {"type": "string"}, "schemaversion": {"type": "string"}, "data": {}}
    schema["properties"] |= open_to_all
    schema["required"] = [*schema["required"], *open_to_all]
    schema["additionalProperties"] = False
    schema["description"] = "CloudEvents 1.0. What is absent is left out."
    return schema


def _event(kind: Kind, description: str) -> Schema:
    of_agent = registry.fact_type(*kind) in (*registry.DOMAIN_EVENTS, *_agents_ancestors())
    properties: Schema = {
        "type": {"const": kind.type},
        "schemaversion": {"const": kind.version},
        "dataschema": {"pattern": f"{document.path(*kind).replace('.', '[.]')}$"},
        "data": {"$ref": f"{_SCHEMAS}{name_of(kind)}-data"},
    }
    own: Schema = {"properties": properties}
    if of_agent:
        properties["source"] = {"pattern": "^/tenants/[^/]+/agents/[^/]+$"}
        own["required"] = ["subject"]
    else:
        properties["source"] = {"pattern": "^/tenants/[^/]+$"}
        properties["subject"] = False
    return {
        "title": kind.type,
        "description": description,
        "allOf": [{"$ref": f"{_SCHEMAS}{ENVELOPE}"}, own],
    }


def _agents_ancestors() -> tuple[type, ...]:
    newest_of = {fact.wire_type() for fact in registry.DOMAIN_EVENTS}
    return tuple(fact for fact in registry.ANCESTORS if fact.wire_type() in newest_of)


def _referring(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_referring(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    target = schema.get("$ref")
    if isinstance(target, str):
        return {"$ref": _SCHEMAS + target.removeprefix("#/$defs/")}
    return {key: _referring(each) for key, each in schema.items()}


def _plain(schema: Any) -> Any:
    """Shapes as the schemas that they are."""
    if isinstance(schema, Shape):
        return _plain(schema.schema)
    if isinstance(schema, dict):
        return {key: _plain(each) for key, each in schema.items()}
    return [_plain(each) for each in schema] if isinstance(schema, list) else schema
