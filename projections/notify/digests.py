"""Making digests: one for each target of all that has gathered for it.

A target gets its first digest when nothing more has come for a moment, within ten seconds of the
first notice in any case, so that a thousand failures are in it; and then at most one a minute, each
after the one before has been taken or given up.
"""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Exists, Max, Min, OuterRef, Q

from projections.alerts.models import UNRESOLVED, Alert
from projections.notify import wording
from projections.notify.models import UNSETTLED, WAITING, Channel, Digest, Happened, Notice
from projections.notify.outbox import Target

CALM = timedelta(seconds=3)
LONGEST = timedelta(seconds=8)
APART = timedelta(seconds=60)
TARGETS_AT_ONCE = 500


def make(now: datetime) -> int:
    """Make the digests that are due, in all tenants; how many."""
    before = Digest.objects.across_tenants().filter(
        UNSETTLED | Q(made_at__gt=now - APART),
        tenant=OuterRef("tenant"),
        channel=OuterRef("channel"),
        address=OuterRef("address"),
    )
    gathered = (
        Notice.objects.across_tenants()
        .filter(WAITING, ~Exists(before))
        .values_list("tenant_id", "channel", "address")
        .annotate(first=Min("at"), last=Max("at"))
        .filter(Q(last__lte=now - CALM) | Q(first__lte=now - LONGEST))
        .order_by("first")[:TARGETS_AT_ONCE]
    )
    return sum(
        _make_one(tenant, (Channel(channel), address), now)
        for tenant, channel, address, *_ in gathered
    )


def _make_one(tenant: str, target: Target, now: datetime) -> bool:
    """Whether this process made it: of two that try, the database lets one."""
    channel, address = target
    digest = Digest(
        tenant_id=tenant, channel=channel, address=address, made_at=now, next_try_at=now
    )
    try:
        with transaction.atomic():
            # Marked first and read then: so exactly those are told that are in it, also when
            # others are noted at the same moment.
            waiting = Notice.objects.filter(
                WAITING, tenant=tenant, channel=channel, address=address
            )
            if not waiting.update(digest=digest.id):
                return False
            news = _news(tenant, digest)
            digest.title = wording.title(news)
            digest.body = wording.mail(news) if channel is Channel.EMAIL else wording.post(news)
            digest.save(force_insert=True)
    except IntegrityError:
        return False
    return True


def _news(tenant: str, digest: Digest) -> wording.News:
    notices = Notice.objects.filter(tenant=tenant, digest=digest.id, channel=digest.channel)
    alerts: dict[Happened, list[Alert]] = {happened: [] for happened in Happened}
    for notice in notices.filter(address=digest.address).select_related("alert").order_by("id"):
        alerts[Happened(notice.happened)].append(notice.alert)
    return wording.News(
        tenant=tenant,
        opened=alerts[Happened.OPENED],
        resolved=alerts[Happened.RESOLVED],
        unresolved=Alert.objects.filter(UNRESOLVED, tenant=tenant).count(),
        at=digest.made_at,
    )
