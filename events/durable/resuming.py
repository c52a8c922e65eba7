"""A person says where a subscription goes on, stopped or not."""

from django.db.models import F
from django.utils import timezone

from events.log.cursor import BEGINNING, Position
from events.models import Event, SubscriptionCheckpoint


def resume(subscription: str, tenant: str, seq: int) -> None:
    """Go on after event `seq` (0: from the first).

    Raises LookupError when there is no such checkpoint, or no such event.
    """
    position = BEGINNING
    if seq:
        events = Event.objects.filter(tenant=tenant, seq=seq).values_list("hash", flat=True)
        digest = events.first()
        if digest is None:
            raise LookupError(f"{tenant}'s log has no event {seq}.")
        position = Position(seq, bytes(digest))
    moved = SubscriptionCheckpoint.objects.filter(tenant=tenant, subscription=subscription).update(
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
