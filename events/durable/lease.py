"""Who reads for one (subscription, tenant) now. A lease is the checkpoint's row itself.

Taking it raises the row's epoch, and every write names the epoch it was made under. So a worker
that was paused for longer than its lease, and wakes up, can write nothing any more.

A process keeps the leases alive that it works under, and no others: of one that it had to leave
behind, when the database was away, nobody else could ever make use.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from events.log.cursor import Position
from events.models import SubscriptionCheckpoint

_in_use: set[tuple[int, int]] = set()  # pk and epoch


class LeaseLost(Exception):
    """Another worker, or a person, has taken the subscription over while we worked for it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A checkpoint as it was seen when nobody held it."""

    pk: int
    subscription: str
    tenant: str
    epoch: int
    position: Position
    generation: int
    failures: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to move a checkpoint on from `position`, for `seconds` from its last write on."""

    pk: int
    subscription: str
    tenant: str
    epoch: int
    position: Position
    generation: int
    failures: int
    seconds: float

    def advance(
        self,
        position: Position,
        *,
        handled: bool,
        release: bool = False,
    ) -> "Lease":
        """Move the checkpoint; the lease begins anew, or ends. Raises LeaseLost.

        In a transaction this is the statement to begin with: it waits for whoever is in between,
        and then either holds the row until the commit or says that the lease is gone.
        """
        values: dict[str, Any] = {"seq": position.seq, "hash": position.hash, "updated_at": Now()}
        if handled:
            values |= {"succeeded_at": Now()}
            if self.failures:
                values |= {"failures": 0, "last_error": None, "last_error_at": None}
        values |= _freed() if release else _held(self.seconds)
        self._write(**values)
        return replace(self, position=position, failures=0 if handled else self.failures)

    def confirm(self) -> None:
        """Begin the lease anew, in the transaction that shall rely on it. Raises LeaseLost."""
        self._write(**_held(self.seconds))

    def succeed(self) -> None:
        """Note that an event was handled, with the lease begun anew. Raises LeaseLost."""
        self._write(succeeded_at=Now(), **_held(self.seconds))

    def switch(self, position: Position, generation: int) -> None:
        """Go on from elsewhere with another generation of rows, and let go. Raises LeaseLost."""
        self._write(
            seq=position.seq,
            hash=position.hash,
            generation=generation,
            updated_at=Now(),
            failures=0,
            retry_at=None,
            **_freed(),
        )

    def release(self) -> None:
        """Let others have it at once; nothing when it is lost already."""
        forget(self)
        self._mine().update(**_freed())

    def fail(self, error: str, wait_seconds: float) -> None:
        """The subscription as a whole cannot go on here: it is tried again after the wait."""
        self._mine().update(
            failures=self.failures + 1,
            last_error=error,
            last_error_at=Now(),
            retry_at=Now() + timedelta(seconds=wait_seconds),
            **_freed(),
        )

    def note(self, error: str) -> None:
        """Keep the error where people look."""
        self._mine().update(last_error=error, last_error_at=Now())

    def stop(self, reason: str) -> None:
        """Never go on until a person says where."""
        self._mine().update(stopped_reason=reason, stopped_at=Now(), **_freed())

    def _write(self, **values: Any) -> None:
        if not self._mine().filter(seq=self.position.seq).update(**values):
            raise LeaseLost(f"{self.subscription} in {self.tenant} was taken over.")

    def _mine(self) -> "QuerySet[SubscriptionCheckpoint]":
        return SubscriptionCheckpoint.objects.filter(
            tenant=self.tenant, pk=self.pk, epoch=self.epoch, stopped_reason=None
        )


def take(seen: Seen, holder: str, seconds: float) -> Lease | None:
    """The lease, or None when somebody was first."""
    free = SubscriptionCheckpoint.objects.filter(
        Q(leased_until=None) | Q(leased_until__lte=Now()),
        tenant=seen.tenant,
        pk=seen.pk,
        epoch=seen.epoch,
        seq=seen.position.seq,
        stopped_reason=None,
    )
    if not free.update(
        epoch=seen.epoch + 1, holder=holder, leased_until=Now() + timedelta(seconds=seconds)
    ):
        return None
    taken = Lease(
        seen.pk,
        seen.subscription,
        seen.tenant,
        seen.epoch + 1,
        seen.position,
        seen.generation,
        seen.failures,
        seconds,
    )
    _in_use.add((taken.pk, taken.epoch))
    return taken


def forget(lease: Lease) -> None:
    """Nobody works under it any more: if it could not be released, it ends by itself."""
    _in_use.discard((lease.pk, lease.epoch))


def keep(holder: str, seconds: float, *, names: Sequence[str] | None = None) -> None:
    """Begin all leases anew that this process works under, or those of these subscriptions: a
    handler may take its time."""
    mine = SubscriptionCheckpoint.objects.across_tenants().filter(holder=holder)
    if names is not None:
        mine = mine.filter(subscription__in=names)
    for pk, epoch in tuple(_in_use):
        mine.filter(pk=pk, epoch=epoch, leased_until__gt=Now()).update(
            leased_until=Now() + timedelta(seconds=seconds)
        )


def see(subscription: str, tenant: str) -> Seen | None:
    """The checkpoint as it stands, whoever holds it; None where there is none."""
    row = (
        SubscriptionCheckpoint.objects.filter(tenant=tenant, subscription=subscription)
        .values_list("pk", "epoch", "seq", "hash", "generation", "failures")
        .first()
    )
    if row is None:
        return None
    pk, epoch, seq, digest, generation, failures = row
    position = Position(seq, bytes(digest))
    return Seen(pk, subscription, tenant, epoch, position, generation, failures)


def _held(seconds: float) -> dict[str, Any]:
    return {"leased_until": Now() + timedelta(seconds=seconds)}


def _freed() -> dict[str, Any]:
    return {"leased_until": None}
