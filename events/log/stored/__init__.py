"""The log's tables as they stand, for whoever checks them.

Read past Django's models: the checker must not stumble over what somebody has put there, so
whatever a row holds, it comes out as a Row, and one that no append would write without a leaf.
"""

import uuid
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing

from django.db import connection

from events.log.stored import postgresql, sqlite
from events.log.stored.row import Head, Row

__all__ = [
    "Head",
    "Row",
    "database_name",
    "hashes",
    "heads",
    "log_ids",
    "names",
    "next_seq",
    "out_of_order",
    "place",
    "rows",
    "use_database",
]

SOME = 500  # values in one statement


def heads(tenant: str) -> list[Head]:
    """What stands for the tenant's head: one, unless rows are lost or doubled; at most two."""
    with connection.cursor() as cursor:
        return (
            postgresql.heads(cursor, tenant) if _on_postgresql() else sqlite.heads(cursor, tenant)
        )


def log_ids(tenant: str) -> list[uuid.UUID | None]:
    """The ids that the tenant's log has: one, or none for a tenant that is not there."""
    with connection.cursor() as cursor:
        found = (postgresql if _on_postgresql() else sqlite).log_ids(cursor, tenant)
    return list(found)


def rows(tenant: str, after: int, last: int) -> Generator[Row, None, None]:
    """The rows with after < seq ≤ last in the order of seq, however many there are of each."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        yield from (postgresql if _on_postgresql() else sqlite).rows(
            connection.connection, tenant, after, last
        )


def names() -> Iterator[str]:
    """Every tenant that a row of the log's tables names, in order; what is no text as it looks."""
    with connection.cursor() as cursor:
        return iter(sorted(set((postgresql if _on_postgresql() else sqlite).names(cursor))))


def place(tenant: str, seq: int) -> tuple[bytes, int] | None:
    """The stored hash and recorded_at (µs since 1970) at `seq`; None when no row is there."""
    with closing(rows(tenant, seq - 1, seq)) as found:
        row = next(found, None)
    return (row.hash, row.recorded_at) if row else None


def next_seq(tenant: str, after: int) -> int | None:
    """The lowest seq above `after`, None when there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(seq) FROM events_event WHERE tenant_id = %s AND seq > %s", [tenant, after]
        )
        (seq,) = cursor.fetchone()
    return seq if isinstance(seq, int) else None


def hashes(tenant: str, seqs: Iterable[int]) -> dict[int, bytes]:
    """The stored hashes at these seqs, of those that are there."""
    wanted, found = sorted(set(seqs)), {}
    for start in range(0, len(wanted), SOME):
        some = wanted[start : start + SOME]
        marks = ", ".join(["%s"] * len(some))
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT seq, hash FROM events_event WHERE tenant_id = %s AND seq IN ({marks})",
                [tenant, *some],
            )
            found.update({seq: bytes(digest) for seq, digest in cursor.fetchall()})
    return found


# Versions begin at 1, have no hole and rise with seq, in every stream. Asked of the database, since
# this process could not remember every stream: first in the order of the unique key's index; only
# when that finds something, which is the first is worth a sort.
_ANY_OUT_OF_ORDER = """
    SELECT 1 FROM (
        SELECT seq, version, row_number() OVER stream AS place, lag(seq) OVER stream AS seq_before
        FROM events_event WHERE tenant_id = %s AND seq BETWEEN 1 AND %s
        WINDOW stream AS (PARTITION BY stream_type, stream_id ORDER BY version)
    ) AS versions
    WHERE version IS NULL OR version <> place OR seq_before > seq LIMIT 1
"""
_FIRST_OUT_OF_ORDER = """
    SELECT min(seq) FROM (
        SELECT seq, version,
            row_number() OVER (PARTITION BY stream_type, stream_id ORDER BY seq) AS place
        FROM events_event WHERE tenant_id = %s AND seq BETWEEN 1 AND %s
    ) AS versions
    WHERE version IS NULL OR version <> place
"""


def out_of_order(tenant: str, last: int) -> int | None:
    """The first seq up to `last` whose version does not follow in its stream."""
    with connection.cursor() as cursor:
        cursor.execute(_ANY_OUT_OF_ORDER, [tenant, last])
        if cursor.fetchone() is None:
            return None
        cursor.execute(_FIRST_OUT_OF_ORDER, [tenant, last])
        (seq,) = cursor.fetchone()
    return int(seq)


def database_name() -> str:
    """Of the database that this process is connected to, for processes that shall be so too."""
    return str(connection.settings_dict["NAME"])


def use_database(name: str) -> None:
    """To be called before the first query of a process."""
    connection.settings_dict["NAME"] = name


def _on_postgresql() -> bool:
    return connection.vendor == "postgresql"
