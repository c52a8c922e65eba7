"""Checking a log against itself: every hash computed again from the stored columns.

    verify("acme")   → Verified, or raises Damaged with the first seq that is wrong and why

One pass in seq order, and one query for the streams' versions; neither keeps more than a row in
this process, however long the log. Appends may go on meanwhile: what is verified is the log up to
the head that stood at the beginning.
"""

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
from django.db import connection

from events.log import chain
from events.models import Event, Tenant

PAGE = 50_000  # rows per statement: no snapshot is held for as long as a whole log takes


class Damaged(Exception):
    """The log is not what was appended. seq: of the first event that shows it."""

    def __init__(self, tenant: str, seq: int, why: str) -> None:
        super().__init__(f"{tenant}: seq {seq}: {why}")
        self.tenant = tenant
        self.seq = seq
        self.why = why


@dataclass(frozen=True, slots=True)
class Verified:
    """A log that is whole, up to and including `seq`. hash: 32 bytes."""

    tenant: str
    seq: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.tenant}: {self.seq:,} events verified, head {self.seq}-{self.hash.hex()[:8]}"


class _Row(NamedTuple):
    """recorded_at: µs since 1970; leaf: computed from the stored columns; hash: as stored."""

    seq: int
    recorded_at: int
    leaf: bytes
    hash: bytes


class _Head(NamedTuple):
    """recorded_at: µs since 1970. last_seq: of the newest event that lay in the table with it."""

    seq: int
    recorded_at: int
    hash: bytes
    log_id: uuid.UUID
    last_seq: int


class _Unreadable(Exception):
    """A row holds what an append never writes."""


def logs() -> Iterator[str]:
    """The tenants that have a log, and any that has events without being a tenant; in order."""
    named = iter([*Tenant.objects.order_by("slug").values_list("slug", flat=True), None])
    events = (
        Event.objects.across_tenants().order_by("tenant_id").values_list("tenant_id", flat=True)
    )
    tenant, found = next(named), events.first()
    while tenant is not None or found is not None:
        first = min(slug for slug in (tenant, found) if slug is not None)
        yield first
        if tenant == first:
            tenant = next(named)
        if found == first:
            found = events.filter(tenant_id__gt=first).first()


def verify(tenant: str) -> Verified:
    """Check the tenant's whole log. Raises Damaged."""
    head = _head(tenant)
    if head is None:
        raise Damaged(tenant, 0, "it has no head; its tenant or its end is lost.")
    tip = _verify_chain(tenant, head)
    _verify_streams(tenant, head.seq)
    return Verified(tenant, head.seq, tip)


def _verify_chain(tenant: str, head: _Head) -> bytes:
    tip, seq, recorded_at = chain.genesis(head.log_id), 0, None
    try:
        for row in _rows(tenant, head.seq):
            seq += 1
            if row.seq != seq:
                raise Damaged(tenant, seq, f"it is missing; the next event is {row.seq}.")
            if recorded_at is not None and row.recorded_at < recorded_at:
                raise Damaged(tenant, seq, "it was recorded before the event that it follows.")
            recorded_at = row.recorded_at
            tip = chain.link_encoded(tip, seq, recorded_at, row.leaf)
            if row.hash != tip:
                where = "the log's own id or this event was" if seq == 1 else "it or its place was"
                raise Damaged(tenant, seq, f"its hash does not follow: {where} changed.")
    except _Unreadable as error:
        raise Damaged(tenant, seq + 1, f"it cannot be read: {error}.") from error
    if seq < head.seq:
        raise Damaged(tenant, seq + 1, f"it is missing; the head says that {head.seq} is the last.")
    if head.last_seq > head.seq:
        raise Damaged(tenant, head.seq + 1, f"it lies beyond the head, which is at {head.seq}.")
    if head.hash != tip:
        raise Damaged(tenant, seq, "the head has another hash than the last event.")
    if recorded_at is not None and head.recorded_at != recorded_at:
        raise Damaged(tenant, seq, "the head has another time than the last event.")
    return tip


# Versions begin at 1, have no hole and rise with seq, in every stream. Asked of the database, which
# walks the unique key's index, since this process could not remember every stream.
_OUT_OF_ORDER = """
    SELECT min(seq) FROM (
        SELECT seq, version, row_number() OVER stream AS place, lag(seq) OVER stream AS seq_before
        FROM events_event WHERE tenant_id = %s AND seq <= %s
        WINDOW stream AS (PARTITION BY stream_type, stream_id ORDER BY version)
    ) AS versions
    WHERE version <> place OR seq_before > seq
"""


def _verify_streams(tenant: str, last: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_OUT_OF_ORDER, [tenant, last])
        (seq,) = cursor.fetchone()
    if seq is not None:
        raise Damaged(tenant, seq, "its version does not follow in its stream.")


def _head(tenant: str) -> _Head | None:
    # One statement, so that the head and the newest event are of one moment.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT h.seq, h.recorded_at, h.hash, t.log_id, "
            "(SELECT max(seq) FROM events_event WHERE tenant_id = t.slug) "
            "FROM events_tenanthead h JOIN events_tenant t ON t.slug = h.tenant_id "
            "WHERE t.slug = %s",
            [tenant],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    seq, recorded_at, digest, log_id, last_seq = row
    return _Head(
        seq,
        chain.microseconds(recorded_at.replace(tzinfo=recorded_at.tzinfo or UTC)),
        bytes(digest),
        log_id if isinstance(log_id, uuid.UUID) else uuid.UUID(log_id),
        last_seq or 0,
    )


def _rows(tenant: str, last: int) -> Iterator[_Row]:
    """Every row up to `last` in seq order, from the lowest there is: nothing is expected yet."""
    page = _postgresql_page if connection.vendor == "postgresql" else _sqlite_page
    done: int | None = None
    while True:
        count = 0
        for row in page(tenant, done, last):
            yield row
            count, done = count + 1, row.seq
        if count < PAGE:
            return


# The COPY format writes a value as its length in four bytes and its bytes, and a null as a length
# of -1; integers are eight bytes in network order. That is the very form in which the leaf takes
# the columns, so a row is hashed as it arrives, without being taken apart.
_POSTGRESQL_PAGE = """
    COPY (
        SELECT event_id, tenant_id, stream_type, stream_id, version, type, schema_version, {},
            actor, reason, correlation_id, causation_id, traceparent, origin, data, seq, {},
            CASE WHEN octet_length(hash) = 32 THEN hash ELSE decode(repeat('00', 32), 'hex') END
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
_DIGEST = 32
_TAIL = _PLACE + 4 + _DIGEST
_LOWEST = -(2**63)


def _postgresql_page(tenant: str, after: int | None, last: int) -> Iterator[_Row]:
    connection.ensure_connection()
    lowest = _LOWEST if after is None else after
    number = int.from_bytes
    with (
        connection.wrap_database_errors,
        psycopg.Cursor(connection.connection) as cursor,
        cursor.copy(_POSTGRESQL_PAGE, (tenant, lowest, last, PAGE)) as copy,
    ):
        # libpq hands over one row at a time; the first comes with the header.
        for block in copy:
            row = bytes(block)
            if row.startswith(_SIGNATURE):
                row = row[_HEADER:]
            if row[:2] != _FIELDS:
                continue  # the end
            place, digest = len(row) - _TAIL, row[-_DIGEST:]
            yield _Row(
                number(row[place + 4 : place + 12], signed=True),
                number(row[place + 16 : place + 24], signed=True),
                chain.leaf_encoded(row[2:place]),
                digest,
            )


# As blobs, since SQLite keeps whatever it is given, and what is no UTF-8 would stop the reading.
_TEXTS = (
    "tenant_id",
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
_SQLITE_PAGE = f"""
    SELECT seq, CAST(recorded_at AS BLOB), hash, CAST(event_id AS BLOB),
        CAST(occurred_at AS BLOB), version, {", ".join(f"CAST({name} AS BLOB)" for name in _TEXTS)}
    FROM events_event WHERE tenant_id = ? AND seq > ? AND seq <= ?
    ORDER BY seq LIMIT ?
"""


def _sqlite_page(tenant: str, after: int | None, last: int) -> Iterator[_Row]:
    connection.ensure_connection()
    lowest = _LOWEST if after is None else after
    with connection.wrap_database_errors:
        for row in connection.connection.execute(_SQLITE_PAGE, (tenant, lowest, last, PAGE)):
            try:
                yield _from_sqlite(*row)
            except (ValueError, TypeError, AttributeError, struct.error) as error:
                raise _Unreadable(f"{type(error).__name__}, {error}") from error


def _from_sqlite(
    seq: int,
    recorded_at: bytes,
    digest: bytes,
    event_id: bytes,
    occurred_at: bytes,
    version: int,
    *texts: bytes | None,
) -> _Row:
    columns: dict[str, Any] = {
        name: None if text is None else text.decode()
        for name, text in zip(_TEXTS, texts, strict=True)
    }
    columns["tenant"] = columns.pop("tenant_id")
    leaf = chain.leaf(
        event_id=uuid.UUID(event_id.decode()),
        version=version,
        occurred_at=_moment(occurred_at),
        **columns,
    )
    return _Row(seq, chain.microseconds(_moment(recorded_at)), leaf, digest)


def _moment(stored: bytes) -> datetime:
    return datetime.fromisoformat(stored.decode()).replace(tzinfo=UTC)
