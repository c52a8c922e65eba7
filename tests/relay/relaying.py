"""The relay as a process that can be killed: `python -m tests.relay.relaying TENANT …`.

It relays these tenants' logs alone, since a test's database holds others too, until SIGTERM.
"""

import signal
import sys
import threading
import time

import django


class Watchful:
    """An ear that suspects growth all the time."""

    def __init__(self, tenants: list[str]) -> None:
        self._tenants = frozenset(tenants)

    def wait(self, timeout_seconds: float) -> frozenset[str]:
        time.sleep(min(timeout_seconds, 0.05))
        return self._tenants


def only(tenants: list[str]) -> None:
    """Have the relay of this process see no other logs."""
    from events.models import TenantHead
    from projections.relay import notes

    def heads() -> dict[str, int]:
        return dict(TenantHead.objects.filter(tenant__in=tenants).values_list("tenant_id", "seq"))

    notes.heads = heads


def main(tenants: list[str]) -> None:
    django.setup()
    from events.duties import Beside
    from projections import relay

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    only(tenants)
    relay.run(Beside(stop, Watchful(tenants)))


if __name__ == "__main__":
    main(sys.argv[1:])
