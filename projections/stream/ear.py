"""Hears what other processes append, while somebody here listens."""

import threading
from collections.abc import Callable, Collection, Iterable

from django.db import connection, connections

from events.worker import wakeups


class Ear:
    """A thread, and on PostgreSQL a connection, of each process with open streams.

    ring: called in that thread with tenants whose logs may have grown. followed: those whose growth
    matters; asked in that thread too.
    """

    def __init__(
        self, ring: Callable[[Iterable[str]], None], followed: Callable[[], Collection[str]]
    ) -> None:
        self._ring = ring
        self._followed = followed
        self._shut = threading.Event()

    def open(self) -> None:
        threading.Thread(target=self._hear, name="stream-ear", daemon=True).start()

    def shut(self) -> None:
        """At once as far as anybody can tell; its thread ends within a second."""
        self._shut.set()

    def _hear(self) -> None:
        # Who is told need not look, and then needs no second connection: the pulse looks.
        is_told = connection.vendor == "postgresql"
        wakeups.hear(self._hand_on, self._shut, of=tuple if is_told else self._followed)

    def _hand_on(self, tenants: Iterable[str]) -> None:
        connections.close_all()  # of the heads, which were looked at just now
        if not self._shut.is_set():
            self._ring(tenants)
