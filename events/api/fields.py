"""Serializer fields that take a value as it is: "5" is not 5, true is not 1, 5.0 is not 5.

They look at the kind of a value alone. Whether it is allowed is for the service to say; `shape` is
what the document of the API says of that.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from rest_framework import serializers

from events.api.openapi.shape import (
    AMOUNT,
    ANYTHING,
    COUNT,
    MOMENT,
    OBJECT,
    TEXT,
    TRUTH,
    Shape,
)
from events.api.problem import Problem, invalid
from events.api.strict_json import escaped
from events.moments import parse_rfc3339

Errors = list[dict[str, str]]
MOST_ITEMS = 1_000  # of any list; each list's own bound is the service's
MOST_ERRORS = 20  # a refusal shows
MOST = Shape({"maxItems": MOST_ITEMS})


class Text(serializers.CharField):
    """Any text, also an empty one, with the blanks it came with."""

    def __init__(self, *, shape: Shape = TEXT, **kwargs: Any) -> None:
        super().__init__(allow_blank=True, trim_whitespace=False, **kwargs)
        self.shape = shape

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("must be text.")
        return data


class Whole(serializers.IntegerField):
    """A whole number, written as one."""

    def __init__(self, *, shape: Shape = COUNT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = shape

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            raise serializers.ValidationError("must be a whole number.")
        return data


class Number(serializers.FloatField):
    """A number; a whole one stays whole."""

    def __init__(self, *, shape: Shape = AMOUNT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = shape

    def to_internal_value(self, data: Any) -> float:
        if type(data) is not int and type(data) is not float:
            raise serializers.ValidationError("must be a number.")
        return data


class Truth(serializers.BooleanField):
    """true or false."""

    def __init__(self, *, shape: Shape = TRUTH, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = shape

    def to_internal_value(self, data: Any) -> bool:
        if type(data) is not bool:
            raise serializers.ValidationError("must be true or false.")
        return data


class Moment(serializers.DateTimeField):
    """RFC 3339, with its offset from UTC."""

    def __init__(self, *, shape: Shape = MOMENT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = shape

    def to_internal_value(self, data: Any) -> datetime:
        if not isinstance(data, str):
            raise serializers.ValidationError("must be a moment as text.")
        try:
            return parse_rfc3339(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None


class AnyJSON(serializers.JSONField):
    """Whatever it is, also null."""

    def __init__(self, *, shape: Shape = ANYTHING, **kwargs: Any) -> None:
        super().__init__(allow_null=True, **kwargs)
        self.shape = shape

    def to_internal_value(self, data: Any) -> Any:
        return data


class Object(serializers.DictField):
    """A JSON object, whatever it holds."""

    def __init__(self, *, shape: Shape = OBJECT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = shape

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("must be an object.")
        return data


class Listed(serializers.ListField):
    """A list of values of one kind."""

    def __init__(self, *, shape: Shape = MOST, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = shape

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list):
            raise serializers.ValidationError("must be a list.")
        if len(data) > MOST_ITEMS:
            raise serializers.ValidationError(f"must have at most {MOST_ITEMS} items.")
        found: list[Any] = super().to_internal_value(data)
        return found


class Order(serializers.Serializer[Any]):
    """The body of a request: an object with these fields and no others."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError("must be an object.")
        unknown = [key for key in data if key not in self.fields]
        if unknown:
            takes = ", ".join(self.fields) or "none"
            detail = f"is no field here. Fields are: {takes}."
            raise serializers.ValidationError({key: [detail] for key in unknown[:MOST_ERRORS]})
        return super().to_internal_value(data)


class Nothing(Order):
    """{}: the order says all by its path."""


def checked(order: type[Order], data: Any) -> dict[str, Any]:
    """The fields that were sent, each of its kind. Raises Problem (400) that points at the rest."""
    if not isinstance(data, dict):
        raise invalid("The body must be a JSON object.", {"pointer": "", "detail": "an object."})
    try:
        found: dict[str, Any] = _serializer(order).run_validation(data)
    except serializers.ValidationError as error:
        raise _pointing(error.detail) from None
    return found


@cache
def _serializer(order: type[Order]) -> Order:
    """One for all requests: to make one takes ten times as long as to run it, and running it leaves
    nothing behind."""
    made = order()
    _ = made.fields  # built at their first use, which shall not be two threads'
    return made


def _pointing(found: Any) -> Problem:
    errors: Errors = []
    _collect(found, "", errors)
    first = errors[0]
    where = first["pointer"].removeprefix("/")[:100] or "The body"
    return invalid(f"{where} {first['detail']}", *errors[:MOST_ERRORS])


def _collect(found: Any, pointer: str, errors: Errors) -> None:
    if isinstance(found, Mapping):
        for key, inner in found.items():
            own = key == "non_field_errors"
            _collect(inner, pointer if own else f"{pointer}/{escaped(str(key))}", errors)
    elif isinstance(found, list):
        for index, inner in enumerate(found):
            # Errors of a list's items come as a list of mappings, empty where all is well.
            _collect(inner, f"{pointer}/{index}" if isinstance(inner, Mapping) else pointer, errors)
    else:
        errors.append({"pointer": pointer, "detail": _worded(str(found))})


def _worded(detail: str) -> str:
    """DRF's own two sentences in the form of ours."""
    return {
        "This field is required.": "is missing.",
        "This field may not be null.": "must not be null.",
    }.get(detail, detail)
