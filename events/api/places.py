"""How many requests a process answers at once, and how one that only waits lets another by.

Requests are answered in a few threads. Without this, as many clients as there are threads, each
waiting for a projection, would keep everybody's commands waiting too.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from events.api.problem import unavailable

MOST_WAITING = 32  # threads beside those that work, in each process


class Places:
    """`at_once` places to work in, and `waiting` to wait in."""

    def __init__(self, at_once: int, waiting: int = MOST_WAITING) -> None:
        self.threads = at_once + waiting
        self._working = threading.Semaphore(at_once)
        self._waiting = threading.Semaphore(waiting)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have a place to work in, as soon as there is one."""
        with self._working:
            _held.places = self
            try:
                yield
            finally:
                _held.places = None

    @contextmanager
    def _lent(self) -> Iterator[None]:
        if not self._waiting.acquire(blocking=False):
            raise unavailable("Too many wait here already. Try again.")
        try:
            self._working.release()
            try:
                yield
            finally:
                self._working.acquire()
        finally:
            self._waiting.release()


class _Held(threading.local):
    places: Places | None = None


_held = _Held()


@contextmanager
def lent() -> Iterator[None]:
    """Another may work in this request's place meanwhile. Raises Problem (503) when too many wait.

    Where requests have no places (in a test's client, under WSGI) it does nothing.
    """
    if _held.places is None:
        yield
        return
    with _held.places._lent():  # noqa: SLF001 -- one thing in two parts
        yield
