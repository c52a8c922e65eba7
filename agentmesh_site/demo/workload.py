"""The demo's fleets at work, in a process of their own: `python -m agentmesh_site.demo.workload`.

It ends when its standard input does, which whoever started it holds open: so it never outlives the
server, however that ended. Ctrl-C is for the one that started it.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable

import django
from django.db import DatabaseError, connection

logger = logging.getLogger("agentmesh_site.demo")

REST_SECONDS = 3.0  # after the database has failed us


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentmesh_site.settings")
    django.setup()
    from agentmesh_site.demo.fleet import DemoOrders
    from events.worker import wakeups

    wakeups.tell_others()

    stop = threading.Event()

    def acme() -> None:
        fleet = DemoOrders("acme", 24, in_waiting=2, away=2, stretch=12.0, stop=stop)
        fleet.prepare()
        fleet.work()

    def globex() -> None:
        # Large enough that even with somebody away a laptop's sleep counts as a mass loss, and not
        # as the failure of each.
        fleet = DemoOrders("globex", 8, in_waiting=1, away=1, stretch=100.0, stop=stop)
        fleet.prepare()
        fleet.work()

    workers = [
        threading.Thread(target=_keep, args=(work, stop), name=work.__name__, daemon=True)
        for work in (acme, globex)
    ]
    for worker in workers:
        worker.start()
    sys.stdin.buffer.read()
    stop.set()
    for worker in workers:
        worker.join(timeout=1.0)
    return 0


def _keep(work: Callable[[], None], stop: threading.Event) -> None:
    """Do the work, and begin it again after a rest when the database was away."""
    while not stop.is_set():
        try:
            work()
        except DatabaseError as error:
            first_line = next(iter(str(error).splitlines()), type(error).__name__)
            logger.warning("The demo's fleet rests: %s", first_line)
            stop.wait(REST_SECONDS)
        finally:
            connection.close()


if __name__ == "__main__":
    raise SystemExit(main())
