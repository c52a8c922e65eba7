"""Rows that are folded from a real log say what the agents' own rows and the claims say."""

import random
from types import ModuleType
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import current, services
from agents.models import CurrentAgent, TaskClaim
from agents.tasks import find as find_task
from events.bus import event_bus
from events.durable import rebuilding, rows
from events.durable.catching_up import catch_up
from events.vocabulary import Usage
from projections.fleet import readmodel as fleet
from projections.fleet.rows import FleetAgent
from projections.tasks import queries
from projections.tasks import readmodel as tasks
from projections.tasks.rows import Task
from tests.projections.folding import fold, keep, read_back, whole_log
from tests.projections.test_fleet import assert_is
from tests.services import past
from tests.services.conftest import ALICE, create


@pytest.fixture
def history(acme: str) -> str:
    """Acme after a random life, in which two agents took two tasks from each other besides."""
    past.live(acme, random.Random(7))
    for agent_id in ("s-1", "s-2"):
        create(acme, agent_id)
    for number in range(8):
        to: dict[str, Any] = {"tenant": acme, "agent_id": f"s-{number % 2 + 1}", "by": ALICE}
        task_id = f"shared-{number // 2 % 2}"
        services.assign_task(**to, task_id=task_id)
        if number < 7:
            message, code = f"no {number}", "E" if number == 6 else None
            services.fail_task(**to, task_id=task_id, error_message=message, error_code=code)
        else:
            usage = Usage(2**63 - 1, 0)
            services.complete_task(**to, task_id=task_id, execution_time_ms=1.0, usage=usage)
    return acme


def test_the_fleet_is_what_the_agents_current_rows_say(history: str) -> None:
    rows = fold(fleet.fleet, fleet.TYPES, whole_log(history)).table(FleetAgent)

    there = CurrentAgent.objects.filter(tenant=history)
    assert set(rows) == {row.agent_id for row in there}
    for row in there:
        assert_is(rows[row.agent_id], current.load(history, row.agent_id).agent)
        assert (rows[row.agent_id].version, rows[row.agent_id].seq) == (row.version, row.seq)


def test_the_tasks_are_what_the_claims_and_the_agents_streams_say(history: str) -> None:
    folded = fold(tasks.tasks, tasks.TYPES, whole_log(history))
    keep(folded, history)

    claims = TaskClaim.objects.filter(tenant=history)
    assert set(folded.table(Task)) == {claim.task_id for claim in claims}
    most_attempts = 0
    for claim in claims:
        row = queries.find(history, claim.task_id)
        told = find_task(history, claim.task_id)
        assert row is not None
        assert row.assigned_in == queries.Place(claim.agent_id, claim.assigned_version)
        for name in SHARED:
            assert getattr(row, name) == getattr(told, name), name
        assert [essence(each) for each in row.attempts] == [essence(each) for each in told.attempts]
        most_attempts = max(most_attempts, len(row.attempts))
    assert most_attempts > 3


SHARED = (
    "agent_id",
    "status",
    "assigned_at",
    "ended_at",
    "execution_time_ms",
    "usage",
    "error_code",
    "error_message",
)


def essence(attempt: Any) -> tuple[Any, ...]:
    return tuple(getattr(attempt, name) for name in SHARED if name != "usage")


@pytest.mark.parametrize("kept", [tasks, fleet], ids=["tasks", "fleet"])
def test_rows_come_back_from_their_tables_as_they_were_folded(
    history: str, kept: ModuleType
) -> None:
    read_model = getattr(kept, kept.NAME)
    log = whole_log(history)
    half = fold(read_model, kept.TYPES, log[: len(log) // 2])

    keep(half, history)
    resumed = fold(
        read_model, kept.TYPES, log[len(log) // 2 :], onto=read_back(read_model, history)
    )

    assert read_back(read_model, history).rows == half.rows
    assert resumed.rows == fold(read_model, kept.TYPES, log).rows


@pytest.mark.parametrize("kept", [tasks, fleet], ids=["tasks", "fleet"])
def test_live_rows_equal_rebuilt_rows(history: str, kept: ModuleType) -> None:
    subscription = event_bus.subscriptions[kept.NAME]
    read_model = getattr(kept, kept.NAME)
    catch_up(subscription, history)
    live = read_back(read_model, history).rows

    _, differences = rebuilding.check(subscription, history)
    rebuilding.rebuild(subscription, history)

    assert differences == []
    assert live == fold(read_model, kept.TYPES, whole_log(history)).rows
    assert read_back(read_model, history, generation=2).rows == live


@pytest.mark.parametrize("kept", [tasks, fleet], ids=["tasks", "fleet"])
def test_a_rebuild_asks_only_for_rows_that_it_has_written_and_forgotten(
    history: str, kept: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription = event_bus.subscriptions[kept.NAME]
    read_model = getattr(kept, kept.NAME)
    monkeypatch.setattr(rebuilding, "PAGE", 20)
    with CaptureQueriesContext(connection) as remembering:
        rebuilding.rebuild(subscription, history)
    monkeypatch.setattr(rows, "KEPT", 0)
    with CaptureQueriesContext(connection) as forgetting:
        rebuilding.rebuild(subscription, history)

    assert asked_for_rows(remembering) == 0
    assert asked_for_rows(forgetting) > 0
    first, second = (read_back(read_model, history, n).rows for n in (2, 3))
    assert first == {}
    assert second == fold(read_model, kept.TYPES, whole_log(history)).rows


def asked_for_rows(captured: CaptureQueriesContext) -> int:
    return len([each for each in captured.captured_queries if '_id" IN (' in each["sql"]])
