"""A process's worker: a thread for each subscription, each sweep and each companion."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue

from django.db import connection, connections

from events import duties
from events.bus import EventBus, Subscription, event_bus
from events.durable import lease, registration
from events.durable.catching_up import catch_up, holder
from events.durable.errors import DATABASE_ERRORS, first_line
from events.durable.turn import LEASE_SECONDS
from events.duties import Beside, Companion, Sweep
from events.worker import wakeups
from events.worker.bells import Bell
from events.worker.reader import Reader
from events.worker.sweeping import run_one, sweep_for_ever

logger = logging.getLogger(__name__)

STOPS_WITHIN_SECONDS = 4.0  # 5 are promised
REST_SECONDS = 2.0
ROUNDS = 1_000  # of `run_once`; more would be a sweep that always finds something to do


class Worker:
    """`run` until `stop` is called, from a signal's handler or another thread."""

    def __init__(self, bus: EventBus = event_bus, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._bus = bus
        self._lease_seconds = lease_seconds
        self._asked: SimpleQueue[None] = SimpleQueue()
        self._stop = threading.Event()
        self._bells: list[Bell] = []

    def stop(self) -> None:
        """From a signal's handler too. That interrupts this thread anywhere, in a method of an
        Event perhaps, whose lock it would wait for in vain; a SimpleQueue is made for it."""
        self._asked.put(None)

    def _is_to_stop(self, within_seconds: float | None = 0.0) -> bool:
        if not self._stop.is_set():
            try:
                self._asked.get(timeout=within_seconds)
            except Empty:
                return False
            self._stop.set()
        return True

    def run(self) -> bool:
        """Whether everything ended in time; what did not dies with the process, and goes on in
        another from where its checkpoint stands."""
        self._meet()
        connections.close_all()  # this thread only waits from here on
        if self._is_to_stop():
            return True
        threads = [
            *(self._thread(f"reads {each.name}", self._read, each) for each in self._readers()),
            *(self._thread(f"sweeps {each.name}", self._sweep, each) for each in _sweeps()),
            *(self._thread(f"runs {each.name}", self._accompany, each) for each in _companions()),
            self._thread("hears", self._hear),
            self._thread("keeps its leases", self._keep),
        ]
        for thread in threads:
            thread.start()
        self._is_to_stop(within_seconds=None)
        until = time.monotonic() + STOPS_WITHIN_SECONDS
        for bell in self._bells:
            bell.silence()
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def run_once(self) -> int:
        """Until nothing is due: every subscription, every sweep; how many things were done."""
        registration.meet(self._bus.subscriptions.values())
        done = 0
        for _ in range(ROUNDS):
            handled = sum(catch_up(each) for each in tuple(self._bus.subscriptions.values()))
            swept = sum(run_one(each) for each in _sweeps())
            done += handled + swept
            if not handled and not swept:
                return done
        return done

    def _meet(self) -> None:
        """Note the subscriptions, as soon as the database lets us."""
        while not self._is_to_stop():
            try:
                registration.meet(self._bus.subscriptions.values())
            except DATABASE_ERRORS as error:
                logger.warning("Waiting for the database: %s", first_line(error))
                connections.close_all()
                self._is_to_stop(within_seconds=REST_SECONDS)
            else:
                return

    def _readers(self) -> Iterable[Subscription]:
        return tuple(self._bus.subscriptions.values())

    def _thread(self, name: str, run: Callable[..., None], *arguments: object) -> threading.Thread:
        return threading.Thread(target=run, args=arguments, name=name, daemon=True)

    def _bell(self) -> Bell:
        bell = Bell()
        self._bells.append(bell)
        return bell

    def _read(self, subscription: Subscription) -> None:
        Reader(subscription, self._bell(), holder(), self._lease_seconds, self._stop.is_set).run()

    def _sweep(self, sweep: Sweep) -> None:
        duties.end_when(self._stop.is_set)
        sweep_for_ever(sweep, self._stop.wait)

    def _accompany(self, companion: Companion) -> None:
        beside = Beside(self._stop, self._bell())
        while not self._stop.is_set():
            try:
                companion.run(beside)
            except Exception:
                logger.exception("%s failed and begins again", companion.name)
            finally:
                connections.close_all()
            self._stop.wait(REST_SECONDS)

    def _keep(self) -> None:
        while not self._stop.wait(self._lease_seconds / 3):
            try:
                lease.keep(holder(), self._lease_seconds)
            except DATABASE_ERRORS:
                connection.close()  # whoever needs the database more will say so
        connection.close()

    def _hear(self) -> None:
        def ring(tenants: Iterable[str]) -> None:
            grown = tuple(tenants)
            for bell in tuple(self._bells):
                bell.ring(grown)

        wakeups.hear(ring, self._stop)


def _sweeps() -> tuple[Sweep, ...]:
    return tuple(duties.sweeps.values())


def _companions() -> tuple[Companion, ...]:
    return tuple(duties.companions.values())
