"""Request bodies: JSON as RFC 8259 has it, and nothing that two readers could read differently.

Refused besides broken JSON: duplicate keys, NaN and Infinity, integers beyond 64 bits, endless
digits, NUL, lone surrogates, more than 64 levels. A refusal says where.
"""

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import IO, Any

from django.http import HttpRequest
from django.http.request import UnreadablePostError
from rest_framework.parsers import BaseParser

from events.api.problem import Problem, invalid

MAX_BODY_BYTES = 1024 * 1024
MAX_BULK_BYTES = 8 * MAX_BODY_BYTES  # of many commands at once
MAX_DEPTH = 64
MAX_DIGITS = 64  # more than any number needs that a 64-bit integer or float can hold
_LEAST, _MOST = -(2**63), 2**63 - 1


class StrictJSONParser(BaseParser):
    """DRF's way in; an absent body is an empty object (see `Door.order`)."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return parse(stream.read())


def read_body(request: HttpRequest, most: int = MAX_BODY_BYTES) -> bytes | None:
    """The bytes of the body; None when there are more than `most`."""
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if declared.isascii() and declared.isdigit() and len(declared) < 20:  # noqa: PLR2004
        if int(declared) > most:
            return None
    elif declared != "0":
        return None
    try:
        raw = request.read(most + 1)
    except UnreadablePostError as error:
        raise invalid("The body broke off before its end.") from error
    return raw if len(raw) <= most else None


def too_large(most: int = MAX_BODY_BYTES) -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        f"A body has at most {most} bytes here. Send less at once.",
    )


def parse(raw: bytes) -> Any:
    """The value. Raises Problem (400)."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise invalid(f"The body is not UTF-8: byte {error.start} cannot be read.") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_whole,
            parse_float=_fraction,
            parse_constant=_constant,
        )
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        raise invalid(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    _check(value, "", MAX_DEPTH)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise invalid(f"The key {_shown(twice)} stands twice in one object. Send it once.")
    return found


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS or not _LEAST <= (number := int(digits)) <= _MOST:
        raise invalid(f"{digits[:24]}… is beyond 64 bits. Send it as a string.")
    return number


def _fraction(digits: str) -> float:
    if len(digits) > MAX_DIGITS:
        raise invalid(f"A number has at most {MAX_DIGITS} characters. Send it as a string.")
    number = float(digits)
    if not math.isfinite(number):
        raise invalid(f"{digits} is beyond what a number can hold.")
    return number


def _constant(name: str) -> float:
    raise invalid(f"{name} is not JSON. Send null, or leave the field out.")


def _check(value: Any, pointer: str, levels_left: int) -> None:
    if isinstance(value, str):
        _check_text(value, pointer)
    elif isinstance(value, dict | list):
        if not levels_left:
            raise _too_deep()
        if isinstance(value, dict):
            for key, part in value.items():
                _check_text(key, pointer)
                _check(part, f"{pointer}/{escaped(key)}", levels_left - 1)
        else:
            for index, part in enumerate(value):
                _check(part, f"{pointer}/{index}", levels_left - 1)


def _check_text(text: str, pointer: str) -> None:
    clean = "\0" not in text
    if clean and not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            clean = False
    if not clean:
        detail = "must not contain NUL or a lone surrogate."
        raise invalid(f"Text in the body {detail}", {"pointer": pointer, "detail": detail})


def escaped(key: str) -> str:
    """A key as one step of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _too_deep() -> Problem:
    return invalid(f"The body is more than {MAX_DEPTH} levels deep. Send it flatter.")


def _shown(key: str) -> str:
    return ascii(key[:64])
