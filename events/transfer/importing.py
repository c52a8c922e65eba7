"""Making a log out of an export: the tenant under its own slug, every event as it was, or nothing.

What is derived from the log is made in the same transaction, by whoever listens to `log_imported`.
Nobody is let in: members and tokens are rows, not events, and are made anew.
"""

import re
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, BinaryIO

import psycopg
from django.db import IntegrityError, connection, transaction
from django.dispatch import Signal

from events.log.postgresql import EVENT_COLUMNS, EVENT_TYPES
from events.models import Event, SignedCheckpoint, Tenant, TenantHead
from events.tenant_settings import apply_settings_told
from events.tenants import Refused
from events.transfer.arriving import Arriving, BadFile, Row

# In the transaction, when all events stand and the head with them: `tenant` (slug), `seq`, `hash`.
# Whoever keeps something derived makes it now; raising Refused or BadFile undoes the import. The
# bus is silent about imported events: they happened elsewhere, and their reactions with them. A
# durable reaction therefore starts at (seq, hash), a projection at the first event.
log_imported = Signal()

BATCH = 5_000  # rows per statement, where rows are not streamed
BATCH_CHARACTERS = 16 * 1024 * 1024  # of data in them
_SEQ, _EVENT_ID, _DATA = map(EVENT_COLUMNS.index, ("seq", "event_id", "data"))
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Imported:
    """hash: 32 bytes. signed_by: the verifier key that we know and that has signed the file's
    checkpoint; signers: the names of all who have."""

    tenant: str
    seq: int
    streams: int
    hash: bytes
    signed_by: str | None
    signers: Sequence[str]


class _Taken(Exception):
    """An event's id is in use already."""

    def __init__(self, seq: int | None) -> None:
        self.seq = seq


def import_log(file: BinaryIO, *, require_signature: bool = False) -> Imported:
    """Read the whole file and commit once. Raises BadFile, Refused (already_exists), or whatever
    a listener raises; nothing is written then.
    """
    arriving = Arriving(file)
    try:
        with transaction.atomic(durable=True):
            _make_tenant(arriving)
            _write(arriving, arriving)
            _finish(arriving, require_signature=require_signature)
    except _Taken as taken:
        line = arriving.line if taken.seq is None else taken.seq + 1
        raise BadFile(line, "an event with its event_id exists already.") from taken
    ending, header = arriving.ending, arriving.header
    if ending is None:
        raise AssertionError("unreachable: the rows end with the ending or raise")
    return Imported(
        header.tenant,
        arriving.seq,
        arriving.streams,
        arriving.hash,
        str(ending.signed_by) if ending.signed_by else None,
        ending.signers,
    )


def _make_tenant(arriving: Arriving) -> None:
    header = arriving.header
    for field, taken in (
        ("tenant", Tenant.objects.filter(slug=header.tenant)),
        ("log_id", Tenant.objects.filter(log_id=header.log_id)),
    ):
        if taken.exists():
            raise _exists(field, getattr(header, field))
    tenant = Tenant(
        slug=header.tenant,
        name=header.name,
        log_id=header.log_id,
        created_at=arriving.log_began_at,
    )
    try:
        tenant.save(force_insert=True)
    except IntegrityError:
        raise _exists("tenant", header.tenant) from None


def _exists(field: str, value: object) -> Refused:
    what = f"Tenant {value}" if field == "tenant" else f"The log {value}"
    return Refused(
        f"{what} exists already. A log is imported where it is not, under its own slug.",
        "already_exists",
        field,
    )


def _finish(arriving: Arriving, *, require_signature: bool) -> None:
    """What stands beside the events, once they are all there."""
    ending, slug = arriving.ending, arriving.header.tenant
    if ending is None:
        raise AssertionError("unreachable: the rows end with the ending or raise")
    if require_signature and ending.signed_by is None:
        names = ", ".join(ending.signers)
        who = f"{names}, whose key is not known here" if names else "nobody"
        raise BadFile(
            arriving.line,
            f"the checkpoint is signed by {who}. Add the key to AGENTMESH_VERIFICATION_KEYS, or "
            f"leave --require-signature out.",
        )
    # As an append of the last event alone would have left it.
    TenantHead.objects.create(
        tenant_id=slug,
        seq=arriving.seq,
        recorded_at=arriving.recorded_at,
        hash=arriving.hash,
        prior_hash=arriving.prior_hash,
    )
    if ending.signers:
        SignedCheckpoint.objects.create(tenant_id=slug, seq=arriving.seq, note=ending.note)
    apply_settings_told(slug)
    log_imported.send(sender=Event, tenant=slug, seq=arriving.seq, hash=arriving.hash)


def _write(rows: Iterable[Row], arriving: Arriving) -> None:
    with connection.wrap_database_errors:
        written = (_copy if connection.vendor == "postgresql" else _insert)(rows)
    if written != arriving.seq:
        raise AssertionError(f"{written} of {arriving.seq} events were written")


def _copy(rows: Iterable[Row]) -> int:
    sql = f"COPY events_event ({', '.join(EVENT_COLUMNS)}) FROM STDIN (FORMAT BINARY)"
    places = _Places()
    with psycopg.RawCursor(connection.connection) as cursor:
        try:
            with cursor.copy(sql) as copy:
                copy.set_types(EVENT_TYPES)
                for row in rows:
                    places.note(row)
                    copy.write_row(row)
        except psycopg.errors.UniqueViolation as error:
            if error.diag.constraint_name != "events_event_pkey":
                raise
            raise _Taken(places.of(error.diag.message_detail or "")) from error
        return cursor.rowcount


class _Places:
    """The seqs of the newest event ids: the server complains a little after it was told."""

    KEPT = 20_000

    def __init__(self) -> None:
        self._seqs: dict[uuid.UUID, int] = {}

    def note(self, row: Row) -> None:
        if len(self._seqs) >= self.KEPT:
            for old in list(islice(self._seqs, self.KEPT // 2)):
                del self._seqs[old]
        self._seqs[row[_EVENT_ID]] = row[_SEQ]

    def of(self, detail: str) -> int | None:
        quoted = _UUID.search(detail)
        return self._seqs.get(uuid.UUID(quoted[0])) if quoted else None


def _insert(rows: Iterable[Row]) -> int:
    marks = ", ".join("?" * len(EVENT_COLUMNS))
    sql = f"INSERT INTO events_event ({', '.join(EVENT_COLUMNS)}) VALUES ({marks})"
    raw: sqlite3.Connection = connection.connection
    written = 0
    for batch in _batches(rows):
        try:
            written += raw.executemany(sql, batch).rowcount
        except sqlite3.IntegrityError as error:
            raise _Taken(_first_taken(raw, batch)) from error
    return written


def _batches(rows: Iterable[Row]) -> Iterator[list[list[Any]]]:
    batch, size = [], 0
    for row in rows:
        batch.append(_as_django_stores(row))
        size += len(row[_DATA])
        if len(batch) >= BATCH or size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _as_django_stores(row: Row) -> list[Any]:
    return [
        str(value.astimezone(UTC).replace(tzinfo=None))
        if isinstance(value, datetime)
        else value.hex
        if isinstance(value, uuid.UUID)
        else value
        for value in row
    ]


def _first_taken(raw: sqlite3.Connection, batch: Sequence[list[Any]]) -> int | None:
    """The seq of the batch's first row that is not the one that has its event id."""
    for row in batch:
        seq: int = row[_SEQ]
        found = raw.execute(
            "SELECT tenant_id, seq FROM events_event WHERE event_id = ?", (row[_EVENT_ID],)
        ).fetchone()
        if found is not None and found != (row[EVENT_COLUMNS.index("tenant_id")], seq):
            return seq
    return None
