"""Several processes that walk one long log: each a segment, from the stored hash before it.

    with Crew(4) as crew:
        verify("acme", walk=crew.walk)

A segment proves that it follows from the hash that it begins with, and the segment before proves
that hash; so the first seq that is wrong is the same as for one process. Processes and not threads,
since SHA-256 of short texts is over before Python would let another thread run.
"""

import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from types import TracebackType
from typing import Self

import django

from events.log import stored
from events.log import verify as verifying
from events.log.verify import Damaged, Place, Seen

SEGMENT = 100_000  # events


class CrewLost(Exception):
    """A process of the crew was ended from outside."""

    def __init__(self) -> None:
        super().__init__("A process that verified was ended from outside. Give fewer --jobs.")


class Crew:
    """So many processes, started when a log is long enough to be worth it."""

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def walk(self, tenant: str, start: Place, last: int, wanted: bytes, seen: Seen) -> Place:
        """`events.log.verify.walk`, by all of them. Raises Damaged, and CrewLost."""
        if self.processes < 2 or last - start.seq <= SEGMENT:  # noqa: PLR2004
            return verifying.walk(tenant, start, last, wanted, seen)
        try:
            return self._in_segments(tenant, start, last, wanted, seen)
        except BrokenProcessPool:
            raise CrewLost from None

    def _in_segments(
        self, tenant: str, start: Place, last: int, wanted: bytes, seen: Seen
    ) -> Place:
        pool = self._started()

        def segments() -> Iterator[Future[Place]]:
            for after in range(start.seq, last, SEGMENT):
                upto = min(after + SEGMENT, last)
                begin = start if after == start.seq else after
                yield pool.submit(_segment, tenant, begin, upto, wanted)

        # As many as can be at work, and one in waiting for each: a log has segments without end.
        ahead = segments()
        under_way = deque(islice(ahead, 2 * self.processes))
        place, met = start, start.met
        while under_way:
            done = under_way.popleft().result()
            seen(done.seq - place.seq)
            place, met = done, met or done.met
            under_way.extend(islice(ahead, 1))
        return Place(place.seq, place.hash, place.recorded_at, met)

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Not forked: a child must not inherit this process's connections and threads.
            self._pool = ProcessPoolExecutor(
                self.processes,
                mp_context=get_context("spawn"),
                initializer=_begin,
                initargs=(stored.database_name(),),
            )
        return self._pool


def _begin(database: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who handed out the work
    django.setup()
    stored.use_database(database)


def _segment(tenant: str, start: Place | int, last: int, wanted: bytes) -> Place:
    if isinstance(start, int):
        found = stored.place(tenant, start)
        if found is None:  # whoever walks up to there finds out too, and is heard first
            raise Damaged(tenant, start, "it is missing.")
        start = Place(start, *found)
    return verifying.walk(tenant, start, last, wanted, lambda _: None)
