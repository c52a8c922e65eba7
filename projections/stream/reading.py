"""The questions that streams ask the database, and the few threads in which they are asked."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import connections

from events.log.cursor import BEGINNING, NotInTheLog, Position
from events.models import Event, TenantHead
from projections.stream.positions import Claim

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4  # so at most as many connections, whatever the number of clients


class ReadingThreads:
    """Runs questions off the event loop; nobody holds a connection between two questions."""

    def __init__(self, name: str = "stream-reading") -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=name)

    async def ask(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(_ask, question, *args, **kwargs))


def _ask(question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return question(*args, **kwargs)
    finally:
        connections.close_all()


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
