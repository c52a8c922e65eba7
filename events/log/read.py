"""Reading the log: by stream, by seq, by page. Readers never lock and never wait for a writer."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import psycopg
from django.db import connection
from django.db.models import QuerySet

from events.facts import Envelope, Fact
from events.models import Event, TenantHead
from events.registry import decoder

CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a tenant's log. hash: 32 bytes."""

    seq: int
    recorded_at: datetime
    hash: bytes


def head(tenant: str) -> Head | None:
    """Where the tenant's log ends now; None when there is no such tenant."""
    row = next(iter(TenantHead.objects.raw(_HEAD, [tenant])), None)
    return Head(row.seq, row.recorded_at, bytes(row.hash)) if row else None


# Written out: every read asks this, and to build it anew takes three times as long as to ask it.
_HEAD = "SELECT * FROM events_tenanthead WHERE tenant_id = %s"


def envelope(row: Event) -> Envelope:
    return Envelope(
        event_id=row.event_id,
        tenant=row.tenant_id,
        seq=row.seq,
        stream_type=row.stream_type,
        stream_id=row.stream_id,
        stream_version=row.version,
        type=row.type,
        schema_version=row.schema_version,
        occurred_at=row.occurred_at,
        recorded_at=row.recorded_at,
        actor=row.actor,
        reason=row.reason,
        correlation_id=row.correlation_id,
        causation_id=row.causation_id,
        traceparent=row.traceparent,
        origin=row.origin,
        hash=bytes(row.hash),
    )


def fact(row: Event) -> Fact:
    """The fact of one stored row, in its newest schema version, with its envelope."""
    decoded: Fact = decoder(row.type, row.schema_version)(row.data)
    decoded.__dict__["envelope"] = envelope(row)
    return decoded


def after(tenant: str, seq: int, limit: int) -> list[Event]:
    """The next rows after `seq` in order; a short list means the end. Never a gap: see append."""
    return list(Event.objects.filter(tenant=tenant, seq__gt=seq).order_by("seq")[:limit])


class Outlined(NamedTuple):
    """Of one event what it is and where it stands."""

    seq: int
    type: str
    hash: bytes


def outlined(tenant: str, seq: int, limit: int) -> list[Outlined]:
    """The next events after `seq` in order, without what they say."""
    following = Event.objects.filter(tenant=tenant, seq__gt=seq).order_by("seq")
    rows = following.values_list("seq", "type", "hash")[:limit]
    return [Outlined(number, kind, bytes(digest)) for number, kind, digest in rows]


class Told(NamedTuple):
    """One event for a reader: its place, and the fact with its envelope, or why there is none."""

    seq: int
    hash: bytes
    stream_type: str
    stream_id: str
    version: int
    fact: Fact | Exception

    def decoded(self) -> Fact:
        """The fact; raises what decoding it did."""
        if isinstance(self.fact, Exception):
            raise self.fact
        return self.fact


_ENVELOPE = (
    "event_id",
    "tenant",
    "seq",
    "stream_type",
    "stream_id",
    "version",
    "type",
    "schema_version",
    "occurred_at",
    "recorded_at",
    "actor",
    "reason",
    "correlation_id",
    "causation_id",
    "traceparent",
    "origin",
    "hash",
)


def told(rows: "QuerySet[Event]") -> Iterator[Told]:
    """The facts of these rows, in the newest schema version. Faster than by way of models."""
    for (
        event_id,
        tenant,
        seq,
        stream_type,
        stream_id,
        version,
        kind,
        schema_version,
        occurred_at,
        recorded_at,
        actor,
        reason,
        correlation_id,
        causation_id,
        traceparent,
        origin,
        stored_hash,
        data,
    ) in _values(rows.values_list(*_ENVELOPE, "data")):
        digest = bytes(stored_hash)
        fact: Fact | Exception
        try:
            fact = decoder(kind, schema_version)(data)
        except Exception as error:  # noqa: BLE001 -- a caster may raise anything; readers decide
            fact = error
        else:
            fact.__dict__["envelope"] = Envelope(
                event_id=event_id,
                tenant=tenant,
                seq=seq,
                stream_type=stream_type,
                stream_id=stream_id,
                stream_version=version,
                type=kind,
                schema_version=schema_version,
                occurred_at=occurred_at,
                recorded_at=recorded_at,
                actor=actor,
                reason=reason,
                correlation_id=correlation_id,
                causation_id=causation_id,
                traceparent=traceparent,
                origin=origin,
                hash=digest,
            )
        yield Told(seq, digest, stream_type, stream_id, version, fact)


def _values(rows: "QuerySet[Event, Any]") -> Iterable[Any]:
    """The rows as tuples. From PostgreSQL in binary, past Django's own parsing of moments, which
    takes longer than all the rest."""
    if connection.vendor != "postgresql":
        return rows
    sql, parameters = rows.query.sql_with_params()
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        return cursor.execute(sql, parameters, binary=True).fetchall()


def stream_facts(
    tenant: str, stream_type: str, stream_id: str, *, to_version: int | None = None
) -> Iterator[Fact]:
    """One stream's facts from its first, up to and including `to_version`, without envelopes.

    The replay path: reads three columns in chunks and decodes straight into the newest classes.
    """
    for kind, schema_version, data in _stream_rows(tenant, stream_type, stream_id, to_version):
        yield decoder(kind, schema_version)(data)


class Recorded(NamedTuple):
    """A fact, and of its envelope what tells who made it so and when."""

    event_id: uuid.UUID
    seq: int
    version: int
    type: str
    fact: Fact
    recorded_at: datetime
    actor: str
    reason: str | None


def recorded(
    tenant: str, stream_type: str, stream_id: str, *, after_version: int, to_version: int
) -> Iterator[Recorded]:
    """One stream's facts after a version, up to and including `to_version`, in chunks."""
    stream = Event.objects.filter(tenant=tenant, stream_type=stream_type, stream_id=stream_id)
    columns = ("event_id", "seq", "version", "type", "recorded_at", "actor", "reason")
    for low in range(after_version, to_version, CHUNK):
        chunk = stream.filter(version__gt=low, version__lte=min(low + CHUNK, to_version))
        rows: Any = chunk.order_by("version").values_list("schema_version", "data", *columns)
        for schema_version, data, event_id, seq, version, kind, *known in rows:
            fact = decoder(kind, schema_version)(data)
            yield Recorded(event_id, seq, version, kind, fact, *known)


class Step(NamedTuple):
    """One fact of one of several streams."""

    stream_id: str
    version: int
    seq: int
    fact: Fact


def next_steps(
    tenant: str,
    stream_type: str,
    versions: Mapping[str, int],
    *,
    to_seq: int,
    width: int,
) -> Iterator[Step]:
    """Of each of these streams the next `width` facts after its version, none beyond `to_seq`;
    stream by stream, each in order. At most CHUNK rows are read at once."""
    streams = list(versions.items())
    at_once = max(1, CHUNK // width)
    for start in range(0, len(streams), at_once):
        rows = _windows(tenant, stream_type, streams[start : start + at_once], to_seq, width)
        for stream_id, version, seq, kind, schema_version, data in rows:
            yield Step(stream_id, version, seq, decoder(kind, schema_version)(data))


_STEPS = "e.stream_id, e.version, e.seq, e.type, e.schema_version, e.data"
_WINDOWS = {
    # LIMIT makes it one index scan for each stream, whatever the planner believes.
    "postgresql": (
        "SELECT e.* FROM unnest(%s::text[], %s::bigint[]) AS a(id, version) CROSS JOIN LATERAL ("
        f"SELECT {_STEPS} FROM events_event AS e "
        "WHERE e.tenant_id = %s AND e.stream_type = %s AND e.stream_id = a.id "
        "AND e.version > a.version AND e.version <= a.version + %s AND e.seq <= %s "
        "ORDER BY e.version LIMIT %s) AS e"
    ),
    # The sign keeps it from looking for all that lies below the seq.
    "sqlite": (
        f"SELECT {_STEPS} FROM (SELECT key AS place, json_extract(value, '$[0]') AS id, "
        "json_extract(value, '$[1]') AS version FROM json_each(%s)) AS a "
        "CROSS JOIN events_event AS e "
        "WHERE e.tenant_id = %s AND e.stream_type = %s AND e.stream_id = a.id "
        "AND e.version > a.version AND e.version <= a.version + %s AND +e.seq <= %s "
        "ORDER BY a.place, e.version"
    ),
}


def _windows(
    tenant: str, stream_type: str, streams: Sequence[tuple[str, int]], to_seq: int, width: int
) -> Sequence[Sequence[Any]]:
    values: list[Any] = [tenant, stream_type, width, to_seq]
    if connection.vendor == "postgresql":
        ids, versions = zip(*streams, strict=True)
        values = [list(ids), list(versions), *values, width]
    else:
        values = [msgspec.json.encode(streams).decode(), *values]
    with connection.cursor() as cursor:
        cursor.execute(_WINDOWS[connection.vendor], values)
        rows: list[Sequence[Any]] = cursor.fetchall()
        return rows


def _stream_rows(
    tenant: str, stream_type: str, stream_id: str, to_version: int | None
) -> Iterator[Sequence[Any]]:
    last = 2**63 - 1 if to_version is None else to_version
    done = 0
    while True:
        rows = _chunk(tenant, stream_type, stream_id, done, min(last, done + CHUNK))
        yield from rows
        done += CHUNK
        if len(rows) < CHUNK or done >= last:
            return


def _chunk(
    tenant: str, stream_type: str, stream_id: str, above: int, to: int
) -> Sequence[Sequence[Any]]:
    connection.ensure_connection()
    columns = "SELECT type, schema_version, data FROM events_event WHERE tenant_id = "
    with connection.wrap_database_errors:
        if connection.vendor == "postgresql":
            return (
                psycopg.RawCursor(connection.connection)
                .execute(
                    columns + "$1 AND stream_type = $2 AND stream_id = $3 "
                    "AND version > $4 AND version <= $5 ORDER BY version",
                    (tenant, stream_type, stream_id, above, to),
                    prepare=True,
                )
                .fetchall()
            )
        rows: list[Sequence[Any]] = connection.connection.execute(
            columns + "? AND stream_type = ? AND stream_id = ? "
            "AND version > ? AND version <= ? ORDER BY version",
            (tenant, stream_type, stream_id, above, to),
        ).fetchall()
        return rows
