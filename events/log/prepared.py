"""Prepared statements by libpq itself, for the two statements that every command waits for.

psycopg's `execute()` adapts values of any type and plans for any statement; measured beside a
heartbeat, that work took as long as PostgreSQL took for the row. Here the types are few and known:
each goes over in PostgreSQL's binary form and comes back so. Errors are psycopg's own.
"""

import itertools
import os
import struct
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from psycopg import errors, pq
from psycopg.errors import error_from_result

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # where PostgreSQL's timestamps count from
_BINARY_FORMAT = pq.Format.BINARY
_int64 = struct.Struct(">q")
_numbers = itertools.count()
_names: WeakKeyDictionary[psycopg.Connection[Any], dict[str, bytes]] = WeakKeyDictionary()

T = TypeVar("T")
Row = Sequence[bytes | None]


def execute(connection: psycopg.Connection[Any], sql: str, values: Sequence[Any]) -> list[Row]:
    """Run one statement whose parameters are cast: `$1::text`, `::bigint`, `::uuid`, `::bytea` or
    `::timestamptz`, given as str, int, UUID, bytes or aware datetime, or None.

    Returns the rows in PostgreSQL's binary form; see `integer` and `moment`. Raises psycopg.Error.
    """
    if connection.autocommit:
        result = _execute_prepared(connection, sql, values)
    else:
        # A statement that is gone would end the transaction, and psycopg sends DEALLOCATE ALL after
        # each rollback; so in a transaction psycopg prepares, begins and keeps the books.
        cursor = psycopg.RawCursor(connection)
        cursor.execute(sql, values, prepare=True, binary=True)
        result = _present(cursor.pgresult)
    columns = range(result.nfields)
    return [[result.get_value(row, column) for column in columns] for row in range(result.ntuples)]


def _execute_prepared(
    connection: psycopg.Connection[Any], sql: str, values: Sequence[Any]
) -> pq.abc.PGresult:
    pgconn = connection.pgconn
    encoded: Any = [value if value is None else _BINARY[type(value)](value) for value in values]
    formats = [_BINARY_FORMAT] * len(encoded)
    try:
        result = pgconn.exec_prepared(_prepared(connection, sql), encoded, formats, _BINARY_FORMAT)
        _check(result)
    except errors.InvalidSqlStatementName:
        # Somebody deallocated it, or a proxy gave us another server connection.
        _names.pop(connection, None)
        result = pgconn.exec_prepared(_prepared(connection, sql), encoded, formats, _BINARY_FORMAT)
        _check(result)
    return result


def integer(value: bytes | None) -> int:
    """A bigint that came back."""
    number: int = _int64.unpack(_present(value))[0]
    return number


def moment(value: bytes | None) -> datetime:
    """A timestamptz that came back, in UTC."""
    return _EPOCH + timedelta(microseconds=integer(value))


def _present(value: T | None) -> T:
    if value is None:
        raise TypeError("There is nothing where the statement promises a value.")
    return value


def _prepared(connection: psycopg.Connection[Any], sql: str) -> bytes:
    names = _names.get(connection)
    if names is None:
        names = _names[connection] = {}
    name = names.get(sql)
    if name is None:
        # Never used twice, even where a proxy lets processes share a server connection.
        name = b"agentmesh_%d_%d" % (os.getpid(), next(_numbers))
        _check(connection.pgconn.prepare(name, sql.encode()))
        names[sql] = name
    return name


def _check(result: pq.abc.PGresult) -> None:
    if result.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
        raise error_from_result(result)


def _bigint(value: int) -> bytes:
    return _int64.pack(value)


def _timestamptz(value: datetime) -> bytes:
    since = value - _EPOCH
    return _int64.pack(since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds)


def _as_is(value: bytes) -> bytes:
    return value


def _uuid(value: uuid.UUID) -> bytes:
    return value.bytes


_BINARY: dict[type, Any] = {
    str: str.encode,
    int: _bigint,
    bytes: _as_is,
    datetime: _timestamptz,
    uuid.UUID: _uuid,
}
