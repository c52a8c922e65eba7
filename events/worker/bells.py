"""Waiting for logs to grow, without asking the database again and again."""

import threading
from collections.abc import Iterable


class Bell:
    """One thread waits; any thread rings. Rings while nobody waits are kept, each tenant once."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._tenants: set[str] = set()
        self._silenced = False

    def ring(self, tenants: Iterable[str]) -> None:
        with self._condition:
            self._tenants.update(tenants)
            self._condition.notify_all()

    def wait(self, timeout_seconds: float) -> frozenset[str]:
        """The tenants that were rung for, at once when there are any; none when time is up or all
        is to end."""
        with self._condition:
            if not self._tenants and not self._silenced:
                self._condition.wait(timeout_seconds)
            rung = frozenset(self._tenants)
            self._tenants.clear()
            return rung

    def silence(self) -> None:
        """Let nobody wait any more."""
        with self._condition:
            self._silenced = True
            self._condition.notify_all()
