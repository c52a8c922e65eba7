"""The examples of the documentation, as a third party would run them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from agents import services
from events import tenants
from events.models import Event, SubscriptionCheckpoint
from tests.jobs.conftest import ALICE, make_agent, manage, shell


@pytest.fixture
def acme(quiet_env: dict[str, str], fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("acme")).slug


@pytest.fixture
def globex(quiet_env: dict[str, str], fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("globex")).slug


@pytest.fixture
def extended(quiet_env: dict[str, str]) -> dict[str, str]:
    """The environment of an installation with the examples' apps, migrated."""
    env = quiet_env | {"DJANGO_SETTINGS_MODULE": "examples.settings"}
    migrated = shell(env, "migrate", "--verbosity", "0", "--skip-checks")
    assert migrated.returncode == 0, migrated.stderr
    return env


def metrics(tenant: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT agent_id, completed, execution_time_ms FROM metrics_agentmetrics "
            "WHERE tenant = %s",
            [tenant],
        )
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def test_monitoring_and_analytics_run_as_apps_of_their_own_and_are_proved_like_ours(
    acme: str, globex: str, extended: dict[str, str]
) -> None:
    assert shell(extended, "worker", "--once").returncode == 0  # meets them: "now" is from here
    for tenant in (acme, globex):
        make_agent(tenant, "a-1")
    services.activate_agent(tenant=acme, agent_id="a-1", by=ALICE)
    for number in range(3):
        task: Any = {"tenant": acme, "agent_id": "a-1", "task_id": f"t-{number}", "by": ALICE}
        services.assign_task(**task)
        services.complete_task(**task, execution_time_ms=200)
    services.record_health_failure(tenant=acme, agent_id="a-1", reason="silent", by=ALICE)

    worked = shell(extended, "worker", "--once")

    assert worked.returncode == 0, worked.stderr
    calls = [line for line in worked.stderr.splitlines() if "examples.pager" in line]
    assert [f"a-1 of {acme} does not answer: silent" in call for call in calls] == [True]
    assert metrics(acme) == [("a-1", 3, 600.0)]
    assert metrics(globex) == []

    # Rows are proved, and made anew.
    with connection.cursor() as cursor:
        cursor.execute("UPDATE metrics_agentmetrics SET completed = 99 WHERE tenant = %s", [acme])

    checked = shell(extended, "rebuild", "metrics", "--tenant", acme, "--check")
    rebuilt = shell(extended, "rebuild", "metrics", "--tenant", acme)

    assert checked.returncode == 1
    assert "99" in checked.stdout
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert metrics(acme) == [("a-1", 3, 600.0)]
    # What is not installed leaves its place, and disturbs nobody.
    make_agent(acme, "a-2")
    assert manage("worker", "--once").out.startswith("Nothing is due any more")
    place = SubscriptionCheckpoint.objects.get(tenant=acme, subscription="metrics").seq
    assert place < Event.objects.filter(tenant=acme).count()
