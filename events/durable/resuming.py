"""A person says where a subscription goes on, stopped or not."""

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from events.log.cursor import BEGINNING, Position
from events.models import Event, HeldStream, SubscriptionCheckpoint


def resume(subscription: str, tenant: str, seq: int) -> None:
    """Go on after event `seq` (0: from the first). What is held up to there stays held.

    Raises LookupError when there is no such checkpoint, or no such event.
    """
    position = BEGINNING
    if seq:
        events = Event.objects.filter(tenant=tenant, seq=seq).values_list("hash", flat=True)
        digest = events.first()
        if digest is None:
            raise LookupError(f"{tenant}'s log has no event {seq}.")
        position = Position(seq, bytes(digest))
    checkpoint = SubscriptionCheckpoint.objects.filter(tenant=tenant, subscription=subscription)
    with transaction.atomic():
        moved = checkpoint.update(
            seq=position.seq,
            hash=position.hash,
            epoch=F("epoch") + 1,  # whoever reads for it now can write nothing any more
            leased_until=None,
            stopped_reason=None,
            stopped_at=None,
            failures=0,
            retry_at=None,
            updated_at=timezone.now(),
        )
        if not moved:
            raise LookupError(f"{tenant} has no subscription {subscription!r}.")
        for row in HeldStream.objects.filter(tenant=tenant, subscription=subscription):
            # Beyond the place it is read again anyway; and in a log that was replaced what is held
            # would hold other events back.
            if row.seq > seq or not _is_in_the_log(row):
                HeldStream.objects.filter(tenant=tenant, pk=row.pk).delete()


def _is_in_the_log(row: HeldStream) -> bool:
    # The event that failed or, where the stream goes on after it, the one before.
    return Event.objects.filter(
        tenant=row.tenant_id,
        seq=row.seq,
        stream_type=row.stream_type,
        stream_id=row.stream_id,
        version__in=(row.version, row.version - 1),
    ).exists()
