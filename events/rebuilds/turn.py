"""One rebuild from its beginning to its end, with its progress told as it goes.

A worker that is told to end leaves it to the next at once; one that is killed leaves it when its
lease runs out. Either way the next begins anew: the half-made generation counts for nobody, and is
deleted first. After a few tries that nobody ended it is given up, since it may be what kills them.
"""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now

from events.bus import Subscription, event_bus
from events.durable import rebuilding
from events.durable.errors import is_away, words
from events.durable.rebuilding import BuiltElsewhere, CannotRebuild, Rebuilt
from events.durable.renewing import renewing
from events.log import cursor
from events.log.cursor import LogDamaged
from events.models import Rebuild
from events.rebuilds.asking import OPEN

logger = logging.getLogger(__name__)

LEASE_SECONDS = 20.0
TOLD_EVERY_SECONDS = 0.5
TRIES = 3
WAITS = "It waits for another process that rebuilds the same."


class LeftOff(Exception):
    """The worker is about to end."""


class TakenOver(Exception):
    """Another worker works on it, since our lease ran out."""


class Turn:
    """`run` it once. is_over: asked between pages whether to leave it to the next worker."""

    def __init__(self, row: Rebuild, is_over: Callable[[], bool]) -> None:
        self.row = row
        self._is_over = is_over
        self._epoch = row.epoch + 1
        self._told_at = 0.0
        self._seq = 0

    def run(self) -> bool:
        """Whether it has ended by this turn, well or not."""
        if not self._take():
            return False
        if self.row.tries >= TRIES:
            self._fail(f"Given up: {TRIES} times a worker began and ended in the middle of it.")
            return True
        subscription = event_bus.subscriptions.get(self.row.projection)
        if subscription is None:
            self._fail("This release has no such projection.")
            return True
        return self._rebuild(subscription)

    def _rebuild(self, subscription: Subscription) -> bool:
        try:
            with self._kept():
                rebuilt = rebuilding.rebuild(
                    subscription, self.row.tenant_id, self._progress, lease_seconds=LEASE_SECONDS
                )
        except BuiltElsewhere:
            self._leave(why=WAITS)
            return False
        except LeftOff:
            self._leave(why=None)
            return False
        except (CannotRebuild, LogDamaged) as error:
            self._fail(str(error))
        except TakenOver:
            raise
        except Exception as error:
            if is_away(error):
                raise
            logger.exception("The rebuild %s failed", self.row)
            self._fail(words(error))
        else:
            self._finish(rebuilt)
        return True

    def _take(self) -> bool:
        free = Rebuild.objects.filter(
            Q(leased_until=None) | Q(leased_until__lte=Now()),
            tenant=self.row.tenant_id,
            pk=self.row.pk,
            epoch=self.row.epoch,
            status__in=OPEN,
        )
        return bool(
            free.update(
                epoch=self._epoch,
                leased_until=Now() + timedelta(seconds=LEASE_SECONDS),
                status=Rebuild.Status.RUNNING,
                started_at=Coalesce("started_at", Now()),
                tries=F("tries") + 1,
                seq=0,
                why=None,
            )
        )

    def _progress(self, events: int) -> None:
        """So many more events of the log are folded. Raises LeftOff and TakenOver."""
        self._seq += events
        if self._is_over():
            raise LeftOff
        # A handler's rows are written in one transaction, and what it tells would be seen at its
        # end alone: by then it is told anyway.
        if connection.in_atomic_block or time.monotonic() - self._told_at < TOLD_EVERY_SECONDS:
            return
        self._told_at = time.monotonic()
        self._write(
            seq=self._seq,
            head=cursor.head(self.row.tenant_id).seq,
            leased_until=Now() + timedelta(seconds=LEASE_SECONDS),
        )

    def _kept(self) -> AbstractContextManager[None]:
        """The lease stays ours meanwhile."""
        ahead = timedelta(seconds=LEASE_SECONDS)
        return renewing(
            lambda: self._mine().update(leased_until=Now() + ahead), every_seconds=LEASE_SECONDS / 4
        )

    def _leave(self, why: str | None) -> None:
        """To the next who looks; it was no try."""
        self._write(
            status=Rebuild.Status.QUEUED, leased_until=None, tries=F("tries") - 1, seq=0, why=why
        )

    def _finish(self, rebuilt: Rebuilt) -> None:
        self._end(
            Rebuild.Status.DONE,
            seq=rebuilt.seq,
            head=rebuilt.seq,
            rows=rebuilt.rows,
            held=rebuilt.held,
        )

    def _fail(self, why: str) -> None:
        self._end(Rebuild.Status.FAILED, why=why)

    def _end(self, status: Rebuild.Status, **values: Any) -> None:
        self._write(status=status, finished_at=Now(), leased_until=None, **values)

    def _write(self, **values: Any) -> None:
        if not self._mine().update(**values):
            raise TakenOver(f"The rebuild {self.row} was taken over.")

    def _mine(self) -> Any:
        return Rebuild.objects.filter(
            tenant=self.row.tenant_id,
            pk=self.row.pk,
            epoch=self._epoch,
            status=Rebuild.Status.RUNNING,
        )
