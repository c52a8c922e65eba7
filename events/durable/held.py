"""Streams that one subscription could not go on with, while its others go on.

The first failure holds the stream: the subscription passes over its events. It is tried again after
1, 2, 4, 8 and 16 seconds, and then parked: from there a person retries it, or skips the event that
fails, with a reason that is recorded. However it goes on, it does so from that event in the log, in
order, and nothing is skipped silently.

Where many streams fail and nothing at all succeeds, in this log or in any, the fault is hardly the
events': what they are sent to is away. Then nothing is parked, and each is tried again every half
minute.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from events.durable.lease import Lease
from events.idempotency import Receipt
from events.log.proposal import Context
from events.log.read import Told
from events.models import Event, HeldStream, SubscriptionCheckpoint
from events.tenant_facts import EventSkipped
from events.tenants import Refused, record

ATTEMPTS = 6
FIRST_WAIT_SECONDS = 1.0
AWAY_WAIT_SECONDS = 30.0
MANY = 5  # streams that fail while none succeeds: no coincidence
REASON_LENGTH = 1_000

Stream = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Held:
    """A stream to be tried again, from `version` on."""

    pk: int
    stream: Stream
    version: int
    attempts: int


def wait_seconds(attempts: int) -> float:
    """After so many attempts; with jitter, so that what failed together does not come together."""
    exponent = min(attempts, ATTEMPTS) - 1
    return float(FIRST_WAIT_SECONDS * 2**exponent * random.uniform(0.8, 1.2))


def streams(subscription: str, tenant: str) -> set[Stream]:
    """The streams that are passed over now."""
    rows = HeldStream.objects.filter(tenant=tenant, subscription=subscription)
    return set(rows.values_list("stream_type", "stream_id"))


def due(subscription: str, tenant: str) -> Sequence[Held]:
    """Those to be tried again now, the longest waiting first."""
    rows = (
        HeldStream.objects.filter(
            tenant=tenant, subscription=subscription, parked_at=None, retry_at__lte=Now()
        )
        .order_by("retry_at")
        .values_list("pk", "stream_type", "stream_id", "version", "attempts")
    )
    return [Held(pk, (kind, name), version, tries) for pk, kind, name, version, tries in rows]


def hold(lease: Lease, told: Told, error: str) -> None:
    """Pass over the stream from this event on. In the transaction that moves the checkpoint."""
    HeldStream.objects.create(
        tenant_id=lease.tenant,
        subscription=lease.subscription,
        stream_type=told.stream_type,
        stream_id=told.stream_id,
        version=told.version,
        seq=told.seq,
        attempts=1,
        last_error=error,
        held_at=Now(),
        retry_at=Now() + timedelta(seconds=wait_seconds(1)),
    )


def go_on_from(lease: Lease, held: Held, told: Told) -> None:
    """The events before this one are handled now."""
    with transaction.atomic():
        lease.succeed()
        _row(lease, held).update(version=told.version, seq=told.seq, attempts=0, retry_at=Now())


def go_on_after(lease: Lease, held: Held, told: Told) -> None:
    """This event and those before it are handled now."""
    with transaction.atomic():
        lease.succeed()
        _row(lease, held).update(version=told.version + 1, seq=told.seq, attempts=0, retry_at=Now())


def let_go(lease: Lease, held: Held) -> None:
    """The stream has caught up with the subscription."""
    with transaction.atomic():
        lease.confirm()
        _row(lease, held).delete()


def fail_again(lease: Lease, held: Held, told: Told, error: str) -> bool:
    """The event has failed once more; whether the stream is parked now."""
    with transaction.atomic():
        lease.confirm()
        # A stream that has come further meanwhile fails at another event.
        attempts = held.attempts + 1 if told.version == held.version else 1
        values = {
            "version": told.version,
            "seq": told.seq,
            "last_error": error,
            "attempts": attempts,
        }
        if attempts < ATTEMPTS:
            retry_at = Now() + timedelta(seconds=wait_seconds(attempts))
            _row(lease, held).update(retry_at=retry_at, **values)
            return False
        if _nothing_succeeds(lease, held):
            # Whatever comes back after an outage may stumble: one failure shall park nothing then.
            values["attempts"] = ATTEMPTS // 2
            retry_at = Now() + timedelta(seconds=AWAY_WAIT_SECONDS * random.uniform(0.8, 1.2))
            _row(lease, held).update(retry_at=retry_at, **values)
            return False
        _row(lease, held).update(retry_at=None, parked_at=Now(), **values)
        return True


def _nothing_succeeds(lease: Lease, held: Held) -> bool:
    """Since the stream is held: here, where there is much to judge by, or else in all logs."""
    began = HeldStream.objects.filter(tenant=lease.tenant, pk=held.pk).values("held_at")[:1]
    for where in ({"tenant": lease.tenant}, {}):
        trying = HeldStream.objects.across_tenants().filter(
            subscription=lease.subscription, parked_at=None, **where
        )
        since = SubscriptionCheckpoint.objects.across_tenants().filter(
            subscription=lease.subscription, succeeded_at__gte=began, **where
        )
        if len(trying.values_list("pk")[:MANY]) == MANY and not since.exists():
            return True
    return False


def _row(lease: Lease, held: Held) -> "QuerySet[HeldStream]":
    return HeldStream.objects.filter(tenant=lease.tenant, pk=held.pk)


def retry(tenant: str, subscription: str, stream_id: str) -> None:
    """Have a parked stream tried again, from the event that failed. Raises Refused (not_found)."""
    tried = _parked(tenant, subscription, stream_id).update(
        parked_at=None, attempts=0, retry_at=Now()
    )
    if not tried:
        raise _nothing_parked(tenant, subscription, stream_id)


def skip(
    tenant: str,
    subscription: str,
    stream_id: str,
    *,
    reason: str,
    by: Context,
    receipt: Receipt | None = None,
) -> None:
    """Leave out the one event at which a parked stream stands, and go on after it.

    That is recorded in the tenant's log. Raises Refused (not_found, invalid, conflict).
    """
    check_reason(reason)
    parked = _parked(tenant, subscription, stream_id).first()
    if parked is None:
        raise _nothing_parked(tenant, subscription, stream_id)
    event_id = (
        Event.objects.filter(
            tenant=tenant,
            seq=parked.seq,
            stream_type=parked.stream_type,
            stream_id=stream_id,
            version=parked.version,
        )
        .values_list("event_id", flat=True)
        .first()
    )
    if event_id is None:
        raise Refused(
            f"{tenant}'s log has no such event any more: it was restored from a backup, perhaps. "
            f"Say with resume_subscription where {subscription} goes on.",
            "conflict",
        )

    def go_on() -> None:
        moved = HeldStream.objects.filter(
            tenant=tenant, pk=parked.pk, version=parked.version, parked_at__isnull=False
        ).update(version=F("version") + 1, parked_at=None, attempts=0, retry_at=Now())
        if not moved:
            raise Refused(f"Others have dealt with {stream_id} meanwhile.", "conflict")

    fact = EventSkipped(
        subscription=subscription,
        stream_type=parked.stream_type,
        stream_id=parked.stream_id,
        event_id=str(event_id),
        seq=parked.seq,
        reason=reason,
    )
    record(tenant, fact, by=by, within=go_on, receipt=receipt)


def is_parked(tenant: str, subscription: str, stream_id: str) -> bool:
    return _parked(tenant, subscription, stream_id).exists()


def _parked(tenant: str, subscription: str, stream_id: str) -> "QuerySet[HeldStream]":
    # An agent may be named as its tenant is; of the two the agent is meant.
    return HeldStream.objects.filter(
        pk__in=HeldStream.objects.filter(
            tenant=tenant, subscription=subscription, stream_id=stream_id, parked_at__isnull=False
        )
        .order_by("stream_type")
        .values("pk")[:1],
        tenant=tenant,
    )


def _nothing_parked(tenant: str, subscription: str, stream_id: str) -> Refused:
    return Refused(f"{subscription} has nothing parked of {stream_id} in {tenant}.", "not_found")


def check_reason(reason: str) -> None:
    """Of whoever intervenes. Raises Refused."""
    if not reason.strip() or len(reason) > REASON_LENGTH or not reason.isprintable():
        raise Refused(f"A reason has 1 to {REASON_LENGTH} printable characters.", field="reason")
