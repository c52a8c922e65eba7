"""What a worker's connections need beyond those of the web; said before the first one is made."""

from django.db import connection

from events import duties
from events.bus import EventBus

SPARE = 4  # connections beside those of readers, sweeps and companions


def prepare(bus: EventBus, lease_seconds: float) -> None:
    """For this process. Room in the pool: each thread of a worker keeps a connection.

    And an end to transactions that stand still: a worker that is paused within one would hold its
    locks for as long as it is, and whoever takes over would wait for them.
    """
    options = connection.settings_dict["OPTIONS"]
    pool = options.get("pool")
    if isinstance(pool, dict):
        threads = len(bus.subscriptions) + len(duties.sweeps) + len(duties.companions) + SPARE
        pool["max_size"] = max(pool["max_size"], threads)
    if connection.vendor == "postgresql":
        milliseconds = round(lease_seconds * 1_000)
        given = options.get("options", "")
        options["options"] = f"{given} -c idle_in_transaction_session_timeout={milliseconds}"
