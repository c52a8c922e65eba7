"""One subscription in all logs: a thread that is woken, and takes turns between tenants.

A tenant that is nearly up to date goes first, and one that has much to catch up gets a slice of
time between them; so nobody's new events wait for another's million.
"""

import logging
import time
from collections.abc import Callable, Sequence

from django.db import connection

from events.bus import Subscription
from events.durable import waiting
from events.durable.errors import DATABASE_ERRORS, first_line
from events.durable.turn import Due, Turn
from events.worker.bells import Bell

logger = logging.getLogger(__name__)

SLICE_SECONDS = 0.2
FEW = 500  # events; with so few to read a tenant is nearly up to date
# After a turn. The first event is read at once; what comes within this time is then read together,
# since most of what a turn costs it costs once, however many events there are.
TOGETHER_SECONDS = 0.05
POLL_SECONDS = 1.0  # for what nobody rings for: a retry that is due, a lease that has ended
REST_SECONDS = 2.0


class Reader:
    """`run` returns when `stopping` says so and the bell is silenced."""

    def __init__(
        self,
        subscription: Subscription,
        bell: Bell,
        holder: str,
        lease_seconds: float,
        stopping: Callable[[], bool],
    ) -> None:
        self._subscription = subscription
        self._bell = bell
        self._holder = holder
        self._lease_seconds = lease_seconds
        self._stopping = stopping
        self._served_at: dict[str, float] = {}  # those with much to catch up

    def run(self) -> None:
        try:
            self._read()
        finally:
            connection.close()

    def _read(self) -> None:
        rung: frozenset[str] | None = None
        looked = 0.0
        while not self._stopping():
            try:
                now = time.monotonic()
                if rung is None or now - looked >= POLL_SECONDS:
                    rung, looked = None, now
                due = waiting.due(self._subscription, rung)
                rung = None
                if not self._serve(due):
                    rung = self._bell.wait(POLL_SECONDS) or None
                elif all(each.lag <= FEW for each in due):
                    time.sleep(TOGETHER_SECONDS)
            except DATABASE_ERRORS as error:
                logger.warning(
                    "%s waits for the database: %s", self._subscription.name, first_line(error)
                )
                rung = None
                connection.close()
                self._bell.wait(REST_SECONDS)
            except Exception:
                # A thread that ended would leave all logs unread, and nobody would know.
                logger.exception("%s cannot go on and begins again", self._subscription.name)
                rung = None
                self._bell.wait(REST_SECONDS)

    def _serve(self, due: Sequence[Due]) -> bool:
        """Whether there was anything that this worker could do."""
        nearly = sorted((each for each in due if each.lag <= FEW), key=lambda each: each.lag)
        served = [self._turn(each) for each in nearly if not self._stopping()]
        behind = [each for each in due if each.lag > FEW]
        self._served_at = {
            each.seen.tenant: self._served_at.get(each.seen.tenant, 0.0) for each in behind
        }
        for each in sorted(behind, key=lambda each: self._served_at[each.seen.tenant]):
            if self._stopping() or self._turn(each):
                self._served_at[each.seen.tenant] = time.monotonic()
                return True
        return any(served)

    def _turn(self, due: Due) -> bool:
        turn = Turn.take(
            self._subscription,
            due,
            self._holder,
            lease_seconds=self._lease_seconds,
            stopping=self._stopping,
        )
        if turn is None:
            return False
        turn.run(SLICE_SECONDS)
        return True
