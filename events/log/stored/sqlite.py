"""Reading whatever SQLite holds.

It keeps any type in any column, and a text that is no UTF-8 would stop the reading: so the types
are asked for, and texts are taken as blobs.
"""

import struct
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from math import ceil
from typing import Any

from events.log import chain
from events.log.stored.row import ON_NO_CLOCK, Head, Row, readable

_NULLABLE = ("reason", "correlation_id", "causation_id", "traceparent", "origin")
_TEXTS = ("tenant_id", "stream_type", "stream_id", "type", "schema_version", "actor")
_OTHERS = {"seq": "integer", "version": "integer", "hash": "blob"}


def _is_written(column: str) -> str:
    """Whether an append writes a value of this type into the column."""
    if column in _NULLABLE:
        return f"typeof({column}) IN ('text', 'null')"
    return f"typeof({column}) = '{_OTHERS.get(column, 'text')}'"


def _blobs(*columns: str) -> str:
    return ", ".join(f"CAST({column} AS BLOB)" for column in columns)


_AS_WRITTEN = " AND ".join(
    map(
        _is_written,
        (*_TEXTS, *_NULLABLE, *_OTHERS, "data", "event_id", "occurred_at", "recorded_at"),
    )
)
_ROWS = f"""
    SELECT {_AS_WRITTEN}, seq, CAST(hash AS BLOB),
        CASE WHEN typeof(version) = 'integer' THEN version END,
        {_blobs("recorded_at", "occurred_at", "event_id")},
        {_blobs(*_TEXTS, *_NULLABLE, "data")}
    FROM events_event WHERE tenant_id = ? AND seq > ? AND seq <= ? ORDER BY seq
"""
# One statement, so that the head and the events beside it are of one moment.
_HEADS = """
    SELECT CAST(t.log_id AS BLOB), CASE WHEN typeof(h.seq) = 'integer' THEN h.seq END,
        CAST(h.recorded_at AS BLOB), CASE WHEN typeof(h.hash) = 'blob' THEN h.hash END,
        CASE WHEN typeof(h.prior_hash) = 'blob' THEN h.prior_hash END,
        EXISTS (SELECT 1 FROM events_event WHERE tenant_id = t.slug AND seq < 1)
        OR EXISTS (SELECT 1 FROM events_event WHERE tenant_id = t.slug AND seq IS NULL),
        (SELECT CASE WHEN typeof(min(seq)) IN ('integer', 'null') THEN min(seq) ELSE h.seq + 1 END
            FROM events_event WHERE tenant_id = t.slug AND seq > h.seq)
    FROM events_tenant t JOIN events_tenanthead h ON h.tenant_id = t.slug WHERE t.slug = %s LIMIT 2
"""
_ABSENT = b"\xff\xff\xff\xff"
_UUID_BYTES = 16
_SECOND = len("2026-01-02 03:04:05")
_MICROSECOND = len("2026-01-02 03:04:05.000006")
_POINT = ord(".")
_length = struct.Struct(">I").pack
_number = struct.Struct(">Iq").pack


class _Unwritten(ValueError):
    """The value is none that an append writes."""


def heads(cursor: Any, tenant: str) -> list[Head]:
    cursor.execute(_HEADS, [tenant])
    return [_head(*row) for row in cursor.fetchall()]


def _head(
    log_id: bytes | None,
    seq: int | None,
    recorded_at: bytes | None,
    digest: bytes | None,
    prior_hash: bytes | None,
    early: int,
    beyond: int | None,
) -> Head:
    try:
        moment = _moment(recorded_at or b"")
    except ValueError:
        moment = ON_NO_CLOCK
    return Head(_log_id(log_id), seq, moment, digest or b"", prior_hash or b"", bool(early), beyond)


def log_ids(cursor: Any, tenant: str) -> list[uuid.UUID | None]:
    cursor.execute("SELECT CAST(log_id AS BLOB) FROM events_tenant WHERE slug = %s", [tenant])
    return [_log_id(stored) for (stored,) in cursor.fetchall()]


def _log_id(stored: bytes | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(bytes=_uuid(stored or b""))
    except ValueError:
        return None


def rows(raw: Any, tenant: str, after: int, last: int) -> Iterator[Row]:
    for as_written, seq, digest, version, recorded_at, *columns in raw.execute(
        _ROWS, (tenant, after, last)
    ):
        try:
            if not as_written:
                raise _Unwritten
            yield Row(seq, _moment(recorded_at), _leaf(version, *columns), digest)
        except ValueError:
            yield Row(ceil(seq), ON_NO_CLOCK, b"", b"")  # a seq may be a fraction too


def _leaf(version: int, occurred_at: bytes, event_id: bytes, *texts: bytes | None) -> bytes:
    """The leaf of a row whose columns have the right types; texts in the order of the query.

    Raises ValueError for what is not spelt as it is stored.
    """
    b"\0".join([text for text in texts if text]).decode()
    tenant, stream_type, stream_id, type_, schema_version, *rest = [
        _ABSENT if text is None else _length(len(text)) + text for text in texts
    ]
    return chain.leaf_encoded(
        b"".join(
            (
                _length(_UUID_BYTES),
                _uuid(event_id),
                tenant,
                stream_type,
                stream_id,
                _number(8, version),
                type_,
                schema_version,
                _number(8, _moment(occurred_at)),
                *rest,
            )
        )
    )


# One value has one spelling, so that no bit of a row is free.


def _uuid(text: bytes) -> bytes:
    spelt = text.decode()
    found = bytes.fromhex(spelt)
    if found.hex() != spelt or len(found) != _UUID_BYTES:
        raise _Unwritten
    return found


def _moment(text: bytes) -> int:
    """µs since 1970. Without microseconds when there are none."""
    start = _second(text[:_SECOND])
    if len(text) == _SECOND:
        return start
    fraction = text[_SECOND + 1 :]
    if len(text) != _MICROSECOND or text[_SECOND] != _POINT or not fraction.isdigit():
        raise _Unwritten
    micros = int(fraction)
    if not micros:
        raise _Unwritten
    return start + micros


@lru_cache(maxsize=4096)
def _second(text: bytes) -> int:
    found = datetime.fromisoformat(text.decode())
    if str(found).encode() != text:
        raise _Unwritten
    return chain.microseconds(found.replace(tzinfo=UTC))


def names(cursor: Any) -> Iterator[str]:
    for table, column in (("events_tenant", "slug"), ("events_tenanthead", "tenant_id")):
        cursor.execute(f"SELECT typeof({column}) = 'text', CAST({column} AS BLOB) FROM {table}")
        yield from [_name(*row) for row in cursor.fetchall()]
    # Every text lies between '' and x'', the lowest blob, whatever its bytes.
    cursor.execute(
        "SELECT DISTINCT 0, CAST(tenant_id AS BLOB) FROM events_event "
        "WHERE tenant_id IS NULL OR tenant_id < '' OR tenant_id >= x''"
    )
    yield from [_name(*row) for row in cursor.fetchall()]
    # From one name to the next by the index, past all the events between.
    row: tuple[bytes] | None = (b"",)
    while row is not None:
        cursor.execute(
            "SELECT CAST(tenant_id AS BLOB) FROM events_event "
            "WHERE tenant_id > CAST(%s AS TEXT) AND tenant_id < x'' ORDER BY tenant_id LIMIT 1",
            row,
        )
        row = cursor.fetchone()
        if row is not None:
            yield _name(1, row[0])


def _name(is_text: int, stored: bytes | None) -> str:
    if stored is None or not is_text:
        return readable(stored)
    try:
        return readable(stored.decode())
    except UnicodeDecodeError:
        return readable(stored)
