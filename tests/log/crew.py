"""Starts processes of `tests.log.processes` together and gathers what they found.

One foreman starts Python and Django once and forks the crew from there, before it has opened any
connection: most of a test's time would else be their start.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
Job = tuple[str, dict[str, Any]]
PATIENCE_SECONDS = 60


@dataclass
class Hand:
    """One process of the crew, and our ends of its standard streams."""

    stdin: IO[str]
    stdout: IO[str]
    stderr: IO[str]
    pid: int = 0

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            stream.close()


@contextmanager
def started(jobs: Sequence[Job], env: dict[str, str]) -> Iterator[list[Hand]]:
    """The jobs as processes that have all begun; none outlives the block."""
    crew, orders, theirs = [], [], []
    for name, given in jobs:
        (their_in, our_in), (our_out, their_out), (our_err, their_err) = (
            os.pipe() for _ in range(3)
        )
        crew.append(Hand(os.fdopen(our_in, "w"), os.fdopen(our_out), os.fdopen(our_err)))
        ends = [their_in, their_out, their_err]
        orders.append([name, given, ends])
        theirs += ends
    foreman = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.log.processes", json.dumps(orders)],
        cwd=ROOT,
        env=env,
        pass_fds=theirs,
        start_new_session=True,
    )
    impatience = threading.Timer(PATIENCE_SECONDS, os.killpg, (foreman.pid, signal.SIGKILL))
    impatience.start()
    try:
        for end in theirs:
            os.close(end)
        for hand in crew:
            word, _, pid = hand.stdout.readline().partition(" ")
            if word != "ready":
                raise AssertionError(hand.stderr.read())
            hand.pid = int(pid)
        for hand in crew:
            hand.stdin.write("go\n")
            hand.stdin.flush()
        yield crew
    finally:
        impatience.cancel()
        os.killpg(foreman.pid, signal.SIGKILL)
        foreman.wait()
        for hand in crew:
            hand.close()


def run_together(jobs: Sequence[Job], env: dict[str, str]) -> list[dict[str, Any]]:
    """What each job found, in their order. A job that failed fails the test with its own words."""
    with started(jobs, env) as crew:
        found = []
        for (name, _), hand in zip(jobs, crew, strict=True):
            output, complaint = hand.stdout.read(), hand.stderr.read()
            assert complaint == "", f"{name} complained:\n{complaint}"
            assert output, f"{name} found nothing in {PATIENCE_SECONDS} s, or was killed"
            found.append(json.loads(output))
    return found
