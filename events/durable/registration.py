"""Where subscriptions begin to read: each tenant's log has a checkpoint for each subscription.

A subscription that starts now starts when a worker first meets it: at the end of every log that is
there then. A log that is made later is read from its first event; of one that is imported reactions
hear what comes after it, since they do not hear what happened elsewhere.
"""

from collections.abc import Iterable

from django.utils import timezone

from events.bus import Subscription, event_bus
from events.log import cursor
from events.log.cursor import BEGINNING, Position
from events.models import KnownSubscription, SubscriptionCheckpoint, TenantHead
from events.transfer.importing import log_imported

AT_ONCE = 500


def listen() -> None:
    log_imported.connect(_begin_at_the_imported_head, dispatch_uid="events.durable")


def meet(subscriptions: Iterable[Subscription]) -> None:
    """Note that these subscriptions are here from now on. Cheap when all are known already."""
    subscriptions = tuple(subscriptions)
    known = set(KnownSubscription.objects.values_list("name", flat=True))
    for subscription in subscriptions:
        if subscription.name in known:
            continue
        if subscription.start == "now":
            _begin_at_every_head(subscription)
        # Last: whoever dies before it begins again, and what has begun keeps its place.
        KnownSubscription.objects.get_or_create(
            name=subscription.name, defaults={"start": subscription.start}
        )


def _begin_at_every_head(subscription: Subscription) -> None:
    heads = TenantHead.objects.across_tenants().values_list("tenant_id", "seq", "hash")
    begun = SubscriptionCheckpoint.objects.across_tenants().filter(subscription=subscription.name)
    there = set(begun.values_list("tenant_id", flat=True))
    SubscriptionCheckpoint.objects.bulk_create(
        [
            SubscriptionCheckpoint(
                tenant_id=tenant,
                subscription=subscription.name,
                seq=seq,
                hash=bytes(digest) if seq else BEGINNING.hash,
                updated_at=timezone.now(),
            )
            for tenant, seq, digest in heads
            if tenant not in there
        ],
        batch_size=AT_ONCE,
        ignore_conflicts=True,
    )


def begin(subscription: str, tenant: str, start: Position = BEGINNING) -> None:
    """Make the checkpoint, unless there is one."""
    SubscriptionCheckpoint.objects.get_or_create(
        tenant_id=tenant,
        subscription=subscription,
        defaults={"seq": start.seq, "hash": start.hash, "updated_at": timezone.now()},
    )


def begin_everywhere(subscription: str, tenants: Iterable[str]) -> None:
    """Make the checkpoints at the beginning of these logs, where there are none."""
    SubscriptionCheckpoint.objects.bulk_create(
        [
            SubscriptionCheckpoint(
                tenant_id=tenant,
                subscription=subscription,
                seq=BEGINNING.seq,
                hash=BEGINNING.hash,
                updated_at=timezone.now(),
            )
            for tenant in tenants
        ],
        batch_size=AT_ONCE,
        ignore_conflicts=True,
    )


def begin_at_head(tenant: str, subscriptions: Iterable[Subscription]) -> None:
    """Let those that have no checkpoint there yet hear of what comes from now on alone."""
    head = cursor.head(tenant)
    for subscription in subscriptions:
        begin(subscription.name, tenant, head)


def _begin_at_the_imported_head(tenant: str, **_: object) -> None:
    subscriptions = event_bus.subscriptions.values()
    begin_at_head(tenant, [each for each in subscriptions if not each.is_projection])
