"""`manage.py demo` as a newcomer starts it: a process of its own on a database of its own."""

import json
import random
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any

import httpx
import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management.base import CommandError

from agentmesh_site.demo import distribution, logins, people
from agentmesh_site.management.commands import demo
from agents.models import CurrentAgent
from events import tenants
from events.access import token_for
from tests.jobs.conftest import ALICE, manage, shell, until

Start = Callable[..., "subprocess.Popen[str]"]
AT_WORK = {"REGISTERED", "AVAILABLE", "BUSY"}  # the other statuses come later: test_demo_fleet.py


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def statuses(tenant: str) -> set[str]:
    return set(CurrentAgent.objects.filter(tenant=tenant).values_list("status", flat=True))


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
    first = started(env, "demo", "--logins", str(file), "--without-past")
    until(lambda: alive(f"http://127.0.0.1:{port}"), 60)

    told = json.loads(file.read_bytes())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(told) == {"url", "users", "tokens"}
    assert told["url"] == f"http://127.0.0.1:{port}"
    assert [(u["username"], u["tenant"], u["role"]) for u in told["users"]] == [
        ("alice", "acme", "admin"),
        ("bob", "acme", "operator"),
        ("carol", "acme", "auditor"),
        ("mallory", "globex", "admin"),
    ]
    assert {t["token"][:3] for t in told["tokens"]} == {"am_"}
    assert len(told["tokens"]) == 5  # the agents' are not the newcomer's
    until(lambda: statuses("acme") >= AT_WORK and statuses("globex"), 60)
    twice = shell(env, "demo", "--logins", str(file), "--without-past")
    out, err = stop(first)

    assert (first.returncode, err) == (0, "")
    assert told["users"][0]["password"] in out
    assert "Ctrl-C stops everything." in out
    assert twice.returncode == 1
    assert f"port {port} cannot be served" in twice.stderr
    assert "all as the log tells" in manage("rebuild", "agents", "--check").out

    moved = free_port()
    second = started(env | {"PORT": str(moved)}, "demo", "--logins", str(file), "--without-past")
    until(lambda: alive(f"http://127.0.0.1:{moved}"), 60)
    _, err = stop(second, signal.SIGTERM)

    assert (second.returncode, err) == (0, "")
    again = json.loads(file.read_bytes())
    assert again == told | {"url": f"http://127.0.0.1:{moved}"}
    manage("verify_log")


def settle(file: Path) -> Any:
    logins.write(file, people.settle("http://x", logins.read(file), with_past=False))
    return json.loads(file.read_bytes())


def test_a_lost_file_gives_new_passwords_and_tokens_and_the_old_ones_open_nothing(
    own_database: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "var" / "demo.json"
    before = settle(file)
    file.write_bytes(b"\xff{")  # spoilt is as good as lost

    after = settle(file)

    for kind, secret in (("users", "password"), ("tokens", "token")):
        assert not {x[secret] for x in before[kind]} & {x[secret] for x in after[kind]}
    for known, is_good in ((before, False), (after, True)):
        assert bool(token_for(known["tokens"][0]["token"])) == is_good
        password = known["users"][0]["password"]
        assert bool(authenticate(username="alice", password=password)) == is_good


@pytest.mark.parametrize("there", ["the tenant globex", "the account alice"])
def test_the_demo_takes_over_nothing_that_is_not_its_own(
    own_database: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    monkeypatch.setattr(demo, "_refuse_a_taken_port", lambda *_: None)
    monkeypatch.setattr(demo, "_serve", lambda *_: pytest.fail("It serves."))
    if there == "the tenant globex":
        tenants.create_tenant("globex")
        tenants.issue_token("globex", "ci", "admin", by=ALICE)
    else:
        User.objects.create_superuser("alice")
    file = tmp_path / "demo.json"

    with pytest.raises(CommandError, match=f"(?i){there} is not the demo's. Use another database"):
        manage("demo", "--logins", str(file), "--without-past")

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
