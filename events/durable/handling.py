"""A batch of events for one subscription: how far it came, and what is done at that point.

Each kind of subscription is one class. `handle(events, finish, enough)` takes the events in order
and calls `finish(n)`, n being how many are handled by then: a projection in the very transaction of
its rows, so that both happen or neither. An event that cannot be handled ends the batch: what came
before it is done.
"""

import time
from asyncio import CancelledError
from collections.abc import Callable, Sequence
from typing import Protocol

from django.db import transaction

from events import registry
from events.bus import Subscription
from events.durable.errors import is_away, words
from events.durable.lease import LeaseLost
from events.durable.rows import Rows
from events.facts import Fact
from events.log.read import Told
from events.telling import also_tell

AT_ONCE_SECONDS = 1.0  # a reaction's checkpoint follows at least so often
IN_TRANSACTION_SECONDS = 0.2  # how long a projection's handlers may keep a transaction open

# A handler that calls sys.exit, or whose coroutine was cancelled, has failed and ends no thread.
RAISED = (Exception, SystemExit, CancelledError)

Finish = Callable[[int], None]
Enough = Callable[[], bool]


class Failed(Exception):
    """The event at `place` of the batch could not be handled; those before it are done."""

    def __init__(self, place: int, error: BaseException) -> None:
        super().__init__(words(error))
        self.place = place
        self.error = error


class Handling(Protocol):
    """How one kind of subscription takes a batch."""

    most: int  # events in a batch

    def handle(self, events: Sequence[Told], finish: Finish, enough: Enough) -> int:
        """How many were handled: all, or as many as came before `enough()`, but one at least.

        Raises Failed, and what `finish` raises.
        """


def handling(subscription: Subscription, tenant: str, generation: int) -> Handling:
    if subscription.read_model is not None:
        return Folding(Rows(subscription.read_model, tenant, generation), subscription.version)
    if subscription.is_projection:
        return Projecting(subscription)
    return Reacting(subscription)


def _publish(subscription: Subscription, told: Told) -> None:
    event = told.decoded()
    envelope = event.envelope
    also_tell(seq=told.seq, correlation_id=envelope.correlation_id if envelope else None)
    subscription.publish(event)


class Reacting:
    """Outside any transaction. What was handled before a crash may be handled again."""

    most = 200

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    def handle(self, events: Sequence[Told], finish: Finish, enough: Enough) -> int:
        finished_at = time.monotonic()
        for place, told in enumerate(events):
            try:
                _publish(self._subscription, told)
            except RAISED as error:
                if not is_away(error):
                    finish(place)
                raise Failed(place, error) from error
            if enough():
                finish(place + 1)
                return place + 1
            if time.monotonic() - finished_at >= AT_ONCE_SECONDS:
                finish(place + 1)
                finished_at = time.monotonic()
        finish(len(events))
        return len(events)


class _InTransactions:
    """A batch is one transaction. Where that fails, each event has its own, to find the culprit."""

    most: int

    def handle(self, events: Sequence[Told], finish: Finish, enough: Enough) -> int:
        try:
            return self._together(events, finish, enough)
        except (LeaseLost, Failed):
            raise
        except RAISED as error:
            self._undone()
            if not events or is_away(error):
                raise
            if len(events) == 1:
                raise Failed(0, error) from error
        # A constraint that was asked at the end, perhaps, or a value too long for its column.
        return self._one_by_one(events, finish, enough)

    def _one_by_one(self, events: Sequence[Told], finish: Finish, enough: Enough) -> int:
        place = 0

        def finish_here(handled: int) -> None:
            finish(place + handled)

        while place < len(events):
            try:
                self._together(events[place : place + 1], finish_here, enough)
            except LeaseLost:
                raise
            except Failed as failed:
                raise Failed(place, failed.error) from failed.error
            except RAISED as error:
                self._undone()
                raise Failed(place, error) from error
            place += 1
            if enough():
                break
        return place

    def _together(self, events: Sequence[Told], finish: Finish, enough: Enough) -> int:
        """All or nothing. May raise Failed when those before the place are done."""
        raise NotImplementedError

    def _undone(self) -> None:
        """The transaction was rolled back."""


class Projecting(_InTransactions):
    """Handlers that write rows themselves, all in one transaction with the checkpoint."""

    most = 100

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    def _together(self, events: Sequence[Told], finish: Finish, enough: Enough) -> int:
        until = time.monotonic() + IN_TRANSACTION_SECONDS
        handled = 0
        with transaction.atomic():
            for told in events:
                _publish(self._subscription, told)
                handled += 1
                if enough() or time.monotonic() >= until:
                    break
            finish(handled)
        return handled


class Folding(_InTransactions):
    """A read model: folded in memory, then written together, however many events there were."""

    most = 500

    def __init__(self, rows: Rows, version: str | None = None) -> None:
        self._rows = rows
        self._version = version

    def _together(self, events: Sequence[Told], finish: Finish, enough: Enough) -> int:
        rows = self._rows
        if len(events) > 1:
            rows.prepare([each.fact for each in events if isinstance(each.fact, Fact)])
        failed: Failed | None = None
        handled = 0
        for told in events:
            try:
                rows.fold(registry.represent(told.decoded(), self._version))
            except RAISED as error:
                failed = Failed(handled, error)
                break
            handled += 1
            if enough():
                break
        if handled or failed is None:
            with transaction.atomic():
                finish(handled)  # first: it waits for whoever holds the checkpoint
                rows.write()
            rows.written()
        if failed is not None:
            raise failed from failed.error
        return handled

    def _undone(self) -> None:
        self._rows.forget()
