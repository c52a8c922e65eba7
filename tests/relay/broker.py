"""A real nats-server for the tests: its own port, its own folder, ended by its own process id."""

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import nats
from nats.aio.client import Client

from tests.stream.server import free_port

T = TypeVar("T")
NATS_SERVER = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
ABSENT = "there is no nats-server; install Debian's package nats-server, as .ci/run does"
START_SECONDS = 20.0


class Stored(NamedTuple):
    """One message of the stream."""

    stream_seq: int
    subject: str
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def tenant(self) -> str:
        return self.subject.split(".")[1]

    @property
    def seq(self) -> int:
        return int(self.headers["AgentMesh-Seq"])


class Broker:
    """`configuration`: lines of nats-server's configuration, beyond where it listens and stores."""

    def __init__(self, folder: Path, configuration: str = "", *, jetstream: bool = True) -> None:
        assert NATS_SERVER, ABSENT
        self.port = free_port()
        self.login: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.store = folder / "store"
        self._configuration = folder / "nats.conf"
        self._log = folder / "nats.log"
        store = f'jetstream {{ store_dir: "{self.store}" }}' if jetstream else ""
        listen = f'listen: "127.0.0.1:{self.port}"'
        self._configuration.write_text(f"{listen}\n{store}\n{configuration}\n")

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self._log.open("ab") as log:
            command = [str(NATS_SERVER), "-c", str(self._configuration)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.02)

    def _listens(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.settimeout(1)
                return connection.recv(4) == b"INFO"
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL: nothing is flushed and nobody is told."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """What the question, put over a connection of its own, gives."""

        async def asking() -> T:
            client = await nats.connect(self.url, **self.login)
            try:
                return await question(client)
            finally:
                await client.close()

        return asyncio.run(asking())

    def api(self, verb: str, body: object = None) -> dict[str, Any]:
        """A request to JetStream, such as `STREAM.INFO.AGENTMESH`."""

        async def question(client: Client) -> dict[str, Any]:
            data = b"" if body is None else json.dumps(body).encode()
            answer = await client.request(f"$JS.API.{verb}", data, timeout=10)
            return dict(json.loads(answer.data))

        return self.ask(question)

    def publish(self, subject: str, body: bytes, **headers: str) -> dict[str, Any]:
        """As somebody else than the relay. The headers' names with _ for -."""

        async def question(client: Client) -> dict[str, Any]:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            answer = await client.request(subject, body, headers=named, timeout=10)
            return dict(json.loads(answer.data))

        return self.ask(question)

    def end(self) -> int:
        """The last place in the stream; 0 while there is none."""
        state = self.api("STREAM.INFO.AGENTMESH").get("state", {"last_seq": 0})
        return int(state["last_seq"])

    def stored(self, subject: str = "agentmesh.>") -> list[Stored]:
        """All that the stream holds, in its order."""

        async def question(client: Client) -> list[Stored]:
            js = client.jetstream()
            puller = await js.pull_subscribe(subject, stream="AGENTMESH")
            left = (await puller.consumer_info()).num_pending or 0
            found: list[Stored] = []
            while len(found) < left:
                for message in await puller.fetch(min(500, left - len(found)), timeout=10):
                    place, headers = message.metadata.sequence.stream, message.headers or {}
                    body = json.loads(message.data)
                    found.append(Stored(place, message.subject, headers, body))
                    await message.ack()
            return found

        return self.ask(question)
