import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from agents import services
from events import tenants
from events.log import guard
from events.log.proposal import Context
from events.vocabulary import Capability, Usage
from tests.conftest import process_environment
from tests.databases import current_database_url
from tests.pristine import Pristine
from tests.scratch import connected_to

ROOT = Path(__file__).resolve().parents[2]
ALICE = Context(actor="user:alice", reason="because", correlation_id="c-1")


class Said(NamedTuple):
    out: str
    err: str


def manage(*arguments: str) -> Said:
    """Run a management command here. Raises CommandError, as the commands do."""
    out, err = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return Said(out.getvalue(), err.getvalue())


def shell(
    env: dict[str, str], *arguments: str, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run a management command as a person does."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for the condition; fail when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def acme(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("acme")).slug


@pytest.fixture
def globex(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("globex")).slug


def make_agent(tenant: str, agent_id: str) -> None:
    services.create_agent(
        tenant=tenant,
        agent_id=agent_id,
        name="An agent",
        capabilities=[Capability("python", 3)],
        tags=["blue"],
        by=ALICE,
    )


def live_a_little(tenant: str) -> None:
    """Some agents with tasks that are open, completed, failed, tried again; 3 streams and more."""
    for agent_id in ("one", "two", "idle"):
        make_agent(tenant, agent_id)
    tenants.issue_token(tenant, "ci", "operator", by=ALICE)
    for agent_id in ("one", "two"):
        at: dict[str, str] = {"tenant": tenant, "agent_id": agent_id}
        services.activate_agent(**at, by=ALICE)  # type: ignore[arg-type]
        services.record_heartbeat(
            tenant=tenant,
            agent_id=agent_id,
            success_rate=1.0,
            response_time_ms=12,
            cpu_usage_percent=3.5,
            memory_usage_percent=40,
            by=ALICE,
        )
    services.assign_task(tenant=tenant, agent_id="one", task_id="t-1", input={"x": 1}, by=ALICE)
    services.fail_task(tenant=tenant, agent_id="one", task_id="t-1", error_message="No.", by=ALICE)
    services.assign_task(tenant=tenant, agent_id="two", task_id="t-1", by=ALICE)
    services.assign_task(tenant=tenant, agent_id="one", task_id="t-2", by=ALICE)
    services.pause_agent(tenant=tenant, agent_id="two", reason="Drains.", by=ALICE)
    services.complete_task(
        tenant=tenant,
        agent_id="two",
        task_id="t-1",
        execution_time_ms=7.5,
        result={"ü": "¡"},
        usage=Usage(3, 4),
        by=ALICE,
    )
    services.record_health_failure(tenant=tenant, agent_id="one", reason="Gone.", by=ALICE)
    services.terminate_agent(tenant=tenant, agent_id="one", reason="Lost.", force=True, by=ALICE)


@contextmanager
def tampering() -> Iterator[CursorWrapper]:
    """Somebody who owns the database changes the log; all of it is rolled back at the end."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                for table in ("event", "tenanthead", "tenant"):
                    cursor.execute(f"ALTER TABLE events_{table} DISABLE TRIGGER USER")
            else:
                for name in guard._SQLITE:
                    cursor.execute(f"DROP TRIGGER {name}")
            yield cursor
        transaction.set_rollback(True)


@pytest.fixture
def own_database(
    committed_db: None, django_db_setup: Pristine, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """Everything in this test happens in a database of its own; the environment of processes."""
    is_server = connection.vendor == "postgresql"
    name = f"own_{uuid.uuid4().hex}" if is_server else str(tmp_path / "own.sqlite3")
    django_db_setup.copy_to(name)
    with connected_to(name):
        yield process_environment(current_database_url())
    if is_server:
        django_db_setup.administer(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def started() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start management commands that go on; whatever still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def start(env: dict[str, str], *arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=10)
