"""Lists in pages by keyset: an opaque cursor says after which key the next page begins."""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from django.http import HttpResponse

from events.api.door import SEQ, json_response
from events.api.problem import Problem, invalid_parameter
from events.api.query import LARGEST, Query

_WHOLE = re.compile(r"[0-9]{1,19}")


def cursor_of(*key: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def key_after(query: Query, parts: int = 1) -> list[str] | None:
    """The key in `?cursor=`; None for the first page. Raises Problem (400) for one that is no
    cursor of such a list."""
    text = query.text("cursor")
    if text is None:
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        key = msgspec.json.decode(raw, type=list[str])
    except (binascii.Error, ValueError):
        key = []
    if len(key) != parts or any("\0" in part for part in key):
        raise no_such_cursor()
    return key


def whole_in(part: str) -> int:
    """The whole number that a part of a cursor stands for. Raises Problem (400)."""
    if not _WHOLE.fullmatch(part) or int(part) > LARGEST:
        raise no_such_cursor()
    return int(part)


def no_such_cursor() -> Problem:
    return invalid_parameter("cursor", "is not one that this list gave. Begin without it.")


def listed(items: Sequence[dict[str, Any]], cursor: str | None, seq: int) -> HttpResponse:
    return json_response(
        msgspec.json.encode({"items": items, "next": cursor}), headers={SEQ: str(seq)}
    )
