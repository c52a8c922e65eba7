"""`python -m tests.prove.openapi [examples] [seed]`: the API is what its document says.

schemathesis asks every operation for what the document allows and for what it does not, as an
admin, an operator, an auditor, an agent and as nobody, of a real server. Nothing may be answered
that the document does not have, nothing with 5xx. Runs on both engines, each with a database of
its own.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.prove.engines import HERE, ROOT, folder, on_both
from tests.stream.server import free_port

EXAMPLES = 10  # generated for each operation, for an admin; half of it for the others
ROLES = ("admin", "operator", "auditor", "agent", "nobody")
ALL_PHASES = "examples,coverage,fuzzing,stateful"
TENANT = "acme"
START_SECONDS = 60.0
CONFIG = """
hooks = "tests.prove.openapi_hooks"
continue-on-failure = true
request-timeout = 30.0
max-stream-events = 1

# A command is refused alone, in an answer that is 200: the hooks have a check for that.
[[operations]]
include-operation-id = "run_commands"
checks.negative_data_rejection.expected-statuses = ["2xx", "4xx"]

[parameters]
"path.tenant" = "acme"

[generation]
allow-x00 = false
database = "none"
"""


class Wrong(AssertionError):
    """The API does something that its document does not say."""


def main(arguments: list[str]) -> int:
    if HERE in arguments:
        prove(*map(int, arguments[1:]))
        return 0
    return on_both("tests.prove.openapi", [*arguments, *(str(EXAMPLES), "1")[len(arguments) :]])


def prove(examples: int, seed: int) -> None:
    """Print what was counted. Raises Wrong."""
    import django

    django.setup()
    tokens = _people()
    faults: list[str] = []
    with _server() as url:
        for role in ROLES:
            few = examples if role == "admin" else max(1, examples // 2)
            began = time.monotonic()
            report = _run(url, role, tokens.get(role), tokens["admin"], few, seed)
            _count(role, report, time.monotonic() - began)
            if report["returncode"]:
                faults.append(f"{role}: {report['output']}")
        server_log = (folder() / "server.log").read_text(encoding="utf-8")
    if "Traceback" in server_log:
        faults.append(server_log[-5_000:])
    if faults:
        raise Wrong("\n".join(faults))


def _people() -> dict[str, str]:
    """role → token in a new tenant, in which Dave audits."""
    from django.contrib.auth.models import User

    from events import tenants
    from events.log.proposal import Context
    from events.models import Role

    by = Context(actor="system:prove")
    tenants.create_tenant(TENANT)
    User.objects.create_user("dave")
    User.objects.create_user("erin")  # becomes a member again whenever she is to be removed
    tenants.add_member(TENANT, "dave", Role.AUDITOR, by=by)
    return {
        role.value: tenants.issue_token(
            TENANT, role.value, role, agent_id="a-1" if role is Role.AGENT else None, by=by
        )[1]
        for role in Role
    }


def _kept_open() -> list[str]:
    from events.models import Token

    tokens = Token.objects.filter(tenant=TENANT, name__in=ROLES)
    return [*(str(pk) for pk in tokens.values_list("pk", flat=True)), "dave"]


@contextmanager
def _server() -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (folder() / "server.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", str(port)],
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
        try:
            _wait_until_it_answers(url)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_it_answers(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/health/live").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise Wrong("The server did not start.")


def _run(
    url: str, role: str, token: str | None, admin: str, examples: int, seed: int
) -> dict[str, Any]:
    here = folder()
    (here / "schemathesis.toml").write_text(CONFIG, encoding="utf-8")
    kept = here / f"{role}.json"
    environment = os.environ | {
        "PROVE_API": f"{url}/api/v1/tenants/{TENANT}",
        "PROVE_TOKEN": admin,
        "PROVE_KEEP": ",".join(_kept_open()),
        "PYTHONPATH": str(ROOT),
    }
    arguments = [
        *(sys.executable, "-m", "schemathesis.cli", "run", str(ROOT / "docs" / "openapi.json")),
        # Not by its address: schemathesis would leave out the operation that it was read from.
        *("--url", url),
        # The hooks have a check of their own for what is accepted.
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
        *("--max-examples", str(examples), "--seed", str(seed)),
        *("--phases", ALL_PHASES if role == "admin" else "fuzzing"),
        *("--report", "json", "--report-json-path", str(kept), "--no-color"),
        *(("--header", f"Authorization: Bearer {token}") if token else ()),
    ]
    done = subprocess.run(
        arguments, cwd=here, env=environment, capture_output=True, text=True, check=False
    )
    (here / f"{role}.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    return {"returncode": done.returncode, "output": done.stdout + done.stderr, "kept": kept}


def _count(role: str, report: dict[str, Any], seconds: float) -> None:
    lines = [line.strip() for line in report["output"].splitlines()]
    said = [line for line in lines if line.startswith("Tested:") or " generated, " in line]
    print(f"  {role}: {', '.join(said)} in {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
