"""What stands on the wire, as JSON Schema 2020-12: written once, beside what makes or reads it.

    NAME = text(most=256, filled=True)
    MEMBER = thing("Member", {"username": NAME, "role": choice(ROLES), "suspended": TRUTH})
    MEMBERS = listing(MEMBER)

A shape with a name is a component of the document; without one it stands where it is used.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

Schema = dict[str, Any]  # in which a Shape may stand wherever a schema may


@dataclass(frozen=True, eq=False)
class Shape:
    schema: Schema = field(default_factory=dict)
    name: str | None = None

    def __deepcopy__(self, _: object) -> Self:
        return self  # DRF copies what it builds fields of with every request

    def saying(self, description: str) -> "Shape":
        """The same, and what it means here."""
        if self.name is not None:
            return Shape({"allOf": [self], "description": description})
        return replace(self, schema={**self.schema, "description": description})


ANYTHING = Shape()
TRUTH = Shape({"type": "boolean"})
OBJECT = Shape({"type": "object"})
MOMENT = Shape({"type": "string", "format": "date-time"})
UUID = Shape({"type": "string", "format": "uuid"})
LARGEST = 2**63 - 1

# Whatever `str.strip` leaves: `\s` of ECMA 262 has other blanks than Python's.
NOT_ALL_BLANK = r"[^\t-\r\x1c- \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"


def text(
    *, most: int | None = None, least: int = 0, pattern: str | None = None, filled: bool = False
) -> Shape:
    """`filled`: not blanks alone. No text holds NUL or a lone surrogate."""
    schema: Schema = {"type": "string"}
    if least or filled:
        schema["minLength"] = least or 1
    if most is not None:
        schema["maxLength"] = most
    if pattern is not None:
        schema["pattern"] = pattern
    elif filled:
        schema["pattern"] = NOT_ALL_BLANK
    return Shape(schema)


TEXT = text()
AGENT_ID = text(pattern="^[A-Za-z0-9_-]{3,256}$")


def whole(least: int = 0, most: int = LARGEST) -> Shape:
    return Shape({"type": "integer", "minimum": least, "maximum": most})


def number(least: float | None = 0, most: float | None = None) -> Shape:
    bounds = {"minimum": least, "maximum": most}
    return Shape({"type": "number"} | {k: v for k, v in bounds.items() if v is not None})


COUNT = whole()
AMOUNT = number()
LOG_SEQ = whole().saying("A place in the tenant's log: 1, 2, 3 … in the order of commits.")


def choice(values: Iterable[str]) -> Shape:
    return Shape({"type": "string", "enum": [str(each) for each in values]})


def some_of(item: Shape, *, most: int | None = None, least: int = 0, once: bool = False) -> Shape:
    """A list; `once`: no item twice."""
    schema: Schema = {"type": "array", "items": item}
    if least:
        schema["minItems"] = least
    if most is not None:
        schema["maxItems"] = most
    if once:
        schema["uniqueItems"] = True
    return Shape(schema)


def or_null(shape: Shape) -> Shape:
    schema = shape.schema
    if shape.name is None and isinstance(schema.get("type"), str) and "enum" not in schema:
        return Shape({**schema, "type": [schema["type"], "null"]})
    return Shape({"anyOf": [shape, {"type": "null"}]})


def thing(
    name: str | None,
    fields: Mapping[str, Shape],
    *,
    optional: Collection[str] = (),
    description: str = "",
) -> Shape:
    """An object with these fields and no others; all but the optional ones are always there."""
    schema: Schema = {"type": "object", "properties": dict(fields), "additionalProperties": False}
    required = [each for each in fields if each not in optional]
    if required:
        schema["required"] = required
    if description:
        schema["description"] = description
    return Shape(schema, name)


CURSOR = or_null(text(least=1)).saying("Send it as `cursor` for the next page. null: no more.")


def listing(item: Shape, name: str | None = None) -> Shape:
    """What `paging.listed` answers."""
    return thing(name or f"{item.name}List", {"items": some_of(item), "next": CURSOR})
