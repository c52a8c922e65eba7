"""The rows of a log as an export writes them, read as quickly as each engine can.

A page is one statement and done when it returns, so that nobody holds a connection between two.
"""

import struct
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg
from django.db import connection

from events.log import chain
from events.log.verify import Damaged
from events.models import Event
from events.moments import rfc3339
from events.transfer.format import Line, moment


class Stored(NamedTuple):
    """recorded_at: µs since 1970. leaf: computed from the stored columns, 32 bytes."""

    line: Line
    recorded_at: int
    leaf: bytes


def page(tenant: str, after: int, last: int, limit: int) -> list[Stored]:
    """The next rows after seq `after`, up to `last`; a short list is the end. Raises Damaged for a
    row that no append could have written."""
    read = _postgresql if connection.vendor == "postgresql" else _sqlite
    rows: list[Stored] = []
    try:
        connection.ensure_connection()
        with connection.wrap_database_errors:
            rows.extend(read(tenant, after, last, limit))
    except (ValueError, TypeError, AttributeError, OverflowError, struct.error) as error:
        seq = rows[-1].line.seq if rows else after
        raise Damaged(tenant, seq + 1, f"it cannot be read: {error}.") from error
    return rows


def line_of(row: Event) -> Line:
    """The same from a model's row."""
    return Line(
        row.seq,
        row.event_id,
        row.stream_type,
        row.stream_id,
        row.version,
        row.type,
        row.schema_version,
        rfc3339(row.occurred_at),
        rfc3339(row.recorded_at),
        row.actor,
        row.reason,
        row.correlation_id,
        row.causation_id,
        row.traceparent,
        row.origin,
        row.data,
        bytes(row.hash).hex(),
    )


# In the order in which the leaf takes them, as in `verify`: the COPY format is the leaf's own form
# of lengths and bytes, so a row is hashed as it arrives.
_POSTGRESQL = """
    COPY (
        SELECT event_id, tenant_id, stream_type, stream_id, version, type, schema_version, {},
            actor, reason, correlation_id, causation_id, traceparent, origin, data, seq, {}, hash
        FROM events_event WHERE tenant_id = %s AND seq > %s AND seq <= %s
        ORDER BY seq LIMIT %s
    ) TO STDOUT (FORMAT BINARY)
""".format(
    *(
        f"CASE WHEN isfinite({column}) "
        f"THEN (extract(epoch FROM {column}) * 1000000)::bigint ELSE -1 END"
        for column in ("occurred_at", "recorded_at")
    )
)
_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_HEADER = len(_SIGNATURE) + 8  # flags and the length of an extension that is not there
_FIELDS = (18).to_bytes(2)
_PLACE = 2 * (4 + 8)  # seq and recorded_at, each with its length
_length = struct.Struct(">i").unpack_from
_int64 = struct.Struct(">q").unpack


def _postgresql(tenant: str, after: int, last: int, limit: int) -> Iterator[Stored]:
    with (
        psycopg.Cursor(connection.connection) as cursor,
        cursor.copy(_POSTGRESQL, (tenant, after, last, limit)) as copy,
    ):
        # libpq hands over one row at a time; the first comes with the header.
        for block in copy:
            row = bytes(block)
            if row.startswith(_SIGNATURE):
                row = row[_HEADER:]
            if row[:2] == _FIELDS:  # or else the end
                yield _from_postgresql(row)


def _from_postgresql(row: bytes) -> Stored:
    found: list[Any] = []  # bytes, or None for null
    at, end = 2, len(row)
    while at < end:
        (size,) = _length(row, at)
        at += 4
        if size < 0:
            found.append(None)
            continue
        found.append(row[at : at + size])
        at += size
    (
        event_id,
        _,
        stream_type,
        stream_id,
        version,
        kind,
        schema_version,
        occurred_at,
        actor,
        reason,
        correlation_id,
        causation_id,
        traceparent,
        origin,
        data,
        seq,
        recorded_at,
        digest,
    ) = found
    recorded = _int64(recorded_at)[0]
    line = Line(
        _int64(seq)[0],
        uuid.UUID(bytes=event_id),
        stream_type.decode(),
        stream_id.decode(),
        _int64(version)[0],
        kind.decode(),
        schema_version.decode(),
        moment(_int64(occurred_at)[0]),
        moment(recorded),
        actor.decode(),
        _text(reason),
        _text(correlation_id),
        _text(causation_id),
        _text(traceparent),
        _text(origin),
        data.decode(),
        digest.hex(),
    )
    columns = row[2 : end - _PLACE - 4 - len(digest)]
    return Stored(line, recorded, chain.leaf_encoded(columns))


def _text(stored: bytes | None) -> str | None:
    return None if stored is None else stored.decode()


# As blobs, since SQLite keeps whatever it is given, and what is no UTF-8 would stop the reading.
_TEXTS = (
    "stream_type",
    "stream_id",
    "type",
    "schema_version",
    "actor",
    "reason",
    "correlation_id",
    "causation_id",
    "traceparent",
    "origin",
    "data",
)
_SQLITE = f"""
    SELECT seq, CASE WHEN typeof(version) = 'integer' THEN version END, CAST(hash AS BLOB),
        CAST(event_id AS BLOB), CAST(occurred_at AS BLOB), CAST(recorded_at AS BLOB),
        {", ".join(f"CAST({name} AS BLOB)" for name in _TEXTS)}
    FROM events_event WHERE tenant_id = ? AND seq > ? AND seq <= ?
    ORDER BY seq LIMIT ?
"""


def _sqlite(tenant: str, after: int, last: int, limit: int) -> Iterator[Stored]:
    named = _field(tenant.encode())
    for row in connection.connection.execute(_SQLITE, (tenant, after, last, limit)):
        yield _from_sqlite(named, *row)


def _from_sqlite(
    tenant: bytes,
    seq: int,
    version: int,
    digest: bytes,
    event_id: bytes,
    occurred_at: bytes,
    recorded_at: bytes,
    stream_type: bytes,
    stream_id: bytes,
    kind: bytes,
    schema_version: bytes,
    actor: bytes,
    *others: bytes | None,
) -> Stored:
    named = uuid.UUID(event_id.decode())
    occurred, recorded = _microseconds(occurred_at), _microseconds(recorded_at)
    columns = b"".join(
        (
            _field(named.bytes),
            tenant,
            _field(stream_type),
            _field(stream_id),
            _field(version.to_bytes(8, signed=True)),
            _field(kind),
            _field(schema_version),
            _field(occurred.to_bytes(8, signed=True)),
            _field(actor),
            *map(_field, others),
        )
    )
    reason, correlation_id, causation_id, traceparent, origin, data = map(_text, others)
    line = Line(
        seq,
        named,
        stream_type.decode(),
        stream_id.decode(),
        version,
        kind.decode(),
        schema_version.decode(),
        moment(occurred),
        moment(recorded),
        actor.decode(),
        reason,
        correlation_id,
        causation_id,
        traceparent,
        origin,
        data or "",
        digest.hex(),
    )
    return Stored(line, recorded, chain.leaf_encoded(columns))


_ABSENT = b"\xff\xff\xff\xff"


def _field(value: bytes | None) -> bytes:
    return _ABSENT if value is None else len(value).to_bytes(4) + value


@lru_cache(maxsize=1_024)  # the events of one append share theirs
def _microseconds(stored: bytes) -> int:
    return chain.microseconds(datetime.fromisoformat(stored.decode()).replace(tzinfo=UTC))
