"""`manage.py serve` as a process of its own."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.house.rooms import ROOT

START_SECONDS = 120.0


@dataclass(frozen=True)
class Server:
    url: str
    process: "subprocess.Popen[str]"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Seconds from the signal to the end of the process."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(20)
        return time.monotonic() - began

    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def serving(
    environment: dict[str, str], *arguments: str, worker: bool = False, port: int | None = None
) -> Iterator[Server]:
    """A server that answers, on a free port if none is named; stopped at the end if it runs."""
    port = port or free_port()
    if not worker:
        arguments = (*arguments, "--no-worker")
    process = subprocess.Popen(
        [sys.executable, "manage.py", "serve", "--port", str(port), *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    server = Server(f"http://127.0.0.1:{port}", process)
    try:
        _wait_until_it_answers(server)
        yield server
    finally:
        if process.poll() is None:
            server.stop()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def _wait_until_it_answers(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert server.process.poll() is None, server.process.communicate()
        try:
            if httpx.get(f"{server.url}/health/live").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the server did not answer in time")
