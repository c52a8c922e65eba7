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
from threading import Event as Flag
from typing import Any

import httpx
import psycopg
import pytest

from agentmesh_site.demo import distribution
from agentmesh_site.demo.fleet import DemoOrders, Stopped
from agents import services
from agents.current import load
from agents.domain.state import Intent
from agents.models import CurrentAgent
from agents.rebuild import compare
from agents.replay.pace import Pace
from events.log.verify import verify
from tests.jobs.conftest import ALICE, shell, until

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
    until(lambda: alive(f"http://127.0.0.1:{port}"))

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
    until(lambda: statuses(env, "acme") == STATUSES)
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
    until(lambda: alive(f"http://127.0.0.1:{moved}"))
    _, err = stop(second, signal.SIGTERM)

    assert (second.returncode, err) == (0, "")
    again = json.loads(file.read_bytes())
    assert again == logins | {"url": f"http://127.0.0.1:{moved}"}
    assert shell(env, "verify_log").returncode == 0


def settle(env: dict[str, str], file: Path) -> Any:
    code = (
        "from pathlib import Path; from agentmesh_site.demo import people;"
        f"file = Path({str(file)!r});"
        "people.write(file, people.settle('http://x', people.read(file)))"
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


class Quick(DemoOrders):
    """A fleet that does not wait, and goes home at `until`; `visits` are what people do by then."""

    def __init__(
        self, tenant: str, until: float, visits: dict[float, Callable[[], object]]
    ) -> None:
        super().__init__(tenant, 6, in_waiting=1, away=1, stretch=12.0, stop=Flag())
        self.pace = Pace(None)
        self.chance = random.Random(1)  # so that nobody is away for as long as the test looks
        self.until = until
        self.visits = visits

    def wait_until(self, seconds: float) -> None:
        super().wait_until(seconds)
        for due in [at for at in self.visits if at <= seconds]:
            self.visits.pop(due)()
        if seconds >= self.until:
            raise Stopped


def test_the_fleet_goes_on_whatever_people_do_to_it(
    acme: str, caplog: pytest.LogCaptureFixture
) -> None:
    def let_go() -> None:
        for agent_id in ("coder-01", "tester-01"):
            services.terminate_agent(
                tenant=acme, agent_id=agent_id, reason="Too dear.", force=True, by=ALICE
            )

    def hold() -> None:
        if load(acme, "writer-01").agent.intent is Intent.ACTIVE:
            services.pause_agent(tenant=acme, agent_id="writer-01", reason="Mine.", by=ALICE)

    def welcome() -> None:
        services.activate_agent(tenant=acme, agent_id="reviewer-02", by=ALICE)

    visits: dict[float, Callable[[], object]] = {30.0: let_go, 40.0: hold, 50.0: welcome}
    fleet = Quick(acme, 200.0, visits)
    fleet.prepare()
    fleet.work()

    agents = {each: load(acme, each).agent for each in fleet.fleet}
    assert len(fleet.fleet) == 6
    assert not {"coder-01", "tester-01"} & set(fleet.fleet)
    assert Intent.TERMINATED not in {agent.intent for agent in agents.values()}
    assert agents["reviewer-02"].tasks_completed > 0
    assert fleet.tally.tasks > 50
    assert caplog.text == ""
    verify(acme)
    assert list(compare(acme)[1]) == []


def test_a_fleet_that_was_killed_is_found_again_without_leftovers(acme: str) -> None:
    first = Quick(acme, 100.0, {})
    first.prepare()
    first.work()
    left_busy = CurrentAgent.objects.filter(tenant=acme, status="BUSY").count()

    second = Quick(acme, 100.0, {})
    second.prepare()

    assert left_busy
    assert second.fleet == first.fleet
    assert not CurrentAgent.objects.filter(tenant=acme, status__in=("BUSY", "PAUSED")).exists()


def test_a_pause_by_a_person_outlives_the_demos_start(acme: str) -> None:
    first = Quick(acme, 1.0, {})
    first.prepare()
    services.pause_agent(tenant=acme, agent_id="coder-01", reason="Mine.", by=ALICE)

    Quick(acme, 1.0, {}).prepare()

    assert load(acme, "coder-01").agent.pause_reason == "Mine."


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
