"""A while of work on one verification: the chain from where the last turn came to, in batches.

What it came to is kept, with the place where the next turn goes on; so neither the end of a worker
nor a long log loses more than one turn. It reads, and writes nothing but its own row.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.db.models.functions import Coalesce, Now

from events import checkpoints
from events.log import stored
from events.log import verify as verifying
from events.log.judgement import Held, judge
from events.log.verify import Damaged, Place, Seen, Verified
from events.models import Verification
from events.verifications.asking import OPEN

BATCH = 5_000  # events per statement, so that no other thread of the worker waits long
LEASE_SECONDS = 20.0
# The versions in all streams are asked for in one statement at the end, however long the log is.
ENDING_SECONDS = 600.0


class TimeIsUp(Exception):
    """There is more to do in the next turn."""


class TakenOver(Exception):
    """Another worker works on it."""


@dataclass
class Turn:
    """`run` it once. is_over: told between batches whether to leave the rest to the next turn."""

    row: Verification
    is_over: Callable[[], bool]
    epoch: int = field(init=False)
    place: Place | None = field(init=False, default=None)
    wanted: bytes = field(init=False, default=b"")
    head: int = field(init=False)

    def run(self) -> bool:
        """Whether this turn was ours."""
        if not self._take():
            return False
        self.head = self.row.head
        try:
            kept = tuple(checkpoints.kept(self.row.tenant_id))
            self._finish_passed(judge(self.row.tenant_id, kept, walk=self._walk))
        except TimeIsUp:
            self._write(**self._progress(), leased_until=None)
        except Damaged as damage:
            self._finish(
                Verification.Status.FAILED,
                bad_seq=damage.seq,
                bad_last=damage.last,
                why=damage.why,
            )
        return True

    def _take(self) -> bool:
        self.epoch = self.row.epoch + 1
        free = Verification.objects.filter(
            Q(leased_until=None) | Q(leased_until__lte=Now()),
            tenant=self.row.tenant_id,
            pk=self.row.pk,
            epoch=self.row.epoch,
            status__in=OPEN,
        )
        taken = free.update(
            epoch=self.epoch,
            leased_until=Now() + timedelta(seconds=LEASE_SECONDS),
            status=Verification.Status.RUNNING,
            started_at=Coalesce("started_at", Now()),
        )
        return bool(taken)

    def _walk(self, tenant: str, start: Place, last: int, wanted: bytes, seen: Seen) -> Place:
        """`events.log.verify.walk`, from where the last turn came to. Raises TimeIsUp too."""
        place = self._come_to(start, last, wanted)
        self.head, self.wanted = last, wanted
        try:
            while place.seq < last:
                upto = min(place.seq + BATCH, last)
                place = self.place = verifying.walk(tenant, place, upto, wanted, seen)
                if place.seq < last and self.is_over():
                    raise TimeIsUp
        except Damaged:
            self._stay()
            raise
        self._stay()
        return place

    def _stay(self) -> None:
        """Keep others away until the end, which comes now."""
        self._write(**self._progress(), leased_until=Now() + timedelta(seconds=ENDING_SECONDS))

    def _come_to(self, start: Place, last: int, wanted: bytes) -> Place:
        """Where to go on; the start, when the log is no longer the one that was read."""
        row = self.row
        if row.place_hash is None or row.seq > last:
            return start
        digest = bytes(row.place_hash)
        if stored.place(row.tenant_id, row.seq) != (digest, row.place_recorded_at_us):
            return start
        # The hash before the newest append moves with the log, and is then yet to come.
        is_met = row.place_met and row.wanted_hash is not None and bytes(row.wanted_hash) == wanted
        return Place(row.seq, digest, row.place_recorded_at_us, is_met or digest == wanted)

    def _progress(self) -> dict[str, Any]:
        if self.place is None:
            return {"head": self.head}
        return {
            "seq": self.place.seq,
            "head": self.head,
            "place_hash": self.place.hash,
            "place_recorded_at_us": self.place.recorded_at,
            "place_met": self.place.met,
            "wanted_hash": self.wanted,
        }

    def _finish_passed(self, result: Verified | Held) -> None:
        verified = result.verified if isinstance(result, Held) else result
        self._finish(
            Verification.Status.PASSED,
            seq=verified.seq,
            head=verified.seq,
            place_hash=verified.hash,
            checkpoints=result.checkpoints if isinstance(result, Held) else 0,
            newest_checkpoint=result.newest if isinstance(result, Held) else None,
        )
        checkpoints.keep(verified)  # the receipt: that a log is whole is dear to know

    def _finish(self, status: Verification.Status, **result: Any) -> None:
        values = self._progress() | result
        self._write(status=status, finished_at=Now(), leased_until=None, **values)

    def _write(self, **values: Any) -> None:
        mine = Verification.objects.filter(
            tenant=self.row.tenant_id,
            pk=self.row.pk,
            epoch=self.epoch,
            status=Verification.Status.RUNNING,
        )
        if not mine.update(**values):
            raise TakenOver(f"The verification of {self.row.tenant_id} was taken over.")
