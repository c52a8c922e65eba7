"""The keys of sealed payloads, read for whoever asks at the same time, and kept for nobody."""

import asyncio
from collections.abc import Iterable

from events.confidential.reveal import Keys, read_keys
from projections.stream.reading import ReadingThreads


class KeyReader:
    """Asks the database once for all followers of a tenant that an event has woken.

    An answer is never older than the question, so a key that was destroyed opens nothing after it.
    """

    def __init__(self, tenant: str, threads: ReadingThreads) -> None:
        self._tenant = tenant
        self._threads = threads
        self._wanted: set[str] = set()
        self._next: asyncio.Task[Keys] | None = None  # whose question is not asked yet

    async def read(self, key_ids: Iterable[str]) -> Keys:
        """What the database says of these keys, and perhaps of more, from now on."""
        self._wanted.update(key_ids)
        if self._next is None:
            self._next = asyncio.create_task(self._ask())
        # One follower that ends must not take the answer from the others.
        return await asyncio.shield(self._next)

    async def _ask(self) -> Keys:
        wanted, self._wanted, self._next = self._wanted, set(), None
        return await self._threads.ask(read_keys, self._tenant, wanted)
