import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError

from agents import services
from agents.current import load
from agents.models import CurrentAgent, TaskClaim
from agents.rebuild import compare
from events.log import read
from events.log.verify import verify
from events.models import Event
from tests.jobs.conftest import ALICE, make_agent, manage, shell, until
from tests.jobs.test_trace_file import REAL, needs_the_real_trace

Start = Callable[..., "subprocess.Popen[str]"]


def trace(folder: Path, rows: int, *, gap_ms: int = 50) -> Path:
    file = folder / "trace.csv"
    lines = ["TIMESTAMP,ContextTokens,GeneratedTokens"]
    for number in range(rows):
        minutes, milliseconds = divmod(number * gap_ms, 60_000)
        at = f"2023-11-16 18:{minutes:02d}:{milliseconds / 1000:010.7f}"
        lines.append(f"{at},{number * 37 % 5_000},{6 + number % 20}")
    file.write_text("\r\n".join(lines), encoding="utf-8")
    return file


def events(tenant: str, kind: str) -> list[dict[str, Any]]:
    found = Event.objects.filter(tenant=tenant, type=kind).order_by("seq")
    return [json.loads(data) for data in found.values_list("data", flat=True)]


def seq(tenant: str) -> int:
    head = read.head(tenant)
    assert head is not None
    return head.seq


def is_in_order(tenant: str) -> None:
    verify(tenant)
    assert list(compare(tenant)[1]) == []


def test_each_row_is_one_task_with_its_tokens_time_and_the_traces_own_time(
    acme: str, tmp_path: Path
) -> None:
    said = manage("replay_trace", str(trace(tmp_path, 120)), "--tenant", acme, "--agents", "5")

    assigned = events(acme, "AgentTaskAssignedEvent")
    completed = events(acme, "AgentTaskCompletedEvent")
    (failed,) = events(acme, "AgentTaskFailedEvent")
    assert (len(assigned), len(completed)) == (120, 119)
    assert assigned[1]["input"] == {
        "timestamp": "2023-11-16 18:00:00.0500000",
        "context_tokens": 37,
        "line": 3,
    }
    first = next(each for each in completed if each["task_id"].endswith(":2"))
    assert first["usage"] == {"input_tokens": 0, "output_tokens": 6}
    assert first["execution_time_ms"] == 20 + 31 * 6
    assert failed["task_id"].endswith(":97")
    assert failed["error_code"] == "RATE_LIMITED"
    assert said.out.startswith(f"120 tasks (1 failed), {seq(acme)} events in ")
    assert said.out.count("\n") == 1
    assert said.err == ""  # no progress bar where nobody looks
    is_in_order(acme)


def test_the_fleet_has_several_types_and_is_seen_in_between(acme: str, tmp_path: Path) -> None:
    manage("replay_trace", str(trace(tmp_path, 40, gap_ms=2_000)), "--tenant", acme, "--agents=5")

    agents = [load(acme, agent_id).agent for agent_id in ("coder-01", "reviewer-01", "coder-02")]
    assert [agent.agent_type for agent in agents] == [
        "code-assistant",
        "code-reviewer",
        "code-assistant",
    ]
    assert CurrentAgent.objects.filter(tenant=acme, status="AVAILABLE").count() == 5
    seen = [each["agent_id"] for each in events(acme, "AgentHealthCheckPassedEvent")]
    assert all(seen.count(agent.agent_id) in (2, 3) for agent in agents)


def test_a_second_run_takes_the_same_agents_and_new_tasks(acme: str, tmp_path: Path) -> None:
    file = str(trace(tmp_path, 10))

    for _ in range(2):
        manage("replay_trace", file, "--tenant", acme, "--agents", "3")

    assert CurrentAgent.objects.filter(tenant=acme).count() == 3
    assert TaskClaim.objects.filter(tenant=acme, status="completed").count() == 20


def test_agents_in_other_hands_are_passed_over(acme: str, tmp_path: Path) -> None:
    make_agent(acme, "coder-01")  # registered: activated and used
    for agent_id in ("reviewer-01", "tester-01", "writer-01"):
        make_agent(acme, agent_id)
        services.activate_agent(tenant=acme, agent_id=agent_id, by=ALICE)
    services.pause_agent(tenant=acme, agent_id="reviewer-01", reason="Mine.", by=ALICE)
    services.terminate_agent(tenant=acme, agent_id="tester-01", reason="Mine.", by=ALICE)
    services.assign_task(tenant=acme, agent_id="writer-01", task_id="mine", by=ALICE)

    manage("replay_trace", str(trace(tmp_path, 6)), "--tenant", acme, "--agents", "2")

    used = {each["agent_id"] for each in events(acme, "AgentTaskCompletedEvent")}
    assert used == {"coder-01", "coder-02"}
    assert load(acme, "writer-01").agent.current_task_id == "mine"
    assert load(acme, "reviewer-01").agent.pause_reason == "Mine."


def test_a_bad_row_is_named_and_nothing_is_recorded(acme: str, tmp_path: Path) -> None:
    file = trace(tmp_path, 10)
    file.write_text(file.read_text(encoding="utf-8") + "\r\nsoon,1,1", encoding="utf-8")

    with pytest.raises(CommandError, match=r"trace\.csv, line 12: TIMESTAMP is 'soon'"):
        manage("replay_trace", str(file), "--tenant", acme)

    assert seq(acme) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--agents=0"], "--agents is 1 to 1,000"),
        (["--agents=1001"], "--agents is 1 to 1,000"),
        (["--agents=many"], "invalid int"),
        (["--speed=0"], "--speed is max or a number"),
        (["--speed=-1"], "--speed is max or a number"),
        (["--speed=nan"], "--speed is max or a number"),
        (["--speed=inf"], "--speed is max or a number"),
        (["--speed=fast"], "--speed is max or a number"),
        (["--via=mail"], "invalid choice"),
        (["--via=http"], "--url and --token"),
        (["--via=http", "--url=http://127.0.0.1:1"], "--url and --token"),
        (["--token=am_x"], "--url and --token"),
        (["--via=http", "--url=ftp://x", "--token=am_x"], "no address of a server"),
        (["--via=http", "--url=http://[::1", "--token=am_x"], "no address of a server"),
        (["--via=http", "--url=http://h:99999", "--token=am_x"], "no address of a server"),
        (["--via=http", "--url=http://h/api", "--token=am_x"], "no address of a server"),
        (["--via=http", "--url=http://127.0.0.1:9", "--token=ä\n"], "The token is none"),
        (["--tenant=nowhere"], "There is no tenant 'nowhere'"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line_and_records_nothing(
    acme: str, tmp_path: Path, options: list[str], words: str
) -> None:
    with pytest.raises(CommandError) as caught:
        manage("replay_trace", str(trace(tmp_path, 3)), f"--tenant={acme}", *options)

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert seq(acme) == 0


def test_a_slow_replay_keeps_the_traces_gaps(acme: str, tmp_path: Path) -> None:
    file = trace(tmp_path, 5, gap_ms=1_000)

    manage("replay_trace", str(file), f"--tenant={acme}", "--agents=2", "--speed=10")

    moments = list(
        Event.objects.filter(tenant=acme, type="AgentTaskAssignedEvent")
        .order_by("seq")
        .values_list("recorded_at", flat=True)
    )
    assert 0.35 < (moments[-1] - moments[0]).total_seconds() < 3


def test_after_a_kill_the_log_is_whole_the_rows_agree_and_a_second_run_works(
    acme: str, tmp_path: Path, subprocess_env: dict[str, str], started: Start
) -> None:
    file = str(trace(tmp_path, 150))
    arguments = ("replay_trace", file, "--tenant", acme, "--agents", "8")
    process = started(subprocess_env, *arguments, "--speed", "2")
    until(lambda: TaskClaim.objects.filter(tenant=acme, status="completed").count() > 20)

    process.kill()
    process.wait(10)

    is_in_order(acme)
    done = shell(subprocess_env, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("150 tasks (1 failed)")
    is_in_order(acme)


def test_ctrl_c_ends_the_open_tasks_and_says_so_in_one_line(
    acme: str, tmp_path: Path, subprocess_env: dict[str, str], started: Start
) -> None:
    file = str(trace(tmp_path, 400))
    process = started(subprocess_env, "replay_trace", file, f"--tenant={acme}", "--speed=1")
    until(lambda: TaskClaim.objects.filter(tenant=acme, status="completed").count() > 3)

    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)

    assert (process.returncode, said) == (130, "Stopped.\n")
    assert not TaskClaim.objects.filter(tenant=acme, status="assigned").exists()
    is_in_order(acme)


@needs_the_real_trace
def test_the_beginning_of_the_real_trace_is_played(acme: str, tmp_path: Path) -> None:
    beginning = tmp_path / "beginning.csv"
    beginning.write_bytes(b"".join(REAL.read_bytes().splitlines(keepends=True)[:101]))

    said = manage("replay_trace", str(beginning), "--tenant", acme, "--agents", "10")

    assert said.out.startswith("100 tasks (1 failed)")
    stamps = [each["input"]["timestamp"] for each in events(acme, "AgentTaskAssignedEvent")]
    assert all(stamp.encode() in beginning.read_bytes() for stamp in stamps)
    is_in_order(acme)
