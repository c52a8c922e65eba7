"""The append on PostgreSQL: one statement that takes the head's lock, chains, and writes all rows.

The statement is built from arms (common table expressions). `head` runs first, because every other
arm reads from it; it waits for the tenant's lock, so that everything after it is serial per tenant:

    head     moves the tenant's head by n events: seq, recorded_at, prior_hash, hash
    written  inserts the n events, each with its hash
    row_i    writes one row that belongs to the append (current row, claim, idempotency key)

The last SELECT counts what each arm wrote and raises inside the statement when a count is wrong, so
that even in autocommit nothing is left half-written.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from itertools import count
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper

from events.log import chain, prepared
from events.log.errors import AppendRefused, TenantUnknown, VersionConflict
from events.log.postgresql_rows import Refusals, arm, put_all
from events.log.proposal import Batch, Proposal, Sealed
from events.log.result import Appended
from events.log.rows import Shape

_EVENT = (
    ("event_id", "uuid"),
    ("tenant_id", "text"),
    ("stream_type", "text"),
    ("stream_id", "text"),
    ("version", "bigint"),
    ("type", "text"),
    ("schema_version", "text"),
    ("occurred_at", "timestamptz"),
    ("actor", "text"),
    ("reason", "text"),
    ("correlation_id", "text"),
    ("causation_id", "text"),
    ("traceparent", "text"),
    ("origin", "text"),
    ("data", "text"),
)
EVENT_COLUMNS = (*(name for name, _ in _EVENT), "seq", "recorded_at", "hash")
EVENT_TYPES = (*(cast for _, cast in _EVENT), "bigint", "timestamptz", "bytea")

_MICROSECONDS = "int8send((extract(epoch from {0}) * 1000000)::bigint)"


@lru_cache(maxsize=512)
def statement(events: int, rows: tuple[Shape, ...]) -> str:
    """The SQL that appends `events` events and writes `rows`; $1, $2 … as `parameters` has them."""
    number = count(1)

    def take(cast: str) -> str:
        return f"${next(number)}::{cast}"

    tenant = take("text")
    leaves = [take("bytea") for _ in range(events)]
    arms = [_head(tenant, leaves), _written(tenant, leaves, take)]
    arms += [arm(index, shape, take) for index, shape in enumerate(rows)]
    # Each arm writes one row or none, but for the events of a longer append, which are counted.
    fewer = f"(SELECT count(*) FROM written) <> {events}" if events > 1 else _nothing_in("written")
    checks = [f"WHEN {fewer} THEN agentmesh_refuse('events')"]
    checks += [
        f"WHEN {_nothing_in(f'row_{index}')} THEN agentmesh_refuse('row {index}')"
        for index in range(len(rows))
    ]
    expected = take("bigint")
    stream_type, stream_id = f"${events + 2}", f"${events + 3}"
    # The unique key sees to it that the next version is free; only this, that there is no hole
    # before it.
    checks.append(
        f"WHEN {expected} > 0 AND NOT EXISTS (SELECT 1 FROM events_event WHERE tenant_id = "
        f"{tenant} AND stream_type = {stream_type} AND stream_id = {stream_id} "
        f"AND version = {expected}) "
        "THEN agentmesh_refuse('version')"
    )
    return (
        "WITH "
        + ",\n".join(arms)
        + "\nSELECT seq, recorded_at, prior_hash, CASE "
        + " ".join(checks)
        + " END FROM head"
    )


def _nothing_in(arm: str) -> str:
    return f"NOT EXISTS (SELECT FROM {arm})"


def _head(tenant: str, leaves: Sequence[str]) -> str:
    tip, moment = "h.hash", _MICROSECONDS.format("clock.now")
    for place, leaf in enumerate(leaves, 1):
        tip = f"sha256({tip} || int8send(h.seq + {place}) || {moment} || {leaf})"
    # The sub-select is evaluated anew on the newest row when the UPDATE had to wait for the lock,
    # clock_timestamp() with it: the time is taken under the lock. OFFSET 0 keeps it one reading.
    return f"""head AS (
    UPDATE events_tenanthead AS h SET (seq, recorded_at, prior_hash, hash) = (
        SELECT h.seq + {len(leaves)}, clock.now, h.hash, {tip}
        FROM (SELECT greatest(h.recorded_at, clock_timestamp()) AS now OFFSET 0) AS clock
    )
    WHERE h.tenant_id = {tenant}
    RETURNING h.seq, h.recorded_at, h.prior_hash, h.hash
)"""


def _written(tenant: str, leaves: Sequence[str], take: Any) -> str:
    common = {
        name: take(cast) for name, cast in _EVENT if name in _COMMON and name != "tenant_id"
    } | {"tenant_id": tenant}
    selects, tip = [], "head.prior_hash"
    behind = len(leaves)
    for leaf in leaves:
        behind -= 1
        seq = f"head.seq - {behind}" if behind else "head.seq"
        moment = _MICROSECONDS.format("head.recorded_at")
        tip = f"sha256({tip} || int8send({seq}) || {moment} || {leaf})"
        columns = ", ".join(common[name] if name in common else take(cast) for name, cast in _EVENT)
        # The head already holds the last event's hash; the ones before it are computed again.
        digest = tip if behind else "head.hash"
        selects.append(f"SELECT {columns}, {seq}, head.recorded_at, {digest} FROM head")
    return f"""written AS (
    INSERT INTO events_event ({", ".join(EVENT_COLUMNS)})
    {" UNION ALL ".join(selects)}
    RETURNING 1
)"""


_COMMON = {
    "tenant_id",
    "stream_type",
    "stream_id",
    "actor",
    "reason",
    "correlation_id",
    "causation_id",
    "traceparent",
    "origin",
}


def parameters(tenant: str, proposal: Proposal, sealed: Sequence[Sealed]) -> list[Any]:
    """The values for `statement`, in its order."""
    context = proposal.context
    values: list[Any] = [
        tenant,
        *(event.leaf for event in sealed),
        proposal.stream_type,
        proposal.stream_id,
        context.actor,
        context.reason,
        context.correlation_id,
        context.causation_id,
        context.traceparent,
        context.origin,
    ]
    for event in sealed:
        values += (
            event.event_id,
            event.version,
            event.type,
            event.schema_version,
            event.occurred_at,
            event.data,
        )
    for row in proposal.rows:
        values += row.parameters(row.events_after)
    values.append(proposal.expected_version)
    return values


def append_one(
    database: BaseDatabaseWrapper, tenant: str, proposal: Proposal, sealed: Sequence[Sealed]
) -> Appended:
    """Append one stream's facts with one statement, in autocommit or as a transaction's last."""
    sql = statement(len(sealed), tuple(row.shape for row in proposal.rows))
    with Refusals(database, tenant, proposal, proposal.rows):
        if database.connection is None:
            database.ensure_connection()
        rows = prepared.execute(database.connection, sql, parameters(tenant, proposal, sealed))
    if not rows:
        raise TenantUnknown(tenant)
    seq, recorded_at, prior_hash, _ = rows[0]
    return Appended(
        tenant,
        prepared.integer(seq),
        prepared.moment(recorded_at),
        bytes(prior_hash or b""),
        ((proposal, sealed),),
    )


def lock(database: BaseDatabaseWrapper, tenant: str) -> None:
    """Take the head's lock before what is to be appended is decided. Inside atomic()."""
    with database.wrap_database_errors:
        psycopg.RawCursor(database.connection).execute(
            "SELECT FROM events_tenanthead WHERE tenant_id = $1 FOR UPDATE", (tenant,)
        )


def append_many(database: BaseDatabaseWrapper, tenant: str, batch: Batch) -> Appended:
    """Append many streams' facts: the head's lock, the chain in Python, COPY. Inside atomic()."""
    cursor = psycopg.RawCursor(database.connection)
    with database.wrap_database_errors:
        head = cursor.execute(
            "SELECT seq, hash, greatest(recorded_at, clock_timestamp()) FROM events_tenanthead "
            "WHERE tenant_id = $1 FOR UPDATE",
            (tenant,),
        ).fetchone()
        if head is None:
            raise TenantUnknown(tenant)
        _refuse_moved_streams(cursor, tenant, batch)
        seq, prior_hash, recorded_at = head
        last_seqs, tip = _copy(cursor, tenant, batch, seq, prior_hash, recorded_at)
    put_all(database, cursor, tenant, batch, last_seqs)
    with database.wrap_database_errors:
        cursor.execute(
            "UPDATE events_tenanthead SET seq = $2, recorded_at = $3, prior_hash = $4, hash = $5 "
            "WHERE tenant_id = $1",
            (tenant, last_seqs[-1], recorded_at, prior_hash, tip),
        )
    if cursor.rowcount != 1:
        raise AppendRefused("The head was not moved; nothing is kept.")
    return Appended(tenant, last_seqs[-1], recorded_at, prior_hash, tuple(batch))


def _copy(
    cursor: psycopg.RawCursor[Any],
    tenant: str,
    batch: Batch,
    seq: int,
    tip: bytes,
    recorded_at: datetime,
) -> tuple[list[int], bytes]:
    """Write the chained events; each proposal's last seq, and the new tip of the chain."""
    first, last_seqs = seq, []
    sql = f"COPY events_event ({', '.join(EVENT_COLUMNS)}) FROM STDIN (FORMAT BINARY)"
    with cursor.copy(sql) as copy:
        copy.set_types(EVENT_TYPES)
        for proposal, sealed in batch:
            context = proposal.context
            for event in sealed:
                seq += 1
                tip = chain.link(tip, seq, recorded_at, event.leaf)
                copy.write_row(
                    (
                        event.event_id,
                        tenant,
                        proposal.stream_type,
                        proposal.stream_id,
                        event.version,
                        event.type,
                        event.schema_version,
                        event.occurred_at,
                        context.actor,
                        context.reason,
                        context.correlation_id,
                        context.causation_id,
                        context.traceparent,
                        context.origin,
                        event.data,
                        seq,
                        recorded_at,
                        tip,
                    )
                )
            last_seqs.append(seq)
    if cursor.rowcount != seq - first:
        raise AppendRefused(
            f"{cursor.rowcount} of {seq - first} events were written; nothing is kept."
        )
    return last_seqs, tip


def _refuse_moved_streams(cursor: psycopg.RawCursor[Any], tenant: str, batch: Batch) -> None:
    """Under the head's lock no stream can move any more, so what is found here stays true."""
    streams = list(dict.fromkeys((each.stream_type, each.stream_id) for each, _ in batch))
    cursor.execute(
        "SELECT (SELECT max(version) FROM events_event WHERE tenant_id = $1 "
        "AND stream_type = stream.type AND stream_id = stream.id) "
        "FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS stream(type, id, place) "
        "ORDER BY place",
        (tenant, [stream[0] for stream in streams], [stream[1] for stream in streams]),
    )
    stands_at = dict(zip(streams, (row[0] or 0 for row in cursor), strict=True))
    for proposal, sealed in batch:
        stream = (proposal.stream_type, proposal.stream_id)
        if stands_at[stream] != proposal.expected_version:
            raise VersionConflict(tenant, proposal.stream_id, proposal.expected_version)
        stands_at[stream] += len(sealed)
