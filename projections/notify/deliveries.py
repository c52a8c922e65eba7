"""Whether anybody was reached: what was told of an alert, and what could not be delivered."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import Q

from projections.alerts.models import Alert
from projections.notify.models import UNSETTLED, Digest, Notice
from projections.notify.outbox import NO_LONGER_NAMED

MOST = 50
RECENT = timedelta(days=7)
FAILING_SHOWN = 5


class Delivery(StrEnum):
    """How a message stands."""

    WAITING = "waiting"  # for others, so that they are one message
    SENDING = "sending"
    FAILING = "failing"  # it is tried again
    SENT = "sent"
    GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True)
class Told:
    """Something about an alert that one target is told. digest: the message, when it was made."""

    notice: Notice
    digest: Digest | None

    @property
    def state(self) -> Delivery:
        return state_of(self.digest)


def state_of(digest: Digest | None) -> Delivery:
    if digest is None:
        return Delivery.WAITING
    if digest.sent_at:
        return Delivery.SENT
    if digest.given_up_at:
        return Delivery.GIVEN_UP
    return Delivery.FAILING if digest.last_error else Delivery.SENDING


def of(alert: Alert) -> Sequence[Told]:
    """What was told of it and is to be told, the first first; of the last thirty days."""
    notices = Notice.objects.filter(tenant=alert.tenant_id, alert=alert).order_by("id")[:MOST]
    found = list(notices)
    ids = {notice.digest for notice in found if notice.digest}
    digests = Digest.objects.filter(tenant=alert.tenant_id, pk__in=ids)
    by_id: dict[uuid.UUID | None, Digest] = {digest.pk: digest for digest in digests}
    return [Told(notice, by_id.get(notice.digest)) for notice in found]


def in_trouble(tenant: str, now: datetime) -> Sequence[Digest]:
    """The newest messages of the last days that are not taken, or were given up."""
    failing = (Q(UNSETTLED) & Q(last_error__isnull=False)) | (
        Q(given_up_at__isnull=False) & ~Q(last_error=NO_LONGER_NAMED)
    )
    recent = Digest.objects.filter(failing, tenant=tenant, made_at__gt=now - RECENT)
    return list(recent.order_by("-made_at")[:FAILING_SHOWN])
