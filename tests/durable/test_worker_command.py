"""`manage.py worker`, as a person or `serve` runs it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management.base import CommandError

from events import tenants
from tests.durable.sample import record
from tests.jobs.conftest import ROOT, manage, shell

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(scratch_env: dict[str, str]) -> Iterator[Start]:
    """Workers that have said that they run; whatever is left of them at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> "subprocess.Popen[str]":
        pipes: Any = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        worker = subprocess.Popen(
            [sys.executable, "manage.py", "worker", *arguments],
            cwd=ROOT,
            env=scratch_env,
            text=True,
            **pipes,
        )
        running.append(worker)
        assert worker.stdout is not None
        assert worker.stdout.readline() == "The worker runs (Ctrl-C stops it).\n"
        return worker

    yield begin
    for worker in running:
        if worker.poll() is None:
            os.kill(worker.pid, signal.SIGKILL)
        for stream in (worker.stdin, worker.stdout, worker.stderr):
            if stream is not None:
                stream.close()
        worker.wait()


def ended(worker: "subprocess.Popen[str]") -> tuple[int, str]:
    """Its exit code and what it said since it ran, within the 5 s that are promised."""
    began = time.monotonic()
    assert worker.stdout is not None
    assert worker.stderr is not None
    code = worker.wait(10)
    assert time.monotonic() - began < 5
    complaint = worker.stderr.read()
    assert "Fatal Python error" not in complaint
    assert "Exception in thread" not in complaint
    return code, worker.stdout.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order_though_somebody_holds_its_input_open(
    start: Start, number: signal.Signals
) -> None:
    worker = start("--until-input-ends")
    time.sleep(0.3)
    worker.send_signal(number)

    assert ended(worker) == (0, "The worker has stopped.\n")


def test_the_end_of_its_input_ends_it_where_that_was_asked_for(start: Start) -> None:
    asked, not_asked = start("--until-input-ends"), start()
    for worker in (asked, not_asked):
        assert worker.stdin is not None
        worker.stdin.close()

    assert ended(asked) == (0, "The worker has stopped.\n")
    assert not_asked.poll() is None
    not_asked.terminate()
    assert ended(not_asked)[0] == 0


def test_once_it_says_what_it_did(
    quiet_env: dict[str, str], fresh_slug: Callable[[str], str]
) -> None:
    tenant = tenants.create_tenant(fresh_slug("acme")).slug
    record(tenant, "a-1")

    said = shell(quiet_env, "worker", "--once")

    assert said.returncode == 0
    assert said.stdout.startswith("Nothing is due any more; ")


@pytest.mark.parametrize("seconds", ["0", "0.1", "nan", "x", "4000", "-1"])
def test_a_lease_of_no_usable_length_is_refused_in_one_line(seconds: str) -> None:
    with pytest.raises(CommandError, match=r"from 0\.5 to 3600") as refused:
        manage("worker", f"--lease-seconds={seconds}")

    assert refused.value.returncode == 2
    assert "\n" not in str(refused.value)
