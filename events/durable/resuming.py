"""A person says where a subscription goes on.

resume   whether it is stopped or not; for whoever has the server
let_go   a stopped one, with a reason that is recorded; for a tenant's admins
"""

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from events.durable.held import check_reason
from events.log.cursor import BEGINNING, Position
from events.log.proposal import Context
from events.models import Event, HeldStream, SubscriptionCheckpoint
from events.tenant_facts import SubscriptionResumed
from events.tenants import Refused, record


def resume(subscription: str, tenant: str, seq: int) -> None:
    """Go on after event `seq` (0: from the first). What is held up to there stays held.

    Raises LookupError when there is no such checkpoint, or no such event.
    """
    position = _position(tenant, seq)
    with transaction.atomic():
        checkpoint = SubscriptionCheckpoint.objects.filter(tenant=tenant, subscription=subscription)
        if not _move(checkpoint, position):
            raise LookupError(f"{tenant} has no subscription {subscription!r}.")
        _forget_what_is_read_again(tenant, subscription, seq)


def let_go(tenant: str, subscription: str, seq: int, *, reason: str, by: Context) -> None:
    """Have a stopped subscription go on after event `seq` (0: from the first).

    That is recorded in the tenant's log. Raises Refused (not_found, invalid, conflict).
    """
    check_reason(reason)
    row = SubscriptionCheckpoint.objects.filter(tenant=tenant, subscription=subscription).first()
    if row is None:
        raise Refused(f"{tenant} has no subscription {subscription}.", "not_found")
    try:
        position = _position(tenant, seq)
    except LookupError as error:
        raise Refused(str(error), field="after") from None
    standing = SubscriptionCheckpoint.objects.filter(
        tenant=tenant, pk=row.pk, epoch=row.epoch, stopped_reason__isnull=False
    )

    def go_on() -> None:
        if not _move(standing, position):
            raise Refused(f"{subscription} is not stopped. It goes on by itself.", "conflict")
        _forget_what_is_read_again(tenant, subscription, seq)

    fact = SubscriptionResumed(
        subscription=subscription, from_seq=row.seq, after_seq=seq, reason=reason
    )
    record(tenant, fact, by=by, within=go_on)


def _position(tenant: str, seq: int) -> Position:
    if not seq:
        return BEGINNING
    digest = Event.objects.filter(tenant=tenant, seq=seq).values_list("hash", flat=True).first()
    if digest is None:
        raise LookupError(f"{tenant}'s log has no event {seq}.")
    return Position(seq, bytes(digest))


def _move(checkpoint: "QuerySet[SubscriptionCheckpoint]", position: Position) -> bool:
    """Whether there was one to move."""
    return bool(
        checkpoint.update(
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
    )


def _forget_what_is_read_again(tenant: str, subscription: str, seq: int) -> None:
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
