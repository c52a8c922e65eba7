"""Reading whatever PostgreSQL holds."""

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg

from events.log import chain
from events.log.stored.row import ON_NO_CLOCK, Head, Row, readable

# What a writer can have meant; beyond lie infinity and what overflows.
_IN_CALENDAR = "{0} >= '0001-01-01 00:00:00+00' AND {0} < '10000-01-01 00:00:00+00'"


def _micros(column: str) -> str:
    return (
        f"CASE WHEN {_IN_CALENDAR.format(column)} "
        f"THEN (extract(epoch FROM {column}) * 1000000)::bigint END"
    )


# One statement, so that the head and the events beside it are of one moment.
_HEADS = f"""
    SELECT t.log_id, h.seq, coalesce({_micros("h.recorded_at")}, {ON_NO_CLOCK}),
        coalesce(h.hash, ''), coalesce(h.prior_hash, ''),
        EXISTS (SELECT 1 FROM events_event WHERE tenant_id = t.slug AND seq < 1)
        OR EXISTS (SELECT 1 FROM events_event WHERE tenant_id = t.slug AND seq IS NULL),
        (SELECT min(seq) FROM events_event WHERE tenant_id = t.slug AND seq > h.seq)
    FROM events_tenant t JOIN events_tenanthead h ON h.tenant_id = t.slug WHERE t.slug = %s LIMIT 2
"""
# The COPY format writes a value as its length in four bytes and its bytes, and a null as a length
# of -1; integers are eight bytes in network order. That is the very form in which the leaf takes
# the columns, so a row is hashed as it arrives, without being taken apart.
_ROWS = f"""
    COPY (
        SELECT event_id, tenant_id, stream_type, stream_id, version, type, schema_version,
            {_micros("occurred_at")}, actor, reason, correlation_id, causation_id, traceparent,
            origin, data, seq, coalesce({_micros("recorded_at")}, {ON_NO_CLOCK}),
            CASE WHEN octet_length(hash) = 32 AND {_IN_CALENDAR.format("occurred_at")}
                THEN hash ELSE decode(repeat('00', 32), 'hex') END
        FROM events_event WHERE tenant_id = %s AND seq > %s AND seq <= %s ORDER BY seq
    ) TO STDOUT (FORMAT BINARY)
"""
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension
_FIELDS = (18).to_bytes(2)
_PLACE = 2 * (4 + 8)  # seq and recorded_at, each with its length
_DIGEST = 32
_TAIL = _PLACE + 4 + _DIGEST
_NO_DIGEST = bytes(_DIGEST)


def heads(cursor: Any, tenant: str) -> list[Head]:
    cursor.execute(_HEADS, [tenant])
    return [
        Head(log_id, seq, recorded_at, bytes(digest), bytes(prior), early, beyond)
        for log_id, seq, recorded_at, digest, prior, early, beyond in cursor.fetchall()
    ]


def log_ids(cursor: Any, tenant: str) -> list[uuid.UUID | None]:
    cursor.execute("SELECT log_id FROM events_tenant WHERE slug = %s", [tenant])
    return [log_id for (log_id,) in cursor.fetchall()]


def rows(raw: Any, tenant: str, after: int, last: int) -> Iterator[Row]:
    with psycopg.Cursor(raw) as cursor, cursor.copy(_ROWS, (tenant, after, last)) as copy:
        try:
            # libpq hands over one row at a time; the first comes with the header.
            for block in copy:
                row = bytes(block).removeprefix(_HEADER)
                if row[:2] == _FIELDS:
                    yield _row(row)
        except GeneratorExit:
            # Enough was seen: taken to its end, a COPY leaves a transaction as it was.
            for _ in copy:
                pass


def _row(row: bytes) -> Row:
    place, digest = len(row) - _TAIL, row[-_DIGEST:]
    number = int.from_bytes
    return Row(
        number(row[place + 4 : place + 12], signed=True),
        number(row[place + 16 : place + 24], signed=True),
        b"" if digest == _NO_DIGEST else chain.leaf_encoded(row[2:place]),
        digest,
    )


def names(cursor: Any) -> Iterator[str]:
    for table, column in (("events_tenant", "slug"), ("events_tenanthead", "tenant_id")):
        cursor.execute(f"SELECT {column} FROM {table}")
        yield from [readable(name) for (name,) in cursor.fetchall()]
    cursor.execute("SELECT tenant_id FROM events_event WHERE tenant_id IS NULL LIMIT 1")
    row = cursor.fetchone()
    if row is not None:
        yield readable(None)
    # From one name to the next by the index, past all the events between.
    row = ("",)
    while row is not None:
        cursor.execute(
            "SELECT tenant_id FROM events_event WHERE tenant_id > %s ORDER BY tenant_id LIMIT 1",
            row,
        )
        row = cursor.fetchone()
        if row is not None:
            yield readable(row[0])
