"""One turn of one subscription in one tenant's log: as far as its time goes."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import transaction

from events.bus import Subscription
from events.durable import held, lease, reading
from events.durable.errors import frames, is_away, words
from events.durable.handling import Failed, handling
from events.durable.held import Held
from events.durable.lease import Lease, LeaseLost, Seen
from events.log import cursor
from events.log.cursor import LogDamaged, NotInTheLog, Position
from events.log.read import Told
from events.metrics import instruments
from events.telling import new_id, telling

logger = logging.getLogger(__name__)

LEASE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Due:
    """A subscription that has something to do in a tenant's log, which ends at `head`."""

    seen: Seen
    head: int

    @property
    def lag(self) -> int:
        return self.head - self.seen.position.seq


class Turn:
    """`take` a turn, `run` it, and its lease is free again; `handled` counts the events.

    stopping: asked between events; a turn ends soon after it has said yes.
    """

    def __init__(
        self,
        subscription: Subscription,
        due: Due,
        taken: Lease,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.handled = 0
        self.lease = taken
        self._subscription = subscription
        self._head = due.head
        self._stopping = stopping
        self._until = 0.0
        self._handling = handling(subscription, taken.tenant, taken.generation)
        self._held: set[held.Stream] = set()
        self._released = False

    @classmethod
    def take(
        cls,
        subscription: Subscription,
        due: Due,
        holder: str,
        *,
        lease_seconds: float = LEASE_SECONDS,
        stopping: Callable[[], bool] = lambda: False,
    ) -> "Turn | None":
        """None when another worker has it."""
        taken = lease.take(due.seen, holder, lease_seconds)
        return None if taken is None else cls(subscription, due, taken, stopping)

    def run(self, seconds: float) -> None:
        """Go on for about so long. Raises what the database does when it is away."""
        about = self.lease
        with telling(turn_id=new_id(), subscription=about.subscription, tenant=about.tenant):
            outcome = self._run(seconds)
        instruments.turns.labels(about.subscription, outcome).inc()
        if self.handled:
            instruments.events_handled.labels(about.subscription).inc(self.handled)

    def _run(self, seconds: float) -> str:
        """How it ended."""
        try:
            self._go_on(seconds)
        except LeaseLost as lost:
            logger.info("%s", lost)
            return "lost"
        except (NotInTheLog, LogDamaged) as damage:
            reason = self._why_it_stops(damage)
            logger.error("%s stops in %s: %s", self.lease.subscription, self.lease.tenant, reason)  # noqa: TRY400
            self.lease.stop(reason)
            return "stopped"
        except Exception as error:
            if is_away(error):
                raise
            # No event's fault, which would have been held: ours. Other logs shall go on.
            logger.exception("%s failed in %s", self.lease.subscription, self.lease.tenant)
            self.lease.fail(words(error), held.wait_seconds(self.lease.failures + 1))
            return "failed"
        else:
            return "done"
        finally:
            lease.forget(self.lease)

    def _go_on(self, seconds: float) -> None:
        self._held = held.streams(self.lease.subscription, self.lease.tenant)
        # However long what has failed takes to fail again, there is time left for what has not.
        self._until = time.monotonic() + seconds / 2
        self._try_again()
        self._until = time.monotonic() + seconds
        while not self._stopping() and self._next_page() and not self._is_over():
            pass
        if not self._released:
            self.lease.release()

    def _is_over(self) -> bool:
        return time.monotonic() >= self._until or self._stopping()

    def _next_page(self) -> bool:
        """Handle what comes next; whether there may be more."""
        position = self.lease.position
        page = reading.following(
            self._subscription,
            self.lease.tenant,
            position,
            most=self._handling.most,
            behind=self._head - position.seq,
        )
        if page is None:
            return False
        events = [each for each in page.events if not self._is_held(each)]
        while True:
            try:
                done = self._handle(events, page.end)
            except Failed as failed:
                events = self._pass_over(events, failed)
                if self._is_over():
                    return False
            else:
                return done and not self._released

    def _is_held(self, told: Told) -> bool:
        return bool(self._held) and (told.stream_type, told.stream_id) in self._held

    def _handle(self, events: Sequence[Told], end: Position) -> bool:
        """Whether all were handled, and not only as many as there was time for."""
        counted = 0

        def finish(handled: int) -> None:
            at_the_end = handled == len(events) and end.seq >= self._head
            if handled == len(events):
                place = end
            elif handled:
                place = Position(events[handled - 1].seq, events[handled - 1].hash)
            else:
                return
            advanced = self.lease.advance(place, handled=handled > 0, release=at_the_end)

            def committed() -> None:
                nonlocal counted
                self.lease = advanced
                self._released = at_the_end
                self.handled += handled - counted
                counted = handled

            transaction.on_commit(committed)

        return self._handling.handle(events, finish, self._is_over) == len(events)

    def _pass_over(self, events: Sequence[Told], failed: Failed) -> list[Told]:
        """Hold the stream of the event that failed; the events that are left without it."""
        if is_away(failed.error):
            raise failed.error
        told = events[failed.place]
        logger.warning(
            "%s holds %s of %s at seq %d: %s\n%s",
            self.lease.subscription,
            told.stream_id,
            self.lease.tenant,
            told.seq,
            failed,
            frames(failed.error),
        )
        with transaction.atomic():
            place = Position(told.seq, told.hash)
            advanced = self.lease.advance(place, handled=False)
            held.hold(self.lease, told, str(failed))
        advanced.note(str(failed))
        self.lease = advanced
        self._held.add((told.stream_type, told.stream_id))
        return [each for each in events[failed.place + 1 :] if not self._is_held(each)]

    def _try_again(self) -> None:
        for each in held.due(self.lease.subscription, self.lease.tenant):
            if self._stopping():
                return
            if self._replay(each):
                self._held.discard(each.stream)
            if self._is_over():
                return

    def _replay(self, each: Held) -> bool:
        """Go on with a held stream; whether it has caught up."""
        version = each.version
        while True:
            events = reading.of_stream(
                self._subscription,
                self.lease.tenant,
                each.stream,
                from_version=version,
                to_seq=self.lease.position.seq,
                most=self._handling.most,
            )
            if not events:
                held.let_go(self.lease, each)
                return True
            try:
                version = self._replay_batch(each, events)
            except Failed as failed:
                self._fail_again(each, events[failed.place], failed)
                return False
            if self._is_over():
                return False

    def _replay_batch(self, each: Held, events: Sequence[Told]) -> int:
        """The version to go on from."""
        counted = 0

        def finish(handled: int) -> None:
            if 0 < handled < len(events):
                held.go_on_from(self.lease, each, events[handled])
            elif handled:
                held.go_on_after(self.lease, each, events[-1])

            def committed() -> None:
                nonlocal counted
                self.handled += handled - counted
                counted = handled

            transaction.on_commit(committed)

        handled = self._handling.handle(events, finish, self._is_over)
        return events[handled].version if handled < len(events) else events[-1].version + 1

    def _fail_again(self, each: Held, told: Told, failed: Failed) -> None:
        if is_away(failed.error):
            raise failed.error
        if held.fail_again(self.lease, each, told, str(failed)):
            logger.error(
                "%s has parked %s of %s: %s",
                self.lease.subscription,
                each.stream[1],
                self.lease.tenant,
                failed,
            )
        self.lease.note(str(failed))

    def _why_it_stops(self, damage: NotInTheLog | LogDamaged) -> str:
        if isinstance(damage, LogDamaged):
            return f"{damage} Run verify_log."
        end = cursor.head(self.lease.tenant)
        return (
            f"{damage.reason} It had read up to {self.lease.position.id}, and the log ends at "
            f"{end.id}. Perhaps an older backup was put back: decide what becomes of what it did "
            f"with the events that are gone, then let it go on with resume_subscription."
        )
