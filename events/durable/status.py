"""How far every subscription is in a tenant's log, and what keeps it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.utils import timezone

from events.bus import event_bus
from events.log import read
from events.models import Event, HeldStream, SubscriptionCheckpoint

BUILD_SUFFIX = "~rebuild"  # the checkpoint of a read model's generation that is being made


class Condition(StrEnum):
    """How a subscription is: the first of these that applies."""

    STOPPED = "stopped"  # it reads nothing until a person says where it goes on
    PARKED = "parked"  # streams wait for a person, all others go on
    GONE = "gone"  # this release has no such subscription, so nobody reads for it
    RETRYING = "retrying"  # the whole, or some streams, are tried again by themselves
    BEHIND = "behind"
    UP_TO_DATE = "up_to_date"


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
    there is none. is_here: whether this release has the subscription at all. retry_at: when the
    whole is tried again. moved_at: when the checkpoint was last moved. holder: the process that
    reads for it at this moment.
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
    retry_at: datetime | None
    moved_at: datetime | None
    holder: str | None
    retrying: Sequence[HeldState]
    parked: Sequence[HeldState]

    @property
    def lag_events(self) -> int:
        return max(0, self.head - self.checkpoint)

    @property
    def condition(self) -> Condition:
        if self.stopped_reason is not None:
            return Condition.STOPPED
        if self.parked:
            return Condition.PARKED
        if not self.is_here:
            return Condition.GONE
        if self.retrying or self.failures:
            return Condition.RETRYING
        return Condition.BEHIND if self.lag_events else Condition.UP_TO_DATE


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
                retry_at=row.retry_at if row else None,
                moved_at=row.updated_at if row else None,
                holder=_holder(row) if row else None,
                retrying=[each for each in held[name] if each.parked_at is None],
                parked=[each for each in held[name] if each.parked_at is not None],
            )
        )
    return found


def state_of(tenant: str, subscription: str) -> State | None:
    """That of one subscription; None when the tenant has none of this name."""
    return next((each for each in states(tenant) if each.name == subscription), None)


def read_up_to(tenant: str, subscription: str) -> int:
    """The last seq of the tenant's log that the subscription has read, 0 when it has read none.
    Rows that are read afterwards are at least as new, but for streams that are held."""
    checkpoint = SubscriptionCheckpoint.objects.filter(tenant=tenant, subscription=subscription)
    return checkpoint.values_list("seq", flat=True).first() or 0


def _holder(row: SubscriptionCheckpoint) -> str | None:
    is_held = row.leased_until is not None and row.leased_until > timezone.now()
    return row.holder if is_held else None


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
