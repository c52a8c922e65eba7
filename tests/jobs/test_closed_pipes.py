"""Whoever pipes a command into `head` gets a line about it, and no traceback."""

import os
import subprocess
import sys

import pytest

from tests.jobs.conftest import ROOT


@pytest.mark.parametrize("command", [("verify_log", "--tenant"), ("checkpoint", "--tenant")])
def test_a_command_whose_output_nobody_reads_says_so_in_one_line(
    acme: str, command: tuple[str, ...], subprocess_env: dict[str, str]
) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [sys.executable, "-W", "error", "manage.py", *command, acme],
            cwd=ROOT,
            env=subprocess_env,
            stdout=write_end,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(write_end)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("CommandError: Nobody reads on;")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
