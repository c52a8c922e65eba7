"""The byte form and the hashes of the log. `docs/chain.md` specifies both, with test vectors.

    leaf   = SHA-256("agentmesh.event.v1" NUL, then every hashed column as length and bytes)
    hash_0 = SHA-256("agentmesh.log.v1" NUL, then the log's id)
    hash_n = SHA-256(hash_{n-1} ‖ seq ‖ recorded_at in µs ‖ leaf_n)

Pure functions over values; no database.
"""

import hashlib
import struct
import uuid
from datetime import UTC, datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_LEAF = b"agentmesh.event.v1\x00"
_GENESIS = b"agentmesh.log.v1\x00"
_ABSENT = b"\xff\xff\xff\xff"
_EIGHT = b"\x00\x00\x00\x08"
_SIXTEEN = b"\x00\x00\x00\x10"
_length = struct.Struct(">I").pack
_int64 = struct.Struct(">q").pack
_place = struct.Struct(">qq").pack


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970-01-01T00:00:00Z; exact, unlike `timestamp()`."""
    since = moment - EPOCH
    return since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds


def _text(value: str | None) -> bytes:
    if value is None:
        return _ABSENT
    encoded = value.encode()
    return _length(len(encoded)) + encoded


def leaf(  # noqa: PLR0913 -- one for each hashed column
    *,
    event_id: uuid.UUID,
    tenant: str,
    stream_type: str,
    stream_id: str,
    version: int,
    type: str,
    schema_version: str,
    occurred_at: datetime,
    actor: str,
    reason: str | None,
    correlation_id: str | None,
    causation_id: str | None,
    traceparent: str | None,
    origin: str | None,
    data: str,
) -> bytes:
    """The 32-byte digest of one event as it is stored, without its place in the log."""
    return hashlib.sha256(
        b"".join(
            (
                _LEAF,
                _SIXTEEN,
                event_id.bytes,
                _text(tenant),
                _text(stream_type),
                _text(stream_id),
                _EIGHT,
                _int64(version),
                _text(type),
                _text(schema_version),
                _EIGHT,
                _int64(microseconds(occurred_at)),
                _text(actor),
                _text(reason),
                _text(correlation_id),
                _text(causation_id),
                _text(traceparent),
                _text(origin),
                _text(data),
            )
        )
    ).digest()


def leaf_encoded(columns: bytes) -> bytes:
    """`leaf`, from the hashed columns as they stand in the byte form: lengths and bytes."""
    return hashlib.sha256(_LEAF + columns).digest()


def genesis(log_id: uuid.UUID) -> bytes:
    """hash_0: what the first event of the log with this id is chained to."""
    return hashlib.sha256(_GENESIS + log_id.bytes).digest()


def link(previous: bytes, seq: int, recorded_at: datetime, leaf: bytes) -> bytes:
    """hash_n, from hash_{n-1} (32 bytes) and the n-th event's place, time and leaf (32 bytes)."""
    return link_encoded(previous, seq, microseconds(recorded_at), leaf)


def link_encoded(previous: bytes, seq: int, recorded_at: int, leaf: bytes) -> bytes:
    """`link`, with recorded_at in whole microseconds since 1970-01-01T00:00:00Z."""
    return hashlib.sha256(previous + _place(seq, recorded_at) + leaf).digest()
