"""The body of a request, as the shape that its Order takes."""

from typing import Any

from rest_framework import serializers

from events.api.fields import Order
from events.api.openapi.shape import Shape, or_null, some_of, thing

Field = serializers.Field[Any, Any, Any, Any]


def shape_of(order: type[Order]) -> Shape:
    """Raises TypeError for a field that does not say what it takes."""
    found = _SHAPES.get(order)
    if found is None:
        fields = order().fields
        _SHAPES[order] = found = thing(
            order.__name__,
            {name: _field(each) for name, each in fields.items()},
            optional=[name for name, each in fields.items() if not each.required],
            description=_words(order),
        )
    return found


_SHAPES: dict[type[Order], Shape] = {}


def _field(field: Field) -> Shape:
    shape = _plain(field)
    return or_null(shape) if field.allow_null and shape.schema else shape


def _plain(field: Field) -> Shape:
    if isinstance(field, Order):
        return shape_of(type(field))
    said = getattr(field, "shape", None)
    if not isinstance(said, Shape):
        raise TypeError(f"{field.field_name} of an order says no shape: see docs/openapi.md.")
    if isinstance(field, serializers.ListField):
        return Shape({**some_of(_field(field.child)).schema, **said.schema})
    return said


def _words(order: type[Order]) -> str:
    own = order.__dict__.get("__doc__")
    return " ".join(own.split()) if own else ""
