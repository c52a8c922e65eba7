"""Agents and their server, killed in the middle of their work."""

import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agents import services
from events import tenants
from tests.clients.crew import BY, Crew
from tests.house.rooms import ROOT
from tests.jobs.conftest import until
from tests.stream.server import Server, free_port, serving

EXAMPLE = ROOT / "examples" / "worker_agent.py"


@pytest.fixture
def acme(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("acme")).slug


def test_whoever_is_killed_each_task_is_completed_once(
    acme: str, subprocess_env: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    crew = Crew(acme, f"http://127.0.0.1:{port}", subprocess_env, tmp_path / "diary")
    tasks = [f"t-{number}" for number in range(16)]
    waiting = list(tasks)

    def give(left: int) -> None:
        while len(waiting) > left:
            until(lambda: crew.give(waiting[0]), 30)
            waiting.pop(0)

    def kill_one() -> None:
        agent_id = random.choice(list(crew.running))
        crew.kill(agent_id)
        crew.start(agent_id)

    try:
        with serving(subprocess_env, port=port) as first:
            crew.enlist(["one", "two"])
            give(12)
            kill_one()
            give(9)
            first.process.kill()
            kill_one()
            first.process.wait()
        with serving(subprocess_env, port=port):
            give(5)
            kill_one()
            give(0)
            until(crew.has_ended_all)
    finally:
        crew.go_home()

    assert crew.completions() == dict.fromkeys(tasks, 1)
    assert crew.works().keys() == set(tasks)


def start(server: Server, tenant: str, token: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(EXAMPLE)],
        env={"API": f"{server.url}/api/v1/tenants/{tenant}", "TOKEN": token},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_example_as_it_stands_works_and_ends_without_a_word_when_told_to(
    server: Server, acme: str, number: signal.Signals
) -> None:
    _, token = tenants.issue_token(acme, "own", "agent", agent_id="my-agent", by=BY)
    process = start(server, acme, token)
    crew = Crew(acme, server.url, {}, Path())

    until(lambda: crew.give("t-1"))
    until(crew.has_ended_all)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)

    assert (process.returncode, out, err) == (0, "", "")
    assert crew.completions() == {"t-1": 1}


def test_the_example_says_in_one_line_that_its_token_opens_nothing(
    server: Server, acme: str
) -> None:
    process = start(server, acme, "am_none")

    out, err = process.communicate(timeout=10)

    assert (process.returncode, out) == (1, "")
    assert err.count("\n") == 1
    assert "/agents: " in err


def test_the_example_ends_when_it_is_terminated(server: Server, acme: str) -> None:
    _, token = tenants.issue_token(acme, "own", "agent", agent_id="my-agent", by=BY)
    process = start(server, acme, token)
    until(lambda: Crew(acme, server.url, {}, Path()).give("t-1"))
    process.kill()
    process.communicate()
    services.terminate_agent(tenant=acme, agent_id="my-agent", reason="Old.", force=True, by=BY)

    out, err = start(server, acme, token).communicate(timeout=10)

    assert (out, err) == ("", "agents/my-agent was terminated.\n")
