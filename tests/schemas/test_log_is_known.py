"""events.E005: the check that asks the logs whether this release knows what they hold."""

import uuid
from collections.abc import Callable
from typing import ClassVar

import pytest
from django.core.checks import CheckMessage, run_checks
from django.db import OperationalError, connection

from events import tenants
from events.facts import DomainEvent
from events.log.append import append
from events.schemas import census
from events.schemas.census import Unknown, unknown_kinds
from tests.log.sample import heartbeats, proposed


@pytest.fixture
def logs(in_scratch_database: None, fresh_slug: Callable[[str], str]) -> tuple[str, str]:
    """Two tenants in a database where strange events harm no other test."""
    acme, globex = (tenants.create_tenant(fresh_slug(name)).slug for name in ("acme", "globex"))
    return acme, globex


@pytest.fixture
def dream() -> type[DomainEvent]:
    """An event of a newer release that no other test has left in the database."""

    class AgentDreamtEvent(DomainEvent, frozen=True):
        version: ClassVar[str] = f"7.{uuid.uuid4().int % 10**10}"

    return AgentDreamtEvent


def found(kind: type[DomainEvent]) -> list[CheckMessage]:
    name = f" {kind.wire_type()} {kind.version},"
    return [each for each in run_checks(databases=["default"]) if name in each.msg]


def counted(kind: type[DomainEvent]) -> list[Unknown]:
    return [each for each in unknown_kinds() if each.kind == (kind.wire_type(), kind.version)]


def test_an_unknown_kind_is_named_wherever_it_lies(
    logs: tuple[str, str], dream: type[DomainEvent]
) -> None:
    acme, globex = logs
    append(globex, proposed(*heartbeats(3)))
    assert found(dream) == []

    append(acme, proposed(dream("a-1"), *heartbeats(3), dream("a-1")))
    append(globex, proposed(dream("a-1"), version=3))

    (error,) = found(dream)
    assert error.msg == (
        f"The log of {acme} holds AgentDreamtEvent {dream.version}, which this release does not"
        " know (3 events in the logs looked at)."
    )
    assert "Run a release that knows it" in str(error.hint)
    assert (error.id, error.is_serious()) == ("events.E005", True)
    assert all(each.id != "events.E005" for each in run_checks())  # no database was asked


def test_an_unknown_version_is_as_unknown_as_a_type(logs: tuple[str, str]) -> None:
    class AgentActivatedEvent(DomainEvent, frozen=True):
        version: ClassVar[str] = "9.0"

    append(logs[0], proposed(AgentActivatedEvent("a-1")))

    assert len(counted(AgentActivatedEvent)) == 1


def test_a_very_large_database_is_asked_for_the_newest_of_the_logs_that_grew_last(
    logs: tuple[str, str], dream: type[DomainEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, globex = logs
    for tenant in (acme, globex):
        append(tenant, proposed(dream("a-1"), dream("a-1"), *heartbeats(9), dream("a-1")))
    assert [each.count for each in counted(dream)] == [6]

    monkeypatch.setattr(census, "FEWEST_OF_A_LOG", 2)
    monkeypatch.setattr(census, "MOST_ROWS", 21)
    monkeypatch.setattr(census, "NEWEST_ROWS", 4)
    assert [(each.count, each.tenant) for each in counted(dream)] == [(2, globex)]
    monkeypatch.setattr(census, "NEWEST_ROWS", 2)
    assert [(each.count, each.tenant) for each in counted(dream)] == [(1, globex)]


def test_a_database_that_does_not_answer_is_another_checks_business(
    monkeypatch: pytest.MonkeyPatch, committed_db: None, dream: type[DomainEvent]
) -> None:
    def fail() -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(census, "unknown_kinds", fail)

    assert found(dream) == []


def test_before_the_first_migrate_there_is_nothing_to_ask(
    monkeypatch: pytest.MonkeyPatch, committed_db: None, dream: type[DomainEvent]
) -> None:
    monkeypatch.setattr(connection.introspection, "table_names", list)
    monkeypatch.setattr(census, "unknown_kinds", lambda: pytest.fail("it was asked"))

    assert found(dream) == []
