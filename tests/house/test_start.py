"""However AgentMesh is started, a wrong setting is one line on stderr and no traceback."""

import subprocess
import sys

import pytest

from tests.house.rooms import ROOT

STARTS = {
    "manage.py": [sys.executable, "manage.py", "check"],
    "asgi": [sys.executable, "-m", "uvicorn", "agentmesh_site.asgi:application"],
    "pytest": [sys.executable, "-m", "pytest", "-q", "tests/house/test_rooms.py"],
}


def start(command: list[str], **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


WRONG = [
    ("PORT", "abc"),
    ("DATABASE_URL", "postgresql://bob:hunter2@host"),
    ("AGENTMESH_COLOUR", "blue"),
    ("AGENTMESH_HOST", "0.0.0.0"),  # noqa: S104 -- reachable, and without a secret key
]


@pytest.mark.parametrize(
    ("way", "name", "value"),
    # Settings are read alike however it is started: each way once, and each of them once.
    [*(("manage.py", *wrong) for wrong in WRONG), ("asgi", *WRONG[1]), ("pytest", *WRONG[3])],
)
def test_a_wrong_setting_stops_the_start_with_one_line(way: str, name: str, value: str) -> None:
    stopped = start(STARTS[way], **{name: value})

    culprit = "AGENTMESH_SECRET_KEY" if name == "AGENTMESH_HOST" else name
    assert stopped.returncode != 0
    assert stopped.stdout == ""
    (line,) = stopped.stderr.splitlines()
    assert line.startswith(f"agentmesh: {culprit} ")
    assert "hunter2" not in line


def test_a_deployment_on_https_passes_the_checks_of_django() -> None:
    checked = start(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        AGENTMESH_PUBLIC_URL="https://mesh.example.org",
        AGENTMESH_TRUSTED_PROXIES="10.0.0.7",
        AGENTMESH_SECRET_KEY="a key for nobody but this test, 0123456789 abcdefghij",
    )

    assert (checked.returncode, checked.stderr) == (0, "")
