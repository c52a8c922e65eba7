"""A batch of events for one subscription: how far it came, and what is done at that point.

Each kind of subscription is one class. `handle(events, finish)` takes the events in order and
calls `finish(n)`, n being how many were handled: a projection in the very transaction of its rows,
so that both happen or neither. An event that cannot be handled ends the batch: what came before it
is done.
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from django.db import InterfaceError, OperationalError, transaction

from events import registry
from events.bus import Subscription
from events.durable.rows import Rows
from events.facts import Fact
from events.log.read import Told

AT_ONCE_SECONDS = 1.0  # a reaction's checkpoint follows at least so often
IN_TRANSACTION_SECONDS = 0.2  # how long a projection's handlers may keep a transaction open

# The database is away, or busy beyond patience: no event is to blame.
DATABASE_AWAY = (OperationalError, InterfaceError)

Finish = Callable[[int], None]


class Failed(Exception):
    """The event at `place` of the batch could not be handled.

    done: whether those before it are done, or were undone with it. is_away: the database, or what
    it stands for, did not answer, so that the event may not be to blame.
    """

    def __init__(self, place: int, error: Exception, *, done: bool) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.place = place
        self.done = done
        self.is_away = isinstance(error, DATABASE_AWAY)


class Handling(Protocol):
    """How one kind of subscription takes a batch."""

    most: int  # events in a batch

    def handle(self, events: Sequence[Told], finish: Finish, stopping: Callable[[], bool]) -> int:
        """How many were handled; fewer than all when time is up. Raises Failed, and what `finish`
        raises."""


def handling(subscription: Subscription, tenant: str, generation: int) -> Handling:
    if subscription.read_model is not None:
        return Folding(Rows(subscription.read_model, tenant, generation), subscription.version)
    if subscription.is_projection:
        return Projecting(subscription)
    return Reacting(subscription)


def _fact(told: Told) -> Fact:
    if isinstance(told.fact, Exception):
        raise told.fact
    return told.fact


class Reacting:
    """Outside any transaction. What was handled before a crash may be handled again."""

    most = 200

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    def handle(self, events: Sequence[Told], finish: Finish, stopping: Callable[[], bool]) -> int:
        until = time.monotonic() + AT_ONCE_SECONDS
        for place, told in enumerate(events):
            try:
                self._subscription.publish(_fact(told))
            except Exception as error:
                finish(place)
                raise Failed(place, error, done=True) from error
            if time.monotonic() >= until or stopping():
                finish(place + 1)
                return place + 1
        finish(len(events))
        return len(events)


class Projecting:
    """Handlers that write rows themselves, all in one transaction with the checkpoint."""

    most = 100

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    def handle(self, events: Sequence[Told], finish: Finish, stopping: Callable[[], bool]) -> int:
        until = time.monotonic() + IN_TRANSACTION_SECONDS
        with transaction.atomic():
            handled = 0
            for told in events:
                try:
                    self._subscription.publish(_fact(told))
                except Exception as error:
                    raise Failed(handled, error, done=False) from error
                handled += 1
                if time.monotonic() >= until or stopping():
                    break
            finish(handled)
        return handled


class Folding:
    """A read model: folded in memory, then written together, however many events there were."""

    most = 500

    def __init__(self, rows: Rows, version: str | None = None) -> None:
        self._rows = rows
        self._version = version

    def handle(self, events: Sequence[Told], finish: Finish, stopping: Callable[[], bool]) -> int:
        rows = self._rows
        rows.prepare([each.fact for each in events if isinstance(each.fact, Fact)])
        failed: Failed | None = None
        handled = 0
        for told in events:
            try:
                rows.fold(registry.represent(_fact(told), self._version))
            except Exception as error:  # noqa: BLE001 -- told when the others are written
                failed = Failed(handled, error, done=True)
                break
            handled += 1
        if handled or failed is None:
            with transaction.atomic():
                finish(handled)  # first: it waits for whoever holds the checkpoint
                rows.write()
            rows.written()
        if failed is not None:
            raise failed
        return handled
