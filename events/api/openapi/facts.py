"""An event on the wire, as a shape: of each type in each version what its `data` holds."""

from typing import Any

from events import registry
from events.api.openapi.shape import MOMENT, UUID, Shape, text, thing
from events.registry import Kind
from events.schemas import document

DIGITS = text(pattern="^[0-9]{1,19}$")
_ABSENT = ("subject", "origin", "reason", "correlationid", "causationid", "traceparent")


def event_shape() -> Shape:
    """CloudEvent: one of all kinds there are."""
    return _EVENT


ATTRIBUTES = Shape(
    {
        **thing(
            None,
            {
                "specversion": Shape({"const": "1.0"}),
                "id": UUID,
                "source": text().saying(
                    "`/tenants/acme/agents/a-1`; of the tenant's own facts `/tenants/acme`."
                ),
                "subject": text().saying("The agent's id; absent in the tenant's own facts."),
                "time": MOMENT.saying("When it happened, as its author says."),
                "datacontenttype": Shape({"const": "application/json"}),
                "dataschema": Shape({"type": "string", "format": "uri"}),
                "tenant": text(),
                "seq": DIGITS,
                "streamversion": DIGITS,
                "recordedat": MOMENT.saying("When it came into the log; never decreases."),
                "actor": text(),
                "origin": text().saying("JSON text: address and user agent. For who may audit."),
                "reason": text(),
                "correlationid": text(),
                "causationid": text(),
                "traceparent": text(),
                "hash": text(pattern="^[0-9a-f]{64}$"),
            },
            optional=_ABSENT,
        ).schema,
        "additionalProperties": True,  # closed by each kind
    },
    "CloudEventAttributes",
)


def _event(kind: Kind) -> Shape:
    own = {
        "type": Shape({"const": kind.type}),
        "schemaversion": Shape({"const": kind.version}),
        "data": _data(kind),
    }
    schema = {
        "allOf": [ATTRIBUTES],
        "properties": own,
        "required": list(own),
        "unevaluatedProperties": False,
    }
    return Shape(schema, _name(kind))


def _data(kind: Kind) -> Shape:
    """The registry's own JSON Schema, whose definitions become components."""
    schema = document.document(*kind)
    own = {key: each for key, each in schema.items() if key not in ("$schema", "$id", "$defs")}
    return Shape(_referring(own, schema.get("$defs", {})), f"{_name(kind)}_data")


def _referring(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_referring(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    target = schema.get("$ref")
    if isinstance(target, str):
        return _definition(target.removeprefix("#/$defs/"), definitions)
    return {key: _referring(each, definitions) for key, each in schema.items()}


_DEFINITIONS: dict[str, tuple[Any, Shape]] = {}


def _definition(name: str, definitions: dict[str, Any]) -> Shape:
    """One component for what many facts hold, as long as it is the same."""
    schema, shape = _DEFINITIONS.get(name, (None, None))
    if shape is None or schema != definitions[name]:
        shape = Shape(_referring(definitions[name], definitions), name)
        _DEFINITIONS[name] = definitions[name], shape
    return shape


def _name(kind: Kind) -> str:
    """The newest has the type's own name, so that a new version renames the older one."""
    is_newest = registry.versions(kind.type)[-1] == kind.version
    return kind.type if is_newest else f"{kind.type}_{kind.version}"


_EVENT = Shape(
    {
        "oneOf": [_event(kind) for kind in registry.kinds()],
        "description": "CloudEvents 1.0. What is absent is left out. `type` and `schemaversion` "
        "say which of these it is.",
    },
    "CloudEvent",
)
