"""`manage.py demo` as a newcomer starts it: a process of its own on a database of its own."""

import json
import random
import signal
import socket
import sqlite3
import stat
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import mean, median
from typing import Any

import httpx
import psycopg
import pytest

from agentmesh_site.demo import distribution
from tests.jobs.conftest import shell, until

Start = Callable[..., "subprocess.Popen[str]"]
STATUSES = {"REGISTERED", "AVAILABLE", "BUSY", "PAUSED", "UNHEALTHY", "TERMINATED"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def statuses(env: dict[str, str], tenant: str) -> set[str]:
    """What is in the demo's own database, without the seconds that a process would take."""
    url = env["DATABASE_URL"]
    query = f"SELECT status FROM agents_currentagent WHERE tenant_id = '{tenant}'"
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
            return {status for (status,) in file.execute(query)}
    with psycopg.connect(url) as server:
        return {status for (status,) in server.execute(query.encode())}


def alive(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live").status_code == 200
    except httpx.TransportError:
        return False


def stop(process: "subprocess.Popen[str]", number: int = signal.SIGINT) -> tuple[str, str]:
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - began < 5
    return out, err


def test_a_newcomer_sees_fleets_at_work_and_a_second_start_keeps_all(
    own_database: dict[str, str], tmp_path: Path, started: Start
) -> None:
    file = tmp_path / "demo.json"
    port = free_port()
    env = own_database | {"PORT": str(port)}
    first = started(env, "demo", "--logins", str(file))
    until(lambda: alive(f"http://127.0.0.1:{port}"), 60)

    logins = json.loads(file.read_bytes())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(logins) == {"url", "users", "tokens"}
    assert logins["url"] == f"http://127.0.0.1:{port}"
    assert [(u["username"], u["tenant"], u["role"]) for u in logins["users"]] == [
        ("alice", "acme", "admin"),
        ("bob", "acme", "operator"),
        ("carol", "acme", "auditor"),
        ("mallory", "globex", "admin"),
    ]
    assert {t["token"][:3] for t in logins["tokens"]} == {"am_"}
    assert len(logins["tokens"]) == 5  # the agents' are not the newcomer's
    until(lambda: statuses(env, "acme") == STATUSES, 60)
    twice = shell(env, "demo", "--logins", str(file))
    out, err = stop(first)

    assert (first.returncode, err) == (0, "")
    assert logins["users"][0]["password"] in out
    assert "Ctrl-C stops everything." in out
    assert twice.returncode == 1
    assert f"port {port} cannot be served" in twice.stderr
    assert "all as the log tells" in shell(env, "rebuild", "agents", "--check").stdout

    moved = free_port()
    second = started(env | {"PORT": str(moved)}, "demo", "--logins", str(file))
    until(lambda: alive(f"http://127.0.0.1:{moved}"), 60)
    _, err = stop(second, signal.SIGTERM)

    assert (second.returncode, err) == (0, "")
    again = json.loads(file.read_bytes())
    assert again == logins | {"url": f"http://127.0.0.1:{moved}"}
    assert shell(env, "verify_log").returncode == 0


def settle(env: dict[str, str], file: Path) -> Any:
    code = (
        "from pathlib import Path; from agentmesh_site.demo import logins, people;"
        f"file = Path({str(file)!r});"
        "logins.write(file, people.settle('http://x', logins.read(file)))"
    )
    done = shell(env, "shell", "--no-imports", "-c", code)
    assert done.returncode == 0, done.stderr
    return json.loads(file.read_bytes())


def test_a_lost_file_gives_new_passwords_and_tokens_and_the_old_ones_open_nothing(
    own_database: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "var" / "demo.json"
    before = settle(own_database, file)
    file.write_bytes(b"\xff{")  # spoilt is as good as lost

    after = settle(own_database, file)

    for kind, secret in (("users", "password"), ("tokens", "token")):
        assert not {x[secret] for x in before[kind]} & {x[secret] for x in after[kind]}
    code = (
        "from events.access import token_for; from django.contrib.auth import authenticate as a;"
        f"print([bool(token_for(t['token'])) for x in ({before!r}, {after!r})"
        " for t in x['tokens'][:1]],"
        f"[bool(a(username='alice', password=x['users'][0]['password']))"
        f" for x in ({before!r}, {after!r})])"
    )
    told = shell(own_database, "shell", "--no-imports", "-c", code)
    assert told.stdout.strip() == "[False, True] [False, True]"


@pytest.mark.parametrize(
    "there", [("create_tenant", "globex"), ("createsuperuser", "--username=alice")]
)
def test_the_demo_takes_over_nothing_that_is_not_its_own(
    own_database: dict[str, str], tmp_path: Path, there: tuple[str, ...]
) -> None:
    if there[0] == "create_tenant":
        shell(own_database, *there)
        shell(own_database, "create_token", "globex", "--name=ci", "--role=admin")
    else:
        shell(own_database, *there, "--noinput", "--email=a@example.org")
    file = tmp_path / "demo.json"

    refused = shell(own_database | {"PORT": str(free_port())}, "demo", "--logins", str(file))

    assert refused.returncode == 1
    assert "is not the demo's. Use another database" in refused.stderr
    assert not file.exists()


def test_sizes_and_gaps_are_drawn_as_the_trace_has_them() -> None:
    chance = random.Random(7)
    sizes = [distribution.sizes(chance) for _ in range(20_000)]
    gaps = [distribution.gap_seconds(chance, 1.0) for _ in range(20_000)]

    assert median(each.context_tokens for each in sizes) == pytest.approx(1_469, rel=0.05)
    assert median(each.generated_tokens for each in sizes) == pytest.approx(13, abs=1)
    assert mean(each.context_tokens for each in sizes) == pytest.approx(2_048, rel=0.1)
    assert median(gaps) == pytest.approx(0.064, rel=0.1)
    assert max(gaps) <= distribution.LONGEST_LULL_SECONDS
    assert sum(gap < 0.01 for gap in gaps) > 20_000 * 0.25  # bursts
