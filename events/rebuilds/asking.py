"""Asking for a projection to be made anew. Who asks while one is open is told of that one."""

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from events.bus import Subscription, event_bus
from events.durable.held import check_reason
from events.log import read
from events.models import Rebuild, SubscriptionCheckpoint
from events.tenants import Refused

OPEN = (Rebuild.Status.QUEUED, Rebuild.Status.RUNNING)


def ask(tenant: str, projection: str, *, by: str, reason: str) -> Rebuild:
    """A new request. by: the actor.

    Raises Refused: not_found where there is nothing of this name to rebuild, conflict while one is
    open, invalid for a reason that is none.
    """
    check_reason(reason)
    head = read.head(tenant)
    subscription = event_bus.subscriptions.get(projection)
    if head is None or subscription is None or not can_be_rebuilt(subscription):
        raise Refused(f"{projection} has no rows that could be made anew.", "not_found")
    if _is_stopped(tenant, projection):
        raise Refused(
            f"{projection} is stopped. Say where it goes on, and then have it rebuilt.", "conflict"
        )
    try:
        with transaction.atomic():
            return Rebuild.objects.create(
                tenant_id=tenant,
                projection=projection,
                requested_by=by,
                reason=reason,
                head=head.seq,
            )
    except IntegrityError:
        raise Refused(
            f"{projection} is being rebuilt already, as somebody asked before. Wait for that one: "
            f"it reads the log up to its end.",
            "conflict",
        ) from None


def can_be_rebuilt(subscription: Subscription) -> bool:
    """Whether it says which rows are its own."""
    return subscription.read_model is not None or bool(subscription.models)


def _is_stopped(tenant: str, projection: str) -> bool:
    checkpoints = SubscriptionCheckpoint.objects.filter(tenant=tenant, subscription=projection)
    return checkpoints.exclude(stopped_reason=None).exists()


def of(tenant: str, projection: str) -> "QuerySet[Rebuild]":
    """All of the projection's in the tenant, the newest first."""
    rebuilds = Rebuild.objects.filter(tenant=tenant, projection=projection)
    return rebuilds.order_by("-requested_at", "-id")


def open_ones(tenant: str) -> "dict[str, Rebuild]":
    """Those that are waited for, by projection."""
    rows = Rebuild.objects.filter(tenant=tenant, status__in=OPEN)
    return {row.projection: row for row in rows}
