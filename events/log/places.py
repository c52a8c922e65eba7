"""Finding a place in a log, or in one stream of it, by halving: both are dense and in order."""

from bisect import bisect_left
from datetime import datetime

from events.log.read import head
from events.models import Event


def seq_before(tenant: str, moment: datetime) -> int:
    """The last seq recorded before `moment`, 0 when there is none. About log2(head) index reads."""
    end = head(tenant)
    events = Event.objects.filter(tenant=tenant).values_list("recorded_at", flat=True)
    return bisect_left(
        range(1, end.seq + 1 if end else 1), moment, key=lambda seq: events.get(seq=seq)
    )


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
