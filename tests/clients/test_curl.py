"""The curl lines of the documentation, as a reader types them."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from agents import tasks
from events import tenants
from events.vocabulary import Usage
from tests.clients.crew import BY
from tests.house.rooms import ROOT
from tests.stream.server import Server

LINES = re.compile(r"<!-- curl: .*? -->\n```bash\n(.*?)```", re.DOTALL)


def test_the_lines_of_the_documentation_do_what_they_say(
    server: Server,
    subprocess_env: dict[str, str],
    fresh_slug: Callable[[str], str],
    tmp_path: Path,
) -> None:
    acme = tenants.create_tenant(fresh_slug("acme")).slug
    tokens = []
    for role, agent_id in (("operator", None), ("agent", "my-agent")):
        _, secret = tenants.issue_token(acme, role, role, agent_id=agent_id, by=BY)
        tokens.append({"tenant": "acme", "role": role, "token": secret})
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "demo.json").write_text(json.dumps({"tokens": tokens}))
    (lines,) = LINES.findall((ROOT / "README.md").read_text(encoding="utf-8"))

    here = lines.replace(
        "http://127.0.0.1:8000/api/v1/tenants/acme", f"{server.url}/api/v1/tenants/{acme}"
    )
    errors = tmp_path / "errors"
    with errors.open("wb") as file:  # no pipe: the curl that follows the stream holds it open
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", here],
            cwd=tmp_path,
            env=subprocess_env,
            stdout=subprocess.DEVNULL,
            stderr=file,
            timeout=60,
            check=False,
        )

    assert (done.returncode, errors.read_text()) == (0, "")
    task = tasks.find(acme, "t-1")
    assert (task.status, task.result, task.usage) == ("completed", "fine", Usage(900, 40))
