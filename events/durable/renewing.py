"""What runs out unless it is renewed, kept alive beside work that takes as long as it takes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection, connections

from events.durable.errors import DATABASE_ERRORS


@contextmanager
def renewing(renew: Callable[[], object], *, every_seconds: float) -> Iterator[None]:
    """Call `renew` again and again while the body runs, however long a statement of it takes."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(every_seconds):
            try:
                renew()
            except DATABASE_ERRORS:
                connection.close()  # whoever needs the database more will say so
        connections.close_all()

    keeper = threading.Thread(target=keep, name="renews leases", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
