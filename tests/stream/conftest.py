import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.house.rooms import ROOT
from tests.stream.people import Fleet


@pytest.fixture
def acme(committed_db: None, fresh_slug: Callable[[str], str]) -> Fleet:
    """Alice's tenant, with the agent a-1: three events."""
    return Fleet.of(fresh_slug("acme"), "a-1")


@pytest.fixture
def globex(committed_db: None, fresh_slug: Callable[[str], str]) -> Fleet:
    """Mallory's tenant."""
    return Fleet.of(fresh_slug("globex"), "m-1")


class Writing:
    """Processes that append."""

    def __init__(self, processes: "list[subprocess.Popen[bytes]]") -> None:
        self.processes = processes

    def done(self) -> bool:
        return all(process.poll() is not None for process in self.processes)


@pytest.fixture
def writers(
    subprocess_env: dict[str, str],
) -> Callable[[Fleet, int, int], AbstractContextManager[Writing]]:
    """`writers(fleet, 4, 120)`: four processes, each with an agent and 120 heartbeats."""

    @contextmanager
    def writing(fleet: Fleet, processes: int, beats: int) -> Iterator[Writing]:
        command = [sys.executable, "-m", "tests.stream.writer", fleet.tenant, str(beats)]
        started = [
            subprocess.Popen([*command, f"writer-{number}"], cwd=ROOT, env=subprocess_env)
            for number in range(processes)
        ]
        try:
            yield Writing(started)
            assert [process.wait(30) for process in started] == [0] * processes
        finally:
            for process in started:
                process.kill()
                process.wait()

    return writing
