"""Alerts that are over are kept for as long as the tenant wants; the events that told of them stay
in the log."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef

from events.models import HeldStream, SubscriptionCheckpoint, Tenant
from projections.alerts.models import Alert, State
from projections.alerts.troubles import AGENT_STREAM

SUBSCRIPTION = "alerts"
AT_ONCE = 500


def delete(tenant: str, now: datetime, most: int) -> int:
    """Delete alerts that were resolved too long ago, about `most` at the most; how many.

    One whose events may still come again stays, since it is what keeps them from opening another.
    """
    days = Tenant.objects.filter(slug=tenant).values_list("ended_alerts_days", flat=True).first()
    if days is None:
        return 0
    read = SubscriptionCheckpoint.objects.filter(tenant=tenant, subscription=SUBSCRIPTION)
    seq = read.values_list("seq", flat=True).first()
    waiting = HeldStream.objects.filter(
        tenant=tenant,
        subscription=SUBSCRIPTION,
        stream_type=AGENT_STREAM,
        stream_id=OuterRef("subject"),
    )
    before = now - timedelta(days=days)
    ended = Alert.objects.filter(
        ~Exists(waiting),
        tenant=tenant,
        # Ids ascend with time: so what is newer is not looked at at all.
        id__lt=_first_id_of(before),
        state=State.RESOLVED,
        resolved_at__lt=before,
        last_seq__lte=seq or 0,
    ).order_by("id")
    deleted = 0
    while deleted < most and (keys := list(ended.values_list("pk", flat=True)[:AT_ONCE])):
        Alert.objects.filter(tenant=tenant, pk__in=keys).delete()
        deleted += len(keys)
    return deleted


def _first_id_of(moment: datetime) -> UUID:
    """Below every UUIDv7 that was made from this millisecond on."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
