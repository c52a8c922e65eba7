"""From a fact to the JSON text that is stored, hashed and served, and what may not be in it."""

import math
import re
from functools import cache
from typing import Any

import msgspec

from events.facts import Fact

_encode = msgspec.json.encode
_many_digits = re.compile(rb"[0-9]{19}").search  # fewer fit into 64 bits


class UnfitFact(ValueError):
    """A fact that does not fit its own schema, or holds what no store keeps unchanged."""


@cache
def _validator(kind: type[Fact]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def encode(fact: Fact) -> str:
    """The fact's payload as compact JSON in UTF-8, fields in the order of their declaration.

    Raises UnfitFact for a value outside the schema, NaN, infinity, integers beyond 64 bits, NUL
    characters and lone surrogates, which PostgreSQL, SQLite and JSON readers treat differently.
    """
    try:
        encoded = _encode(fact)
        read_back = _validator(type(fact)).decode(encoded)
        # NaN is written as null, in silence; an integer of any length comes back, but only here.
        if read_back != fact or _many_digits(encoded):
            _refuse_unfit_numbers(msgspec.to_builtins(fact))
        text = encoded.decode()
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UnfitFact(f"{fact.type} cannot be stored: {error}") from error
    if "\\u0000" in text and _holds_nul(msgspec.json.decode(encoded)):
        raise UnfitFact(f"{fact.type} cannot be stored: it holds a NUL character.")
    return text


def refuse_unfit_payload(text: str) -> None:
    """Raise UnfitFact for stored text with what `encode` lets nobody store. It is JSON by then, or
    its decoder will say so."""
    try:
        if "\\u0000" in text and _holds_nul(msgspec.json.decode(text)):
            raise UnfitFact("holds a NUL character.")
        if _many_digits(text.encode()):
            _refuse_unfit_numbers(msgspec.json.decode(text))
    except msgspec.MsgspecError:
        return
    except (ValueError, RecursionError) as error:
        raise UnfitFact(str(error)) from error


def _refuse_unfit_numbers(value: Any) -> None:
    """Raise ValueError for a number that not every reader of JSON understands alike."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it holds NaN or infinity.")
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError("it holds an integer beyond 64 bits.")
    if isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            _refuse_unfit_numbers(part)


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_holds_nul(key) or _holds_nul(item) for key, item in value.items())
    if isinstance(value, list):
        return any(_holds_nul(item) for item in value)
    return False
