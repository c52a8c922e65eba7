"""Finding a place in a log, or in one stream of it, by halving: both are dense and in order; and
finding the streams themselves. Each is one statement, however long the log is."""

from datetime import datetime
from typing import Any

from django.db import connection

# The first number below {end} of which {beyond} holds, {end} when there is none. It takes about
# twice log2(end) index reads. Not by a join, which either engine may turn round once and read all.
_HALVING = """
WITH RECURSIVE span(low, high) AS (
    SELECT CAST(1 AS bigint), CAST({end} AS bigint)
    UNION ALL
    SELECT CASE WHEN {beyond} THEN low ELSE (low + high) / 2 + 1 END,
           CASE WHEN {beyond} THEN (low + high) / 2 ELSE high END
    FROM span WHERE low < high
)
SELECT low FROM span WHERE low >= high"""

_EVENTS = "FROM events_event AS event WHERE event.tenant_id = %(tenant)s"
_STREAM = "event.stream_type = %(stream_type)s AND event.stream_id = %(stream_id)s"
_MIDDLE = "(span.low + span.high) / 2"
_END = "coalesce((SELECT seq + 1 FROM events_tenanthead WHERE tenant_id = %(tenant)s), 1)"
_RECORDED_AT = f"(SELECT event.recorded_at {_EVENTS} AND event.seq = {_MIDDLE})"
_SEQ_BEFORE = _HALVING.format(end=_END, beyond=f"{_RECORDED_AT} >= %(moment)s")
_SEQ_AT = _HALVING.format(end=_END, beyond=f"{_RECORDED_AT} > %(moment)s")
_VERSION_BEFORE = _HALVING.format(
    end=f"coalesce((SELECT max(event.version) + 1 {_EVENTS} AND {_STREAM}), 1)",
    beyond=f"(SELECT event.seq {_EVENTS} AND {_STREAM} AND event.version = {_MIDDLE}) >= %(seq)s",
)


def seq_before(tenant: str, moment: datetime) -> int:
    """The last seq recorded before `moment`, 0 when there is none."""
    return _found(_SEQ_BEFORE, tenant=tenant, moment=_as_stored(moment)) - 1


def seq_at(tenant: str, moment: datetime) -> int:
    """The last seq recorded at `moment` or before, 0 when there is none."""
    return _found(_SEQ_AT, tenant=tenant, moment=_as_stored(moment)) - 1


def version_before(tenant: str, stream_type: str, stream_id: str, seq: int) -> int:
    """The stream's last version whose seq is below `seq`, 0 when there is none."""
    found = _found(
        _VERSION_BEFORE, tenant=tenant, stream_type=stream_type, stream_id=stream_id, seq=seq
    )
    return found - 1


def _as_stored(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


def _found(statement: str, **parameters: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row: tuple[int] | None = cursor.fetchone()
    if row is None:
        raise RuntimeError("The log has a hole: what it was asked for was not to be found.")
    return row[0]


def streams_after(tenant: str, stream_type: str, stream_id: str, limit: int) -> list[str]:
    """The next streams of this type in the order of their ids, as the log alone knows them.

    One index read for each stream, however many events it has.
    """
    return _streams(tenant, stream_type, stream_id, limit, nearest="min", beyond=">")


def streams_before(tenant: str, stream_type: str, stream_id: str, limit: int) -> list[str]:
    """The streams of this type before an id, the nearest first; as `streams_after`."""
    return _streams(tenant, stream_type, stream_id, limit, nearest="max", beyond="<")


def _streams(
    tenant: str, stream_type: str, stream_id: str, limit: int, *, nearest: str, beyond: str
) -> list[str]:
    following = (
        f"SELECT {nearest}(stream_id) FROM events_event"
        f" WHERE tenant_id = %s AND stream_type = %s AND stream_id {beyond}"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE found(id, place) AS ("
            f" SELECT ({following} %s), 1"
            " UNION ALL"
            f" SELECT ({following} found.id), place + 1"
            " FROM found WHERE found.id IS NOT NULL AND place < %s"
            ") SELECT id FROM found WHERE id IS NOT NULL ORDER BY place",
            [tenant, stream_type, stream_id, tenant, stream_type, limit],
        )
        return [row[0] for row in cursor.fetchall()]
