"""The append on SQLite: BEGIN IMMEDIATE locks, Python chains, plain statements write.

SQLite has one writer at a time, so the whole append is serial anyway and a statement costs no round
trip. The order is that of `postgresql`: head, events, rows.
"""

import sqlite3
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from events.log import chain
from events.log.errors import AppendRefused, RowRefused, TenantUnknown, VersionConflict
from events.log.proposal import Batch, Proposal, Sealed
from events.log.result import Appended
from events.log.rows import How, Put, Shape

_EVENT_COLUMNS = (
    "event_id, tenant_id, stream_type, stream_id, version, type, schema_version, occurred_at, "
    "actor, reason, correlation_id, causation_id, traceparent, origin, data, seq, recorded_at, hash"
)
_INSERT = f"INSERT INTO events_event ({_EVENT_COLUMNS}) VALUES ({', '.join('?' * 18)})"


def append_one(
    database: BaseDatabaseWrapper, tenant: str, proposal: Proposal, sealed: Sequence[Sealed]
) -> Appended:
    """Append one stream's facts, in a transaction of its own or last in the one that is open."""
    with database.wrap_database_errors:
        database.ensure_connection()
        raw: sqlite3.Connection = database.connection
        if _in_transaction(raw):
            return _append(raw, tenant, ((proposal, sealed),))
        try:
            raw.execute("BEGIN IMMEDIATE")
            appended = _append(raw, tenant, ((proposal, sealed),))
            raw.execute("COMMIT")
        except BaseException:
            if _in_transaction(raw):  # Ctrl-C may come just before BEGIN or just after COMMIT
                raw.execute("ROLLBACK")
            raise
    return appended


def _in_transaction(raw: sqlite3.Connection) -> bool:
    # A call, since mypy takes the attribute to stay as it was before BEGIN.
    return raw.in_transaction


def lock(_: BaseDatabaseWrapper, __: str) -> None:
    """Nothing to do: every transaction here begins IMMEDIATE, so it is the only one that writes."""


def append_many(database: BaseDatabaseWrapper, tenant: str, batch: Batch) -> Appended:
    """Append many streams' facts in the transaction that is open. Inside atomic()."""
    with database.wrap_database_errors:
        return _append(database.connection, tenant, batch)


def _append(raw: sqlite3.Connection, tenant: str, batch: Batch) -> Appended:
    head = raw.execute(
        "SELECT seq, hash, recorded_at FROM events_tenanthead WHERE tenant_id = ?", (tenant,)
    ).fetchone()
    if head is None:
        raise TenantUnknown(tenant)
    first, prior_hash, previous = head
    recorded_at = max(previous.replace(tzinfo=UTC), datetime.now(UTC))
    stamp = _stored(recorded_at)
    seq, tip = first, prior_hash
    for proposal, sealed in batch:
        context = proposal.context
        _refuse_a_moved_stream(raw, tenant, proposal)
        values = []
        for event in sealed:
            seq += 1
            tip = chain.link(tip, seq, recorded_at, event.leaf)
            values.append(
                (
                    event.event_id.hex,
                    tenant,
                    proposal.stream_type,
                    proposal.stream_id,
                    event.version,
                    event.type,
                    event.schema_version,
                    _stored(event.occurred_at),
                    context.actor,
                    context.reason,
                    context.correlation_id,
                    context.causation_id,
                    context.traceparent,
                    context.origin,
                    event.data,
                    seq,
                    stamp,
                    tip,
                )
            )
        written = raw.executemany(_INSERT, values).rowcount
        if written != len(sealed):
            raise AppendRefused(f"{written} of {len(sealed)} events were written; nothing is kept.")
        for row in proposal.rows:
            _put(raw, row, seq)
    moved = raw.execute(
        "UPDATE events_tenanthead SET seq = ?, recorded_at = ?, prior_hash = ?, hash = ? "
        "WHERE tenant_id = ?",
        (seq, stamp, prior_hash, tip, tenant),
    ).rowcount
    if moved != 1:
        raise AppendRefused("The head was not moved; nothing is kept.")
    return Appended(tenant, seq, recorded_at, prior_hash, tuple(batch))


def _refuse_a_moved_stream(raw: sqlite3.Connection, tenant: str, proposal: Proposal) -> None:
    """The unique key would refuse a taken version too, but not name it, nor see a hole."""
    stands_at = raw.execute(
        "SELECT max(version) FROM events_event WHERE tenant_id = ? AND stream_type = ? "
        "AND stream_id = ?",
        (tenant, proposal.stream_type, proposal.stream_id),
    ).fetchone()[0]
    if (stands_at or 0) != proposal.expected_version:
        raise VersionConflict(tenant, proposal.stream_id, proposal.expected_version)


def _put(raw: sqlite3.Connection, row: Put, last_seq: int) -> None:
    values = [_stored(value) for value in row.parameters(last_seq - row.events_after)]
    try:
        written = raw.execute(_put_statement(row.shape), values).rowcount
    except sqlite3.IntegrityError as error:
        raise RowRefused(row) from error
    if written != 1:
        raise RowRefused(row)


@lru_cache(maxsize=512)
def _put_statement(shape: Shape) -> str:
    """Takes the shape's key, values, seq and only_if, in this order."""
    place = {name: f"?{number}" for number, name in enumerate(shape.key, 1)}
    written = [*shape.values, *([shape.seq_column] if shape.seq_column else [])]
    place |= {name: f"?{number}" for number, name in enumerate(written, len(place) + 1)}
    conditions = [
        f"{shape.table}.{name} IS ?{number}"
        for number, name in enumerate(shape.only_if, len(place) + 1)
    ]
    if shape.how is How.UPDATE:
        sets = ", ".join(f"{name} = {place[name]}" for name in written)
        where = " AND ".join([*(f"{name} = {place[name]}" for name in shape.key), *conditions])
        return f"UPDATE {shape.table} SET {sets} WHERE {where}"
    sql = f"INSERT INTO {shape.table} ({', '.join(place)}) VALUES ({', '.join(place.values())})"
    if shape.how is How.UPSERT:
        sets = ", ".join(f"{name} = excluded.{name}" for name in written)
        sql += f" ON CONFLICT ({', '.join(shape.key)}) DO UPDATE SET {sets}"
        if conditions:
            sql += " WHERE " + " AND ".join(conditions)
    return sql


def _stored(value: Any) -> Any:
    """A value as Django's SQLite backend stores it."""
    if isinstance(value, datetime):
        return str(value.astimezone(UTC).replace(tzinfo=None))
    if isinstance(value, uuid.UUID):
        return value.hex
    return value
