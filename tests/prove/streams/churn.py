"""Clients that break off at any moment and come back to whichever of two servers.

What a client has heard over all of its connections is the log: nothing is missing, nothing comes
twice. PostgreSQL alone: two servers of one SQLite are not how it is run.
"""

import asyncio
import os
import time
from random import Random

from tests.prove.streams.clients import PATIENCE_SECONDS, Client, path
from tests.prove.streams.places import Appending, appending
from tests.stream.people import Fleet
from tests.stream.server import Server, serving

LONGEST_STAY_SECONDS = 1.0
PATIENT = 0.8  # the share that wait until they are let in; the others leave at any moment


def prove(clients: int, disconnects: int, per_second: float, seed: int) -> None:
    """Print what was done and found. Raises AssertionError."""
    if not os.environ["DATABASE_URL"].startswith("postgresql"):
        print("  on PostgreSQL alone", flush=True)
        return
    fleet = Fleet.of(f"churn-{time.time_ns()}")
    token = fleet.token()
    environment = dict(os.environ)
    with (
        serving(environment) as one,
        serving(environment) as other,
        appending(fleet.tenant, per_second, 3_600) as writer,
    ):
        asyncio.run(
            _Churn(fleet, token, [one, other], disconnects, Random(seed)).run(clients, writer)
        )


class _Churn:
    def __init__(
        self, fleet: Fleet, token: str, servers: list[Server], disconnects: int, random: Random
    ) -> None:
        self._fleet = fleet
        self._token = token
        self._servers = servers
        self._left = self._disconnects = disconnects
        self._random = random
        self._enough = asyncio.Event()  # of coming and going
        self._complete = asyncio.Event()  # the log, as `_expected`
        self._expected: list[bytes] = []
        self._refused = 0
        self._unheard = 0  # connections that ended before they had begun

    async def run(self, clients: int, writer: Appending) -> None:
        ids = await self._ids()
        began = time.monotonic()
        writer.begin()
        visitors = [asyncio.create_task(self._visit(ids[-1])) for _ in range(clients)]
        await self._enough.wait()
        writer.stop()
        await asyncio.to_thread(writer.result)
        self._expected = (await self._ids())[len(ids) :]
        self._complete.set()
        heard = await asyncio.gather(*visitors)
        wrong = sum(each != self._expected for each in heard)
        doubled = sum(len(each) - len(set(each)) for each in heard)
        missing = sum(len(set(self._expected) - set(each)) for each in heard)
        print(
            f"  {clients:,} clients came back {self._disconnects:,} times to two servers in "
            f"{time.monotonic() - began:.0f} s, {self._unheard:,} times of which they left before "
            f"a word was said; {len(self._expected):,} events: {missing} lost, {doubled} doubled, "
            f"{wrong} clients that did not hear exactly the log",
            flush=True,
        )
        assert not wrong
        assert not self._refused

    async def _ids(self) -> list[bytes]:
        return [each.encode() for each in await asyncio.to_thread(lambda: self._fleet.ids)]

    async def _visit(self, last: bytes) -> list[bytes]:
        heard: list[bytes] = []
        while not self._enough.is_set():
            client = await self._come(heard[-1] if heard else last)
            if self._random.random() < PATIENT:
                await asyncio.wait([client.opened], timeout=PATIENCE_SECONDS)
            stay_seconds = self._random.random() * LONGEST_STAY_SECONDS
            await asyncio.wait([client.ended], timeout=stay_seconds)
            client.transport.abort()
            heard += client.heard
            self._unheard += not client.opened.done()
            self._refused += bool(client.refused)
            self._left -= 1
            if self._left <= 0:
                self._enough.set()
        await self._complete.wait()
        client = await self._come(heard[-1] if heard else last)
        await _until_it_has_heard(client, len(self._expected) - len(heard))
        return heard + client.heard

    async def _come(self, last: bytes) -> Client:
        port = self._random.choice(self._servers).port
        _, client = await asyncio.get_running_loop().create_connection(
            lambda: Client(path(self._fleet.tenant), self._token, last_event_id=last.decode()),
            "127.0.0.1",
            port,
        )
        return client


async def _until_it_has_heard(client: Client, events: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(client.heard) < events:  # noqa: ASYNC110 -- to be told of each costs it time
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)  # for what should not come
    client.transport.abort()
