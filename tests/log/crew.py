"""Starts processes of `tests.log.processes` together and gathers what they found."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
Job = tuple[str, dict[str, Any]]
PATIENCE_SECONDS = 60


@contextmanager
def started(jobs: Sequence[Job], env: dict[str, str]) -> Iterator[list[subprocess.Popen[str]]]:
    """The jobs as processes that have all begun; none outlives the block."""
    crew = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.log.processes", name, json.dumps(given)],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, given in jobs
    ]
    try:
        for process in crew:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise AssertionError(process.communicate(timeout=PATIENCE_SECONDS)[1])
        for process in crew:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        yield crew
    finally:
        for process in crew:
            process.kill()
            process.communicate()


def run_together(jobs: Sequence[Job], env: dict[str, str]) -> list[dict[str, Any]]:
    """What each job found, in their order. A job that failed fails the test with its own words."""
    with started(jobs, env) as crew:
        found = []
        for (name, _), process in zip(jobs, crew, strict=True):
            output, complaint = process.communicate(timeout=PATIENCE_SECONDS)
            assert process.returncode == 0, f"{name} failed:\n{complaint}"
            assert complaint == "", f"{name} complained:\n{complaint}"
            found.append(json.loads(output))
    return found
