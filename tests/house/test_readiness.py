"""Whether a process can do its work: said by named checks, and without secrets."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client, override_settings
from django.utils import timezone

from agentmesh_site import health
from events.log import guard
from events.models import Duty
from events.worker import heartbeat

pytestmark = pytest.mark.usefixtures("committed_db", "nothing_remembered", "seen_worker")


@pytest.fixture
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {
        "migrations": health._good_for_a_while(health._migrations),
        "triggers": health._good_for_a_while(health._triggers),
    }
    monkeypatch.setattr(health, "CHECKS", health.CHECKS | asked)


@pytest.fixture
def seen_worker(committed_db: None) -> Iterator[None]:
    """A worker that ran a sweep just now."""
    now = timezone.now()
    Duty.objects.update_or_create(
        name="test-heartbeat",
        defaults={"ran_at": now},
        create_defaults={"ran_at": now, "next_at": now},
    )
    yield
    Duty.objects.filter(name="test-heartbeat").delete()


@pytest.fixture
def lost_worker(seen_worker: None) -> None:
    """None that was seen within a minute, by a process that has run for longer."""
    Duty.objects.update(ran_at=timezone.now() - timedelta(minutes=1))


def answer() -> tuple[int, dict[str, Any]]:
    response = Client().get("/health/ready")
    assert "no-store" in response["Cache-Control"]
    return response.status_code, response.json()


def checks() -> tuple[int, dict[str, str]]:
    status, said = answer()
    return status, said["checks"]


def test_a_migrated_and_guarded_database_with_a_worker_is_ready() -> None:
    well = dict.fromkeys(("database", "migrations", "triggers", "worker"), "ok")

    assert answer() == (200, {"status": "ok", "checks": well})


@pytest.mark.usefixtures("lost_worker")
def test_a_worker_that_is_missed_is_told_and_keeps_nobody_from_serving() -> None:
    status, said = answer()

    assert (status, said["status"]) == (200, "degraded")
    assert said["checks"]["worker"].startswith("No worker was seen for 6")


@override_settings(EXPECT_WORKER=True)
@pytest.mark.usefixtures("lost_worker")
def test_where_a_worker_is_expected_its_absence_is_not_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "_started", health._started - heartbeat.MISSED_SECONDS)

    status, said = answer()

    assert (status, said["status"]) == (503, "unavailable")


@override_settings(EXPECT_WORKER=True)
@pytest.mark.usefixtures("lost_worker")
def test_a_worker_that_was_just_started_is_given_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "_started", time.monotonic())

    assert answer()[0] == 200


def test_what_only_a_person_changes_is_not_asked_for_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert checks()[0] == 200
    monkeypatch.setattr(guard, "faults", lambda: pytest.fail("asked again"))

    assert checks()[0] == 200


@pytest.fixture
def without_the_newest_migration(committed_db: None) -> Iterator[None]:
    recorder = MigrationRecorder(connection)
    newest = recorder.migration_qs.filter(app="events").latest("id").name
    recorder.record_unapplied("events", newest)
    yield
    recorder.record_applied("events", newest)


@pytest.mark.usefixtures("without_the_newest_migration")
def test_a_missing_migration_is_not_ready() -> None:
    status, said = checks()

    assert status == 503
    assert "not applied" in said["migrations"]
    assert said["database"] == said["triggers"] == "ok"


def test_a_log_without_its_guard_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "faults", lambda: ["Trigger events_event_immutable is missing."])

    status, said = checks()

    assert status == 503
    assert said["triggers"] == "Trigger events_event_immutable is missing."


def test_a_database_that_does_not_answer_is_named_and_nothing_of_it_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> str:
        raise OperationalError("connection to db.internal as alice with hunter2 failed")

    monkeypatch.setattr(health, "CHECKS", health.CHECKS | {"database": fail})

    status, said = checks()

    assert status == 503
    assert said["database"] == "The database does not answer as it should."
    assert said["triggers"] == health.UNKNOWN  # nobody waits four times for the same
    assert "hunter2" not in json.dumps(said)
    assert "db.internal" in caplog.text


@pytest.mark.parametrize("path", ["/health/ready", "/health/live"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_health_is_asked_for_and_a_refusal_is_a_problem(path: str, method: str) -> None:
    response = Client(enforce_csrf_checks=True).generic(method, path)

    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD"
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/health/ready", "/health/live"])
def test_health_answers_head_and_whatever_host_a_probe_names(path: str) -> None:
    head = Client().head(path, headers={"host": "10.1.2.3:8000"})

    assert (head.status_code, head.content) == (200, b"")
    assert Client().get("/admin/login/", headers={"host": "10.1.2.3:8000"}).status_code == 400
