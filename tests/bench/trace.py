"""The main job: the whole real trace as tasks of 50 agents, by service and through a server.

Afterwards the logs must verify, and the agents' rows and claims be as the log tells.
"""

import os
import subprocess
import sys
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parent.parent.parent
TRACE = Path(
    os.environ.get("AGENTMESH_TEST_TRACE")
    or ROOT.parent / "shared" / "data" / "AzureLLMInferenceTrace_code.csv"
)


def main() -> None:
    django.setup()
    from tests.stream.server import serving

    if not TRACE.is_file():
        print("The trace is not here; AGENTMESH_TEST_TRACE can name it. Nothing was measured.")
        return
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    print(_manage(environment, "create_tenant", "acme"))
    print(_manage(environment, "create_tenant", "globex"))
    replay = ("replay_trace", str(TRACE), "--agents", "50")
    print("service:", _manage(environment, *replay, "--tenant", "acme"), flush=True)
    token = _manage(environment, "create_token", "globex", "--name", "ci", "--role", "operator")
    with serving(environment) as server:
        through = ("--via", "http", "--url", server.url, "--token", token)
        print("http:   ", _manage(environment, *replay, "--tenant", "globex", *through))
    print(_manage(environment, "verify_log"))
    print(_manage(environment, "rebuild", "--all", "--check"))


def _manage(environment: dict[str, str], *arguments: str) -> str:
    """Run a management command and return its last line. Raises CalledProcessError."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        check=True,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return done.stdout.strip().splitlines()[-1]


if __name__ == "__main__":
    main()
