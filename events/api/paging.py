"""Lists in pages by keyset: an opaque cursor says after which key the next page begins."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from django.http import HttpResponse

from events.api.door import SEQ, json_response
from events.api.problem import Problem, invalid_parameter
from events.api.query import LARGEST, Query

T = TypeVar("T")

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


def page_by_name(query: Query, named: Mapping[str, T]) -> tuple[list[T], str | None]:
    """Of things that are all at hand the page that the query asks for, in the order of their names,
    and the cursor of the next."""
    limit, key = query.limit(), key_after(query)
    names = sorted(name for name in named if key is None or name > key[0])
    cursor = cursor_of(names[limit - 1]) if len(names) > limit else None
    return [named[name] for name in names[:limit]], cursor


def listed(items: Sequence[dict[str, Any]], cursor: str | None, seq: int) -> HttpResponse:
    return json_response(
        msgspec.json.encode({"items": items, "next": cursor}), headers={SEQ: str(seq)}
    )
