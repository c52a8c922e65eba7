"""Rows that belong to an append, on PostgreSQL: as arms of its statement, or beside a COPY."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from itertools import count
from types import TracebackType
from typing import Any, NamedTuple

import psycopg
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model
from psycopg import errors

from events.log.errors import AppendRefused, RowRefused, VersionConflict
from events.log.proposal import Batch, Proposal
from events.log.rows import How, Put, Shape

REFUSED = "AM001"  # the SQLSTATE of agentmesh_refuse(), see guard.py


def arm(index: int, shape: Shape, take: Any) -> str:
    """The arm `row_<index>` of a statement that has the seq of the last event in `head`."""
    casts = _casts(shape)
    keys = {name: take(casts[name]) for name in shape.key}
    values = {name: take(casts[name]) for name in shape.values}
    if shape.seq_column:
        values[shape.seq_column] = f"head.seq - {take('bigint')}"
    conditions = [f"t.{name} IS NOT DISTINCT FROM {take(casts[name])}" for name in shape.only_if]
    if shape.how is How.UPDATE:
        sets = ", ".join(f"{name} = {value}" for name, value in values.items())
        where = " AND ".join(
            [*(f"t.{name} = {value}" for name, value in keys.items()), *conditions]
        )
        body = f"UPDATE {shape.table} AS t SET {sets} FROM head WHERE {where}"
    else:
        columns = {**keys, **values}
        body = (
            f"INSERT INTO {shape.table} AS t ({', '.join(columns)}) "
            f"SELECT {', '.join(columns.values())} FROM head"
        )
        if shape.how is How.UPSERT:
            sets = ", ".join(f"{name} = excluded.{name}" for name in values)
            body += f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {sets}"
            if conditions:
                body += " WHERE " + " AND ".join(conditions)
    return f"row_{index} AS (\n    {body}\n    RETURNING 1\n)"


# What `prepared` sends: eight bytes for every number, and text for every string.
_CASTS = {
    "smallint": "bigint",
    "integer": "bigint",
    "varchar": "text",
    "timestamp with time zone": "timestamptz",
}


@lru_cache(maxsize=128)
def _casts(shape: Shape) -> dict[str, str]:
    """The SQL type of each column, without a length: a cast to varchar(n) would cut in silence."""
    fields = {field.attname: field for field in shape.model._meta.concrete_fields}
    return {
        name: _CASTS.get(kind, kind)
        for name in shape.columns
        if (kind := (fields[name].rel_db_type(connection) or "text").partition("(")[0])
    }


class Refusals(AbstractContextManager[None]):
    """Names the refusals that the database raised; anything else becomes Django's own error."""

    def __init__(
        self,
        database: BaseDatabaseWrapper,
        tenant: str,
        proposal: Proposal,
        rows: Sequence[Put],
    ) -> None:
        self.database = database
        self.tenant = tenant
        self.proposal = proposal
        self.rows = rows

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            return
        if isinstance(error, errors.IntegrityError):
            if error.diag.constraint_name == "events_event_version":
                raise self._conflict() from error
            if (row := self._row_of(error)) is not None:
                raise RowRefused(row) from error
        elif isinstance(error, psycopg.Error) and error.sqlstate == REFUSED:
            arm = error.diag.message_primary or ""
            if arm == "version":
                raise self._conflict() from error
            if arm.startswith("row "):
                raise RowRefused(self.rows[int(arm.removeprefix("row "))]) from error
            raise AppendRefused("Not every event was written; nothing is kept.") from error
        self.database.wrap_database_errors.__exit__(kind, error, trace)

    def _conflict(self) -> VersionConflict:
        return VersionConflict(self.tenant, self.proposal.stream_id, self.proposal.expected_version)

    def _row_of(self, error: errors.IntegrityError) -> Put | None:
        """The row that was refused; of several in one table the one whose key the server quotes."""
        table = error.diag.table_name
        suspects = [row for row in self.rows if row.model._meta.db_table == table]
        quoted = error.diag.message_detail or ""
        for row in suspects:
            if all(str(value) in quoted for value in row.key.values()):
                return row
        return suspects[0] if suspects else None


def put_all(
    database: BaseDatabaseWrapper,
    cursor: psycopg.RawCursor[Any],
    tenant: str,
    batch: Batch,
    last_seqs: Sequence[int],
) -> None:
    """Write the rows of all proposals; of each model at once where no row can meet another."""
    by_model: dict[type[Model], list[_Placed]] = {}
    for (proposal, _), last_seq in zip(batch, last_seqs, strict=True):
        for row in proposal.rows:
            placed = _Placed(proposal, row, last_seq - row.events_after)
            by_model.setdefault(row.model, []).append(placed)
    for rows in by_model.values():
        if len(rows) > 1 and _never_meet(rows):
            _put_together(database, cursor, tenant, rows)
        else:
            for placed in rows:
                _put(database, cursor, tenant, placed)


class _Placed(NamedTuple):
    """A row of a proposal, and the seq that its seq column gets."""

    proposal: Proposal
    row: Put
    seq: int


def _never_meet(rows: Sequence[_Placed]) -> bool:
    """Whether these rows of one model can be written in any order, and none can be refused: what
    refuses one of many does not say which."""
    shape = rows[0].row.shape
    if shape.how is not How.UPSERT or shape.only_if:
        return False
    if any(placed.row.shape != shape for placed in rows):
        return False
    return len({tuple(placed.row.key.values()) for placed in rows}) == len(rows)


@lru_cache(maxsize=128)
def _put_together_statement(shape: Shape) -> str:
    casts = _casts(shape)
    kinds = [casts[name] for name in (*shape.key, *shape.values)]
    columns = [*shape.key, *shape.values]
    if shape.seq_column:
        columns.append(shape.seq_column)
        kinds.append("bigint")
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(kinds, 1))
    sets = ", ".join(f"{name} = excluded.{name}" for name in columns[len(shape.key) :])
    return (
        f"INSERT INTO {shape.table} ({', '.join(columns)}) SELECT * FROM unnest({arrays}) "
        f"ON CONFLICT ({', '.join(shape.key)}) DO UPDATE SET {sets}"
    )


def _put_together(
    database: BaseDatabaseWrapper,
    cursor: psycopg.RawCursor[Any],
    tenant: str,
    rows: Sequence[_Placed],
) -> None:
    puts = [placed.row for placed in rows]
    columns = zip(*(placed.row.parameters(placed.seq) for placed in rows), strict=True)
    with Refusals(database, tenant, rows[0].proposal, puts):
        cursor.execute(_put_together_statement(puts[0].shape), [list(each) for each in columns])
    if cursor.rowcount != len(rows):
        raise AppendRefused(f"{cursor.rowcount} of {len(rows)} rows were written; nothing is kept.")


@lru_cache(maxsize=128)
def _put_statement(shape: Shape) -> str:
    number = count(1)

    def take(cast: str) -> str:
        return f"${next(number)}::{cast}"

    head = f"WITH head AS (SELECT {take('bigint')} AS seq), "
    return head + arm(0, shape, take) + " SELECT count(*) FROM row_0"


def _put(
    database: BaseDatabaseWrapper, cursor: psycopg.RawCursor[Any], tenant: str, placed: _Placed
) -> None:
    proposal, row, seq = placed
    with Refusals(database, tenant, proposal, (row,)):
        cursor.execute(_put_statement(row.shape), [seq, *row.parameters(0)], prepare=True)
    written = cursor.fetchone()
    if written is None or written[0] != 1:
        raise RowRefused(row)
