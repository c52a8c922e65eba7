"""How a process hears of growth: from others at once, by looking when a word was lost."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connection

from events.log.append import append
from events.worker import wakeups
from tests.durable.sample import record
from tests.jobs.conftest import until
from tests.log.crew import run_together
from tests.log.sample import ON_POSTGRESQL, heartbeat, proposed


class Rung(list[str]):
    """The tenants that were rung for."""

    def ring(self, tenants: Iterable[str]) -> None:
        self.extend(tenants)


@contextmanager
def hearing() -> Iterator[Rung]:
    """Another thread listens, and has looked once, while the body runs."""
    rung, stop = Rung(), threading.Event()
    listener = threading.Thread(target=wakeups.hear, args=(rung.ring, stop))
    listener.start()
    try:
        yield rung
    finally:
        stop.set()
        listener.join(10)
    assert not listener.is_alive()


def settle(rung: Rung, tenant: str) -> None:
    """Until it has heard of all that is there, and of this tenant's first event."""
    until(lambda: tenant in rung)
    rung.clear()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by himself."""
    monkeypatch.setattr(wakeups, "POLL_SECONDS", 1.0 if ON_POSTGRESQL else 3_600.0)
    if ON_POSTGRESQL:
        monkeypatch.setattr(wakeups.Heads, "grown", lambda self: [])


def test_who_begins_to_listen_hears_of_all_that_is_there(acme: str) -> None:
    record(acme, "a-1")
    with hearing() as rung:
        until(lambda: acme in rung)


def test_what_another_process_commits_is_heard_at_once(
    acme: str, patient: None, subprocess_env: dict[str, str]
) -> None:
    with hearing() as rung:
        if not ON_POSTGRESQL:
            settle(rung, acme)
        else:
            until(listeners)
        run_together([("grow", {"tenant": acme, "agents": ["a-1"], "events": 1})], subprocess_env)
        until(lambda: acme in rung)


def test_what_nobody_told_of_is_found_by_looking(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(wakeups, "DATA_VERSION_SECONDS", 0.02)
    with hearing() as rung:
        settle(rung, acme)
        append(acme, proposed(heartbeat()))  # on PostgreSQL nobody tells for this process
        until(lambda: acme in rung)


def test_a_database_that_was_away_is_listened_to_again(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "REST_SECONDS", 0.05)
    monkeypatch.setattr(wakeups, "POLL_SECONDS", 0.1)
    grown, answers = wakeups.Heads.grown, iter([True, True, False, False])

    def sometimes(self: wakeups.Heads) -> list[str]:
        if not next(answers, True):
            raise OperationalError("the database is away")
        return grown(self)

    monkeypatch.setattr(wakeups.Heads, "grown", sometimes)
    with hearing() as rung:
        until(lambda: next(answers, None) is None)
        rung.clear()
        record(acme, "a-1")
        until(lambda: acme in rung)


def listeners() -> set[int]:
    """The server's processes that listen for somebody now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"
            " AND datname = current_database()"
        )
        return {pid for (pid,) in cursor.fetchall()}
