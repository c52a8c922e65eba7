"""How a process hears that a log has grown, and tells others. A lost word costs time, never an
event: beneath it the heads of all logs are looked at every second.

PostgreSQL: whoever has committed tells it by NOTIFY, on a connection of its own and after the
commit, since NOTIFY within a transaction takes a lock that all commits wait for. What comes close
together is told together. SQLite: `PRAGMA data_version` says that another connection has committed.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import closing, suppress
from typing import Any

import psycopg
from django.db import DatabaseError, connection, connections

from events.bus import events_committed
from events.models import TenantHead

logger = logging.getLogger(__name__)

CHANNEL = "agentmesh_grown"
POLL_SECONDS = 1.0
DATA_VERSION_SECONDS = 0.02
TOGETHER_SECONDS = 0.01  # how long a word waits for others, once one was sent
REST_SECONDS = 2.0

Ring = Callable[[Iterable[str]], None]


class Heads:
    """What the logs' heads were when they were last looked at. `of`: the tenants that somebody
    wants to hear of now; None: all."""

    def __init__(self, of: Callable[[], Collection[str]] | None = None) -> None:
        self._of = of
        self._seqs: dict[str, int] = {}

    def grown(self) -> list[str]:
        """The tenants whose logs have changed since. Raises DatabaseError."""
        heads = TenantHead.objects.across_tenants()
        if self._of is not None:
            heads = heads.filter(tenant__in=self._of())
        seqs = dict(heads.values_list("tenant_id", "seq"))
        changed = [tenant for tenant, seq in seqs.items() if self._seqs.get(tenant) != seq]
        self._seqs = seqs
        return changed


def hear(
    ring: Ring, stop: threading.Event, of: Callable[[], Collection[str]] | None = None
) -> None:
    """Ring for every log that grows, until `stop` is set; survives the database's absence.

    `of` says of whose logs growth has to be found where nobody tells; others may be rung for too.
    """
    listen = _hear_notifications if connection.vendor == "postgresql" else _watch_data_version
    heads = Heads(of)
    while not stop.is_set():
        try:
            ring(heads.grown())  # what was missed while nobody listened
            listen(ring, stop, heads)
        except (DatabaseError, psycopg.Error, sqlite3.Error) as error:
            logger.warning("Waiting for the database: %s", next(iter(str(error).splitlines()), ""))
            connections.close_all()
            stop.wait(REST_SECONDS)
    connections.close_all()


def _hear_notifications(ring: Ring, stop: threading.Event, heads: Heads) -> None:
    with closing(_own_connection()) as listening:
        listening.execute(f"LISTEN {CHANNEL}")
        looked = 0.0
        while not stop.is_set():
            if time.monotonic() - looked >= POLL_SECONDS:
                ring(heads.grown())
                looked = time.monotonic()
            heard = [
                told.payload for told in listening.notifies(timeout=POLL_SECONDS / 4, stop_after=1)
            ]
            if heard:
                ring(heard)


def _watch_data_version(ring: Ring, stop: threading.Event, heads: Heads) -> None:
    with closing(sqlite3.connect(connection.settings_dict["NAME"])) as watching:
        seen = looked = None
        while not stop.wait(DATA_VERSION_SECONDS):
            (version,) = watching.execute("PRAGMA data_version").fetchone()
            now = time.monotonic()
            if version != seen or looked is None or now - looked >= POLL_SECONDS:
                ring(heads.grown())
                seen, looked = version, now


def _own_connection() -> "psycopg.Connection[Any]":
    """Outside the pool: it stays for as long as the process."""
    parameters: dict[str, Any] = connection.get_connection_params()
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    return psycopg.connect(**parameters, autocommit=True)


class Telling:
    """Tells other processes of this one's commits, on a thread of its own."""

    def __init__(self) -> None:
        self._tenants: set[str] = set()
        self._lock = threading.Lock()
        self._something = threading.Event()
        self._thread: threading.Thread | None = None

    def hear(self, tenant: str, **_: object) -> None:
        """Receiver of events_committed: it keeps no command waiting."""
        with self._lock:
            self._tenants.add(tenant)
            self._something.set()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._tell, name="telling", daemon=True)
                self._thread.start()

    def _tell(self) -> None:
        while True:
            with suppress(psycopg.Error), closing(_own_connection()) as telling:
                while True:
                    self._something.wait()
                    with self._lock:
                        tenants = list(self._tenants)
                        self._tenants.clear()
                        self._something.clear()
                    telling.execute(
                        "SELECT pg_notify(%s, tenant) FROM unnest(%s::text[]) AS tenant",
                        (CHANNEL, tenants),
                    )
                    time.sleep(TOGETHER_SECONDS)
            time.sleep(REST_SECONDS)  # the poll beneath has to do meanwhile


_telling = Telling()


def tell_others() -> None:
    """Have other processes told at once of what this one commits. On SQLite they see it anyway."""
    if connection.vendor == "postgresql":
        events_committed.connect(_telling.hear, dispatch_uid="events.wakeups")
