"""Finding a place in a log, or in one stream of it, by halving: both are dense and in order; and
finding the streams themselves."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import datetime

from django.db import connection

from events.log.read import head
from events.models import Event


def seq_before(tenant: str, moment: datetime) -> int:
    """The last seq recorded before `moment`, 0 when there is none. About log2(head) index reads."""
    return bisect_left(_seqs(tenant), moment, key=_recorded_at(tenant))


def seq_at(tenant: str, moment: datetime) -> int:
    """The last seq recorded at `moment` or before, 0 when there is none. Costs as `seq_before`."""
    return bisect_right(_seqs(tenant), moment, key=_recorded_at(tenant))


def _seqs(tenant: str) -> range:
    end = head(tenant)
    return range(1, end.seq + 1 if end else 1)


def _recorded_at(tenant: str) -> Callable[[int], datetime]:
    events = Event.objects.filter(tenant=tenant).values_list("recorded_at", flat=True)
    return lambda seq: events.get(seq=seq)


def version_before(tenant: str, stream_type: str, stream_id: str, seq: int) -> int:
    """The stream's last version whose seq is below `seq`, 0 when there is none."""
    stream = Event.objects.filter(
        tenant=tenant, stream_type=stream_type, stream_id=stream_id
    ).order_by("-version")
    newest = stream.values_list("version", "seq").first()
    if newest is None or newest[1] < seq:
        return newest[0] if newest else 0
    seqs = stream.values_list("seq", flat=True)
    return bisect_left(range(1, newest[0]), seq, key=lambda version: seqs.get(version=version))


def streams_after(tenant: str, stream_type: str, stream_id: str, limit: int) -> list[str]:
    """The next streams of this type in the order of their ids, as the log alone knows them.

    One index read for each stream, however many events it has.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE found(id, place) AS ("
            " SELECT min(stream_id), 1 FROM events_event"
            " WHERE tenant_id = %s AND stream_type = %s AND stream_id > %s"
            " UNION ALL"
            " SELECT (SELECT min(stream_id) FROM events_event"
            " WHERE tenant_id = %s AND stream_type = %s AND stream_id > found.id), place + 1"
            " FROM found WHERE found.id IS NOT NULL AND place < %s"
            ") SELECT id FROM found WHERE id IS NOT NULL ORDER BY place",
            [tenant, stream_type, stream_id, tenant, stream_type, limit],
        )
        return [row[0] for row in cursor.fetchall()]
