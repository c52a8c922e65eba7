"""Processes that count in one folder count together; a dead one leaves its counts to the next."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.house.rooms import ROOT

# A process that counts as it is told on stdin: each line is an expression; it answers with a line.
PROCESS = """
import sys
from pathlib import Path
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest
from events.metrics import instruments, sharing

def value(name):
    registry = CollectorRegistry()
    for each in sharing.collectors():
        registry.register(each)
    lines = generate_latest(registry).decode().splitlines()
    return next((line.split()[1] for line in lines if line.startswith(name + " ")), None)

instruments.replays.inc(100) if "early" in sys.argv else None
sharing.begin(sys.argv[1], Path(sys.argv[2]))
print("ready", flush=True)
for line in sys.stdin:
    print(eval(line), flush=True)
"""
REPLAYS = "agentmesh_idempotent_replays_total"
STREAMS = "agentmesh_streams_open"


class Counting:
    def __init__(self, told: IO[str], heard: IO[str]) -> None:
        self.told, self.heard = told, heard

    def do(self, expression: str) -> str:
        self.told.write(expression + "\n")
        self.told.flush()
        return self.heard.readline().strip()

    def value(self, name: str) -> str:
        return self.do(f"value({name!r})")


@contextmanager
def counting(folder: Path, role: str = "web", *more: str) -> Iterator[Counting]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, role, str(folder), *more],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin as told, process.stdout as heard:
        try:
            assert heard.readline() == "ready\n"
            yield Counting(told, heard)
        finally:
            process.kill()
            process.wait()


def test_any_process_answers_for_all_and_the_dead_keep_their_counts_but_not_their_gauges(
    tmp_path: Path,
) -> None:
    with counting(tmp_path) as first:
        with counting(tmp_path, "worker") as second:
            first.do("instruments.replays.inc(2)")
            second.do("instruments.replays.inc(3)")
            first.do("instruments.streams_open.inc()")
            second.do("instruments.streams_open.inc(4)")

            assert [first.value(REPLAYS), second.value(REPLAYS)] == ["5.0", "5.0"]
            assert first.value(STREAMS) == "5.0"
            assert first.do("[each.role for each in sharing.processes()]") == "['web', 'worker']"

        assert first.value(REPLAYS) == "5.0"  # the second was killed
        assert first.value(STREAMS) == "1.0"
        files = sorted(path.name for path in tmp_path.iterdir())

        with counting(tmp_path, "worker") as third:
            third.do("instruments.replays.inc(10)")

            assert first.value(REPLAYS) == "15.0"
            assert third.value(STREAMS) == "1.0"
            again = sorted(path.name for path in tmp_path.iterdir())

    # The third went on where the second ended: deaths make no files.
    assert set(files) <= set(again)
    assert {name.partition(".")[0][-1] for name in again} == {"0", "1"}


def test_what_was_counted_before_sharing_comes_along(tmp_path: Path) -> None:
    with counting(tmp_path, "web", "early") as process:
        assert process.value(REPLAYS) == "100.0"


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system cannot fork")
def test_a_forked_process_counts_in_a_slot_of_its_own(tmp_path: Path) -> None:
    fork = (
        "(lambda pid: __import__('os').waitpid(pid, 0)[1] if pid else "
        "(instruments.replays.inc(7), __import__('os')._exit(0)))(__import__('os').fork())"
    )
    with counting(tmp_path) as parent:
        parent.do("instruments.replays.inc(1)")

        assert parent.do(fork) == "0"
        assert parent.value(REPLAYS) == "8.0"
        assert parent.do("instruments.replays.inc(1) or value('" + REPLAYS + "')") == "9.0"


def test_a_folder_that_cannot_be_used_is_an_error_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    asked = (
        "from events.metrics import sharing; from pathlib import Path\n"
        "try: sharing.begin('web', Path('file/folder'))\n"
        "except sharing.NoFolder as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout == "Not a directory\n"
