"""Reading the log: by stream, by seq, by page. Readers never lock and never wait for a writer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from django.db import connection

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
    row = TenantHead.objects.filter(tenant=tenant).values_list("seq", "recorded_at", "hash").first()
    return Head(row[0], row[1], bytes(row[2])) if row else None


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


def stream_facts(
    tenant: str, stream_type: str, stream_id: str, *, to_version: int | None = None
) -> Iterator[Fact]:
    """One stream's facts from its first, up to and including `to_version`, without envelopes.

    The replay path: reads three columns in chunks and decodes straight into the newest classes.
    """
    for kind, schema_version, data in _stream_rows(tenant, stream_type, stream_id, to_version):
        yield decoder(kind, schema_version)(data)


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
