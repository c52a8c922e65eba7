"""The questions that streams ask the database, and the few threads in which they are asked."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import connections

from events.log import read
from events.models import Event, TenantHead
from projections.stream.positions import BEGINNING, Claim, Position

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4  # so at most as many connections, whatever the number of clients


class NotInTheLog(Exception):
    """The place is not in this log, which was restored from a backup perhaps. `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LogDamaged(RuntimeError):
    """The log has a hole. Whoever reads on would miss an event and never know."""


class ReadingThreads:
    """Runs questions off the event loop; nobody holds a connection between two questions."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="stream-reading")

    async def ask(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(_ask, question, *args, **kwargs))


def _ask(question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return question(*args, **kwargs)
    finally:
        connections.close_all()


def head(tenant: str) -> Position:
    """Where the tenant's log ends now. Raises NotInTheLog when there is no such tenant."""
    end = read.head(tenant)
    if end is None:
        raise NotInTheLog(f"There is no tenant {tenant}.")
    return Position(end.seq, end.hash) if end.seq else BEGINNING


def head_seqs(tenants: Iterable[str]) -> dict[str, int]:
    """How long each tenant's log is now, in one question for all."""
    rows = TenantHead.objects.filter(tenant__in=list(tenants)).values_list("tenant_id", "seq")
    return dict(rows)


def locate(tenant: str, claim: Claim, end: Position) -> Position:
    """The place that a client claims to be at, in a log that ends at `end`. Raises NotInTheLog."""
    if claim.seq == 0:
        return BEGINNING
    if claim.seq > end.seq:
        raise NotInTheLog("The id is beyond the end of the log.")
    row = Event.objects.filter(tenant=tenant, seq=claim.seq).only("seq", "hash").get()
    position = Position(row.seq, bytes(row.hash))
    if not claim.fits(position):
        raise NotInTheLog("The log has another event in the id's place.")
    return position


def page(tenant: str, position: Position, limit: int) -> list[Event]:
    """The next events after `position`, at most `limit`; none at the end of the log.

    The event at the position is read along, so that a log which was replaced meanwhile is noticed
    at the seam: then this raises NotInTheLog. Raises LogDamaged when a seq is missing.
    """
    if not position.seq:
        rows = read.after(tenant, 0, limit)
    else:
        known, rows = _split(read.after(tenant, position.seq - 1, limit + 1))
        if known is None or known.seq != position.seq:
            raise NotInTheLog("The log has become shorter.")
        if bytes(known.hash) != position.hash:
            raise NotInTheLog("The log has been replaced.")
    for expected, row in enumerate(rows, position.seq + 1):
        if row.seq != expected:
            raise LogDamaged(f"{tenant}'s log has no event {expected}.")
    return rows


def _split(rows: list[Event]) -> tuple[Event | None, list[Event]]:
    return (rows[0], rows[1:]) if rows else (None, [])
