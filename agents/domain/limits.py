"""What a value must look like, whatever the agent's state; the doors may ask the same questions.

Every check takes a value of any type, returns nothing, and raises InvalidCommand that names the
field and says what it must be.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from agents.domain.errors import InvalidCommand, PayloadTooLarge
from events.facts import JSON
from events.vocabulary import Capability, Usage

MAX_NAME = 256
MAX_DESCRIPTION = 10_000
MAX_AGENT_TYPE = 100
MAX_TAGS = 100
MAX_TAG = 100
MAX_REASON = 1_000
MAX_ERROR_MESSAGE = 10_000
MAX_ERROR_CODE = 100
MIN_LEVEL, MAX_LEVEL = 1, 5
MIN_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS = 5, 86_400
MAX_PAYLOAD_BYTES = 64 * 1024
MAX_PAYLOAD_DEPTH = 64
RESERVED = "$confidential"
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1

AGENT_ID = r"[A-Za-z0-9_-]{3,256}"
KEY = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,255}"  # of tasks and capabilities

_AGENT_ID = re.compile(AGENT_ID)
_KEY = re.compile(KEY)


def check_agent_id(value: object, field: str = "agent_id") -> None:
    if not isinstance(value, str) or not _AGENT_ID.fullmatch(value):
        raise InvalidCommand(field, "must be 3 to 256 of A-Z, a-z, 0-9, _ and -.")


def check_task_id(value: object, field: str = "task_id") -> None:
    _check_key(value, field)


def check_capability_name(value: object, field: str = "name") -> None:
    _check_key(value, field)


def _check_key(value: object, field: str) -> None:
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise InvalidCommand(
            field,
            "must be 1 to 256 of A-Z, a-z, 0-9, ., _, : and -, beginning with a letter or digit.",
        )


def check_text(value: object, field: str, *, most: int) -> None:
    """Text of at most so many characters, perhaps none; no NUL, no lone surrogate."""
    if not isinstance(value, str):
        raise InvalidCommand(field, "must be text.")
    if len(value) > most:
        raise InvalidCommand(field, f"must be at most {most} characters; it has {len(value)}.")
    if not _is_clean(value):
        raise InvalidCommand(field, "must not contain NUL or a lone surrogate.")


def check_filled_text(value: object, field: str, *, most: int) -> None:
    """Text that says something: blanks alone do not."""
    check_text(value, field, most=most)
    if isinstance(value, str) and not value.strip():
        raise InvalidCommand(field, f"must be 1 to {most} characters, and not only blanks.")


def _is_clean(text: str) -> bool:
    if "\0" in text:
        return False
    # Only surrogates have no UTF-8 form.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_name(value: object) -> None:
    check_filled_text(value, "name", most=MAX_NAME)


def check_description(value: object) -> None:
    check_text(value, "description", most=MAX_DESCRIPTION)


def check_agent_type(value: object) -> None:
    check_text(value, "agent_type", most=MAX_AGENT_TYPE)


def check_reason(value: object) -> None:
    check_filled_text(value, "reason", most=MAX_REASON)


def check_optional_reason(value: object) -> None:
    if value is not None:
        check_text(value, "reason", most=MAX_REASON)


def check_error(message: object, code: object) -> None:
    check_filled_text(message, "error_message", most=MAX_ERROR_MESSAGE)
    if code is not None:
        check_text(code, "error_code", most=MAX_ERROR_CODE)


def check_tags(value: object, field: str = "tags") -> None:
    """A list or tuple of different tags; none has `,` or `*`, which mean something in filters."""
    if not isinstance(value, list | tuple):
        raise InvalidCommand(field, "must be a list of texts.")
    if len(value) > MAX_TAGS:
        raise InvalidCommand(field, f"must be at most {MAX_TAGS}; there are {len(value)}.")
    seen: set[str] = set()
    for index, tag in enumerate(value):
        own = f"{field}/{index}"
        check_filled_text(tag, own, most=MAX_TAG)
        if any(c in ",*" or unicodedata.category(c) == "Cc" for c in tag):
            raise InvalidCommand(own, "must not contain a comma, a * or a control character.")
        if tag in seen:
            raise InvalidCommand(own, "must be given once; this tag stands before already.")
        seen.add(tag)


def check_level(value: object, field: str = "proficiency_level") -> None:
    check_whole(value, field, least=MIN_LEVEL, most=MAX_LEVEL)


def check_capabilities(value: Sequence[Capability]) -> None:
    """At least one, and no name twice."""
    if not value:
        raise InvalidCommand("capabilities", "must name at least one capability.")
    seen: set[str] = set()
    for index, capability in enumerate(value):
        field = f"capabilities/{index}"
        check_capability_name(capability.name, f"{field}/name")
        check_level(capability.proficiency_level, f"{field}/proficiency_level")
        if capability.name in seen:
            raise InvalidCommand(
                f"{field}/name", "must be given once; this capability stands before already."
            )
        seen.add(capability.name)


def check_timeout(value: object) -> None:
    check_whole(
        value,
        "health_check_timeout_seconds",
        least=MIN_TIMEOUT_SECONDS,
        most=MAX_TIMEOUT_SECONDS,
    )


def check_ratio(value: object, field: str) -> None:
    check_number(value, field, most=1)


def check_percent(value: object, field: str) -> None:
    check_number(value, field, most=100)


def check_milliseconds(value: object, field: str) -> None:
    check_number(value, field, most=MAX_INTEGER)


def check_usage(value: Usage | None) -> None:
    if value is not None:
        check_whole(value.input_tokens, "usage/input_tokens", least=0, most=MAX_INTEGER)
        check_whole(value.output_tokens, "usage/output_tokens", least=0, most=MAX_INTEGER)


def check_whole(value: object, field: str, *, least: int, most: int) -> None:
    """A whole number within the bounds, both included. True is no number, 3.0 no whole one."""
    if type(value) is not int:
        raise InvalidCommand(field, "must be a whole number.")
    if not least <= value <= most:
        raise InvalidCommand(field, f"must be {least} to {most}.")


def check_number(value: object, field: str, *, most: int) -> None:
    """A number from 0 to the bound, both included. True is no number, nor are NaN and infinity."""
    if not (type(value) is int or type(value) is float):
        raise InvalidCommand(field, "must be a number.")
    # Every comparison with NaN is false, and infinity is above any bound.
    if not 0 <= value <= most:
        raise InvalidCommand(field, f"must be 0 to {most}.")


def check_until(value: object, *, now: datetime) -> None:
    """An aware moment later than now that still has a form in UTC."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidCommand("until", "must be a moment with its offset from UTC.")
    try:
        moment = value.astimezone(UTC)
    except OverflowError:
        raise InvalidCommand("until", "must lie within the years 1 to 9999 in UTC.") from None
    if moment <= now:
        raise InvalidCommand("until", "must be later than now.")


def check_metadata(value: object) -> None:
    if type(value) is not dict:
        raise InvalidCommand("metadata", "must be an object.")
    check_payload(value, "metadata")


def check_payload(value: JSON, field: str) -> None:
    """Opaque JSON that comes back from the log as it went in: see the limits above."""
    if value is None:
        return
    _check_json(value, field, MAX_PAYLOAD_DEPTH)
    size = len(msgspec.json.encode(value))
    if size > MAX_PAYLOAD_BYTES:
        raise PayloadTooLarge(
            field, f"must be at most {MAX_PAYLOAD_BYTES} bytes as JSON; it has {size}."
        )


def check_task_payload(value: JSON, field: str) -> None:
    """A task's input or result: opaque, but not in the form that sealed payloads are stored in."""
    if isinstance(value, dict) and RESERVED in value:
        raise InvalidCommand(field, f"must not have the key {RESERVED}, which marks sealed ones.")
    check_payload(value, field)


def _check_json(value: JSON, field: str, depth_left: int) -> None:
    # By exact type: a tuple, an enum or a date would not come back from the log as it went in.
    kind = type(value)
    if kind is str:
        if not _is_clean(value):
            raise InvalidCommand(field, "must not contain NUL or a lone surrogate.")
    elif kind is int:
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            raise InvalidCommand(field, "must not contain an integer beyond 64 bits.")
    elif kind is float:
        if not math.isfinite(value):
            raise InvalidCommand(field, "must not contain NaN or infinity.")
    elif kind is dict or kind is list:
        if not depth_left:
            raise InvalidCommand(field, f"must be at most {MAX_PAYLOAD_DEPTH} levels deep.")
        if kind is dict and not all(type(key) is str and _is_clean(key) for key in value):
            raise InvalidCommand(field, "must have text without NUL or lone surrogates as keys.")
        for part in value.values() if kind is dict else value:
            _check_json(part, field, depth_left - 1)
    elif value is not None and kind is not bool:
        raise InvalidCommand(field, f"must be JSON; {kind.__name__} is not.")
