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
    """Write the rows of all proposals; of each model and shape at once where no row meets another
    of its model."""
    by_model: dict[type[Model], list[_Placed]] = {}
    for (proposal, _), last_seq in zip(batch, last_seqs, strict=True):
        for row in proposal.rows:
            placed = _Placed(proposal, row, last_seq - row.events_after)
            by_model.setdefault(row.model, []).append(placed)
    for rows in by_model.values():
        if _never_meet(rows):
            by_shape: dict[Shape, list[_Placed]] = {}
            for placed in rows:
                by_shape.setdefault(placed.row.shape, []).append(placed)
            for alike in by_shape.values():
                _put_together(database, cursor, tenant, alike)
        else:
            for placed in rows:
                _put(database, cursor, tenant, placed)


class _Placed(NamedTuple):
    """A row of a proposal, and the seq that its seq column gets."""

    proposal: Proposal
    row: Put
    seq: int


def _never_meet(rows: Sequence[_Placed]) -> bool:
    """Whether these rows of one model can be written in any order, and each shape as one."""
    if any(placed.row.how is How.UPSERT and placed.row.only_if for placed in rows):
        return False  # ON CONFLICT knows the row that stands and the new one, and no third
    return len({tuple(placed.row.key.items()) for placed in rows}) == len(rows) > 1


@lru_cache(maxsize=128)
def _put_together_statement(shape: Shape) -> str:
    """Takes an array for each column, as `Put.parameters` orders them; returns the written keys."""
    casts = _casts(shape)
    names = [*shape.key, *shape.values]
    kinds = [casts[name] for name in names]
    if shape.seq_column:
        names.append(shape.seq_column)
        kinds.append("bigint")
    written = names[len(shape.key) :]
    pinned = [f"only_{name}" for name in shape.only_if]
    kinds += [casts[name] for name in shape.only_if]
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(kinds, 1))
    given = f"unnest({arrays}) AS given({', '.join([*names, *pinned])})"
    met = [
        f"t.{name} IS NOT DISTINCT FROM given.{pin}"
        for name, pin in zip(shape.only_if, pinned, strict=True)
    ]
    keys = ", ".join(f"t.{name}" for name in shape.key)
    if shape.how is How.UPDATE:
        sets = ", ".join(f"{name} = given.{name}" for name in written)
        where = " AND ".join([*(f"t.{name} = given.{name}" for name in shape.key), *met])
        return f"UPDATE {shape.table} AS t SET {sets} FROM {given} WHERE {where} RETURNING {keys}"
    chosen = ", ".join(f"given.{name}" for name in names)
    sql = f"INSERT INTO {shape.table} AS t ({', '.join(names)}) SELECT {chosen} FROM {given} "
    sql += f"ON CONFLICT ({', '.join(shape.key)}) "
    if shape.how is How.INSERT:
        return f"{sql} DO NOTHING RETURNING {keys}"
    return (
        f"{sql} DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in written)
        + f" RETURNING {keys}"
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
        written = set(cursor)
        raise RowRefused(next(row for row in puts if tuple(row.key.values()) not in written))


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
