"""Whether a process can do its work: said by named checks, and without secrets."""

import json
from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from agentmesh_site import health
from events.log import guard

pytestmark = pytest.mark.usefixtures("committed_db")


def checks() -> tuple[int, dict[str, str]]:
    response = Client().get("/health/ready")
    assert "no-store" in response["Cache-Control"]
    return response.status_code, response.json()["checks"]


def test_a_migrated_and_guarded_database_is_ready() -> None:
    assert checks() == (200, {"database": "ok", "migrations": "ok", "log": "ok"})


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
    assert said["database"] == said["log"] == "ok"


def test_a_log_without_its_guard_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "faults", lambda: ["Trigger events_event_immutable is missing."])

    status, said = checks()

    assert status == 503
    assert said["log"] == "Trigger events_event_immutable is missing."


def test_a_database_that_does_not_answer_is_named_and_nothing_of_it_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> str:
        raise OperationalError("connection to db.internal as alice with hunter2 failed")

    monkeypatch.setattr(health, "CHECKS", health.CHECKS | {"database": fail})

    status, said = checks()

    assert status == 503
    assert said["database"] == "The database does not answer as it should."
    assert "hunter2" not in json.dumps(said)
    assert "db.internal" in caplog.text


def test_readiness_is_asked_for_not_posted() -> None:
    assert Client().post("/health/ready").status_code == 405
