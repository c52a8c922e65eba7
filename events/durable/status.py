"""How far every subscription is in a tenant's log, and what keeps it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from events.bus import event_bus
from events.log import read
from events.models import Event, HeldStream, SubscriptionCheckpoint

BUILD_SUFFIX = "~rebuild"  # the checkpoint of a read model's generation that is being made


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldState:
    """A stream that waits for its next try, or is parked (then `retry_at` is None). seq: of the
    event that failed."""

    stream_type: str
    stream_id: str
    seq: int
    attempts: int
    last_error: str
    held_at: datetime
    retry_at: datetime | None
    parked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One subscription in one tenant's log.

    checkpoint, head: seqs. lag_seconds: how long the first unread event has been in the log, 0 when
    there is none. is_here: whether this release has the subscription at all.
    """

    name: str
    is_projection: bool
    is_here: bool
    checkpoint: int
    head: int
    lag_seconds: float
    stopped_reason: str | None
    failures: int
    last_error: str | None
    last_error_at: datetime | None
    retrying: Sequence[HeldState]
    parked: Sequence[HeldState]

    @property
    def lag_events(self) -> int:
        return max(0, self.head - self.checkpoint)


def states(tenant: str) -> Sequence[State]:
    """Every subscription of the tenant, by name; none for a tenant that does not exist."""
    end = read.head(tenant)
    if end is None:
        return ()
    held = _held(tenant)
    checkpoints = {
        row.subscription: row
        for row in SubscriptionCheckpoint.objects.filter(tenant=tenant)
        if not row.subscription.endswith(BUILD_SUFFIX)
    }
    first_unread = _recorded_at(tenant, {1} | {row.seq + 1 for row in checkpoints.values()})
    found = []
    for name in sorted({*checkpoints, *event_bus.subscriptions}):
        subscription = event_bus.subscriptions.get(name)
        row = checkpoints.get(name)
        if row is None and subscription is not None and subscription.start == "now":
            continue  # no worker has met it yet
        seq = row.seq if row else 0
        waits_since = first_unread.get(seq + 1)
        lag = (timezone.now() - waits_since).total_seconds() if waits_since else 0.0
        found.append(
            State(
                name=name,
                is_projection=bool(subscription and subscription.is_projection),
                is_here=subscription is not None,
                checkpoint=seq,
                head=end.seq,
                lag_seconds=max(0.0, lag),
                stopped_reason=row.stopped_reason if row else None,
                failures=row.failures if row else 0,
                last_error=row.last_error if row else None,
                last_error_at=row.last_error_at if row else None,
                retrying=[each for each in held[name] if each.parked_at is None],
                parked=[each for each in held[name] if each.parked_at is not None],
            )
        )
    return found


def _recorded_at(tenant: str, seqs: set[int]) -> dict[int, datetime]:
    events = Event.objects.filter(tenant=tenant, seq__in=seqs)
    return dict(events.values_list("seq", "recorded_at"))


def _held(tenant: str) -> dict[str, list[HeldState]]:
    found: dict[str, list[HeldState]] = defaultdict(list)
    for row in HeldStream.objects.filter(tenant=tenant).order_by("held_at"):
        found[row.subscription].append(
            HeldState(
                stream_type=row.stream_type,
                stream_id=row.stream_id,
                seq=row.seq,
                attempts=row.attempts,
                last_error=row.last_error,
                held_at=row.held_at,
                retry_at=row.retry_at,
                parked_at=row.parked_at,
            )
        )
    return found
