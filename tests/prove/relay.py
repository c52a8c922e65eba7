"""`python -m tests.prove.relay [faults] [seed]`: nothing lost, nothing doubled, whoever is killed.

Writers append to several logs while three relays and the nats-server are killed (-9) and put to
sleep, for longer than the server remembers the ids of messages. At the end the stream has to hold
every event of every log once and in order. Runs on both engines.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from tests.postgresql import postgresql_url

ROOT = Path(__file__).resolve().parents[2]
FAULTS = 40
TENANTS, RELAYS = 4, 3
WINDOW_SECONDS = 1
PATIENCE_SECONDS = 120


def main(arguments: list[str]) -> int:
    if "--here" in arguments:
        prove(*map(int, arguments[1:]))
        return 0
    numbers = [*arguments, *(str(FAULTS), "1")[len(arguments) :]]
    with postgresql_url() as server, tempfile.TemporaryDirectory() as folder:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("CREATE DATABASE agentmesh_relay")
        for url in (
            f"sqlite:///{folder}/relay.sqlite3",
            server.replace("/postgres?", "/agentmesh_relay?"),
        ):
            print(url.partition(":")[0], flush=True)
            _run(url, "manage.py", "migrate", "--verbosity", "0")
            _run(url, "-m", "tests.prove.relay", "--here", *numbers)
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("DROP DATABASE agentmesh_relay WITH (FORCE)")
    return 0


def _environment(url: str, **more: str) -> dict[str, str]:
    named = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "agentmesh_site.settings"}
    return os.environ | named | more


def _run(url: str, *arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, cwd=ROOT, env=_environment(url))


def prove(faults: int, seed: int) -> None:
    """Print what was done and found. Raises AssertionError at what is lost, doubled or moved."""
    import django

    django.setup()
    from tests.relay.broker import Broker

    with tempfile.TemporaryDirectory(prefix="agentmesh-nats-") as folder:
        broker = Broker(Path(folder))
        broker.start()
        run = Run(broker, Random(seed))
        try:
            run.suffer(faults)
            run.check()
        finally:
            run.end()


class Run:
    """One server, its relays and the writers of some logs."""

    def __init__(self, broker: Any, random: Random) -> None:
        from projections.relay.messages import NAME
        from tests.stream.people import Fleet

        self.random = random
        self.broker = broker
        self.done: Counter[str] = Counter()
        self.tenants = [f"acme-{number}" for number in range(TENANTS)]
        for tenant in self.tenants:
            Fleet.of(tenant)
        self._url = os.environ["DATABASE_URL"]
        config = {"name": NAME, "subjects": ["agentmesh.>"], "storage": "file"}
        broker.api(f"STREAM.CREATE.{NAME}", config | {"duplicate_window": WINDOW_SECONDS * 10**9})
        self.relays = [self._relay() for _ in range(RELAYS)]
        self.writers: list[subprocess.Popen[bytes]] = []
        self.began = time.monotonic()

    def _start(self, module: str, *arguments: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=_environment(self._url, AGENTMESH_NATS_URL=self.broker.url),
            stderr=subprocess.DEVNULL,
        )

    def _relay(self) -> "subprocess.Popen[bytes]":
        return self._start("tests.relay.relaying", *self.tenants)

    def suffer(self, faults: int) -> None:
        kinds: list[Callable[[], None]] = [
            self.kill_server,
            self.kill_relay,
            self.kill_all,
            self.stop_server_for_long,
            self.pause_relay,
            self.pause_server,
        ]
        for number in range(faults):
            if all(writer.poll() is not None for writer in self.writers):
                self._write(number)
            time.sleep(self.random.uniform(0.1, 1.5))
            kind = kinds[number % len(kinds)]
            kind()
            self.done[kind.__name__.replace("_", " ")] += 1

    def _write(self, number: int) -> None:
        for tenant in self.tenants:
            beats = str(self.random.choice([20, 200, 1_000]))
            self.writers.append(self._start("tests.stream.writer", tenant, beats, f"w-{number}"))

    def kill_server(self) -> None:
        self.broker.kill()
        self.broker.start()

    def kill_relay(self) -> None:
        number = self.random.randrange(RELAYS)
        self.relays[number].kill()
        self.relays[number].wait()
        self.relays[number] = self._relay()

    def kill_all(self) -> None:
        self.broker.kill()
        for relay in self.relays:
            relay.kill()
            relay.wait()
        self.broker.start()
        self.relays = [self._relay() for _ in range(RELAYS)]

    def stop_server_for_long(self) -> None:
        self.broker.kill()
        time.sleep(2 * WINDOW_SECONDS)
        self.broker.start()

    def pause_relay(self) -> None:
        sleeper = self.random.choice(self.relays)
        sleeper.send_signal(signal.SIGSTOP)
        time.sleep(self.random.uniform(1, 4) * WINDOW_SECONDS)
        sleeper.send_signal(signal.SIGCONT)

    def pause_server(self) -> None:
        self.broker.signal(signal.SIGSTOP)
        time.sleep(self.random.uniform(1, 8) * WINDOW_SECONDS)
        self.broker.signal(signal.SIGCONT)

    def check(self) -> None:
        from events.log import read

        for writer in self.writers:
            writer.wait(PATIENCE_SECONDS)
        heads = {tenant: end.seq for tenant in self.tenants if (end := read.head(tenant))}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.broker.end() < sum(heads.values()) and time.monotonic() < deadline:
            time.sleep(0.5)
        stored = self.broker.stored()
        for tenant, head in heads.items():
            seqs = [message.seq for message in stored if message.tenant == tenant]
            missing = len(set(range(1, head + 1)) - set(seqs))
            doubled = len(seqs) - len(set(seqs))
            moved = sum(after != before + 1 for before, after in pairwise(seqs))
            found = f"{missing} lost, {doubled} doubled, {moved} out of order"
            print(f"  {tenant}: {head:,} events; {found}")
            assert (missing, doubled, moved, len(seqs)) == (0, 0, 0, head), tenant
        for kind, times in sorted(self.done.items()):
            print(f"  {times:4} {kind}")
        seconds = time.monotonic() - self.began
        print(f"  {len(stored):,} messages, each once and in order; {seconds:.0f} s", flush=True)

    def end(self) -> None:
        for process in [*self.relays, *self.writers]:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self.broker.kill()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
