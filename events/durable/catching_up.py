"""Durable subscriptions: a checkpoint for each tenant's log, and going on from it.

    catch_up(subscription, "acme")   every event since the checkpoint, in order, at least once

A checkpoint remembers the hash of the event it stands at. Where the log has no such event (an older
backup was put back, or another log in its place) the subscription stops, says why, and stays so
until a person has decided where it goes on.
"""

from collections.abc import Iterable
from contextlib import suppress

from django.db.models import QuerySet
from django.utils import timezone

from events.bus import Subscription, event_bus
from events.log import cursor, read
from events.log.cursor import BEGINNING, NotInTheLog, Position
from events.models import Event, SubscriptionCheckpoint
from events.transfer.importing import log_imported

BATCH = 200


class SubscriptionStopped(Exception):
    """The subscription may not read on in this tenant's log. `reason` says why."""

    def __init__(self, subscription: str, tenant: str, reason: str) -> None:
        super().__init__(f"{subscription} is stopped in {tenant}: {reason}")
        self.reason = reason


class Overtaken(Exception):
    """Another process has moved the checkpoint meanwhile; it goes on in this one's place."""


def catch_up(subscription: Subscription, tenant: str) -> int:
    """Publish every event after the checkpoint that the subscription wants; how many were read.

    The checkpoint follows what was handled, also when a handler raises; then this raises the same,
    and the event comes again next time. Raises SubscriptionStopped, Overtaken, and
    `events.log.cursor.LogDamaged`, `NotInTheLog` when there is no such tenant.
    """
    handled = 0
    while rows := _following(checkpoint := _checkpoint(subscription, tenant)):
        done = Position(checkpoint.seq, bytes(checkpoint.hash))
        try:
            for row in rows:
                event = read.fact(row)
                if subscription.wants(event):
                    subscription.publish(event)
                done = Position(row.seq, bytes(row.hash))
                handled += 1
        except BaseException:
            with suppress(Overtaken):  # what the handler raised is what has to be seen
                _advance(checkpoint, done)
            raise
        _advance(checkpoint, done)
    return handled


def begin_at_head(tenant: str, subscriptions: Iterable[Subscription]) -> None:
    """Let those that have no checkpoint there yet hear of what comes from now on alone."""
    head = cursor.head(tenant)
    for subscription in subscriptions:
        _begin(subscription, tenant, head)


def listen() -> None:
    """Reactions do not hear what happened elsewhere: of a log that is imported they begin at its
    end. Until there are projections, every subscription is a reaction."""
    log_imported.connect(_begin_at_the_imported_head, dispatch_uid="events.durable")


def _begin_at_the_imported_head(tenant: str, **_: object) -> None:
    begin_at_head(tenant, tuple(event_bus.subscriptions.values()))


def resume(subscription: str, tenant: str, seq: int) -> None:
    """Go on after event `seq` (0: from the first), stopped or not.

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
        stopped_reason=None,
        stopped_at=None,
        updated_at=timezone.now(),
    )
    if not moved:
        raise LookupError(f"{tenant} has no subscription {subscription!r}.")


def _checkpoint(subscription: Subscription, tenant: str) -> SubscriptionCheckpoint:
    checkpoints = SubscriptionCheckpoint.objects.filter(
        tenant=tenant, subscription=subscription.name
    )
    found = checkpoints.first()
    if found is None:
        head = cursor.head(tenant)
        _begin(subscription, tenant, head if subscription.start == "now" else BEGINNING)
        found = checkpoints.get()
    if found.stopped_reason is not None:
        raise SubscriptionStopped(subscription.name, tenant, found.stopped_reason)
    return found


def _begin(subscription: Subscription, tenant: str, start: Position) -> None:
    SubscriptionCheckpoint.objects.get_or_create(
        tenant_id=tenant,
        subscription=subscription.name,
        defaults={"seq": start.seq, "hash": start.hash, "updated_at": timezone.now()},
    )


def _following(checkpoint: SubscriptionCheckpoint) -> list[Event]:
    position = Position(checkpoint.seq, bytes(checkpoint.hash))
    try:
        return cursor.page(checkpoint.tenant_id, position, BATCH)
    except NotInTheLog as difference:
        end = cursor.head(checkpoint.tenant_id)
        reason = (
            f"{difference.reason} It had read up to {position.id}, and the log ends at {end.id}. "
            f"Perhaps an older backup was put back: decide what becomes of what it did with the "
            f"events that are gone, then let it go on with resume_subscription."
        )
        _standing(checkpoint).update(stopped_reason=reason, stopped_at=timezone.now())
        raise SubscriptionStopped(checkpoint.subscription, checkpoint.tenant_id, reason) from None


def _advance(checkpoint: SubscriptionCheckpoint, done: Position) -> None:
    if done.seq == checkpoint.seq:
        return
    moved = _standing(checkpoint).update(seq=done.seq, hash=done.hash, updated_at=timezone.now())
    if not moved:
        raise Overtaken(f"{checkpoint} was moved by another process.")


def _standing(checkpoint: SubscriptionCheckpoint) -> QuerySet[SubscriptionCheckpoint]:
    """The row while it stands where it was read, and is not stopped."""
    return SubscriptionCheckpoint.objects.filter(
        tenant=checkpoint.tenant_id,
        subscription=checkpoint.subscription,
        seq=checkpoint.seq,
        stopped_reason=None,
    )
