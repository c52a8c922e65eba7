"""A log as a file, line by line. `docs/export.md` specifies it for strangers.

    {"format":"agentmesh-log","format_version":1,"tenant":"acme", …}    the header
    {"seq":1,"event_id":"0195a1b2-…", …}                                 an event, one a line
    {"checkpoint":"…","sha256":"…"}                                      the footer

A value has one spelling and a line one order of keys, so the same log is the same bytes wherever it
is exported. Pure functions over values; no database.
"""

import uuid
from datetime import timedelta
from functools import lru_cache

import msgspec

from events.log import chain
from events.moments import rfc3339

FORMAT = "agentmesh-log"
FORMAT_VERSION = 1


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose log it is, and which part. from_seq and to_seq: the events that were looked at, both
    included; an empty log has 1 and 0. prior_hash: of the event before from_seq, hexadecimal.
    filters: what the events had to fit, null when they are all there.
    """

    format: str = FORMAT
    format_version: int = FORMAT_VERSION
    tenant: str
    name: str
    created_at: str
    log_id: uuid.UUID
    from_seq: int
    to_seq: int
    prior_hash: str
    filters: dict[str, str] | None


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One event with all its columns. Moments as text, hash hexadecimal, data and origin as the
    JSON text that is stored."""

    seq: int
    event_id: uuid.UUID
    stream_type: str
    stream_id: str
    version: int
    type: str
    schema_version: str
    occurred_at: str
    recorded_at: str
    actor: str
    reason: str | None
    correlation_id: str | None
    causation_id: str | None
    traceparent: str | None
    origin: str | None
    data: str
    hash: str


class Footer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the log stood at to_seq, as a note; and the SHA-256 of all bytes of the file before the
    first of its own digits, hexadecimal."""

    checkpoint: str
    sha256: str


COLUMNS = Line.__struct_fields__
_encode = msgspec.json.Encoder().encode


def encoded(line: Header | Line) -> bytes:
    return _encode(line) + b"\n"


def footer_up_to_digest(checkpoint: str) -> bytes:
    """The footer's beginning, with which the bytes that its digest covers end."""
    return _encode(Footer(checkpoint, "")).removesuffix(b'"}')


def footer_from_digest(sha256: str) -> bytes:
    return sha256.encode() + b'"}\n'


def moment(microseconds: int) -> str:
    """RFC 3339 of whole microseconds since 1970. Raises OverflowError outside the years 1 to 9999.

    Quicker than `rfc3339`, because events that follow one another share their second.
    """
    second, fraction = divmod(microseconds, 1_000_000)
    return f"{_second(second)}.{fraction:06d}Z"


@lru_cache(maxsize=4_096)
def _second(second: int) -> str:
    return rfc3339(chain.EPOCH + timedelta(seconds=second))[:19]
