"""What PostgreSQL does of itself: it ends connections and transactions, and refuses values."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from events import tenants
from events.bus import EventBus
from events.durable import held as held_streams
from events.durable.catching_up import catch_up
from events.worker import connections, wakeups
from tests.durable.sample import Ledger, checkpoint, held, record, retry_at_once
from tests.durable.tables import count, counted, tallied, tallies
from tests.durable.test_wakeups import hearing, listeners
from tests.jobs.conftest import until
from tests.log.crew import started


def test_a_value_too_long_for_its_column_holds_its_own_stream_and_is_not_cut(
    acme: str, tables: None, bus: EventBus, name: str
) -> None:
    long = "a-" + "x" * 20
    subscription = bus.project("Agent*", tallies(name))
    record(acme, "a-1", long, "a-3", each=2)

    catch_up(subscription, acme)

    assert tallied(acme) == {"a-1": (2, 2), "a-3": (2, 6)}
    assert held(acme, name)[long].last_error.startswith("DataError")
    assert checkpoint(acme, name).seq == 6


@pytest.mark.parametrize("kind", ["reaction", "projection"])
def test_a_connection_that_ends_in_the_middle_loses_and_doubles_nothing(
    acme: str, tables: None, bus: EventBus, ledger: Ledger, name: str, kind: str
) -> None:
    ends = [2]

    def handle(event: Any) -> None:
        if kind == "projection":
            count(event)
        if event.envelope.seq in ends:
            ends.clear()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        ledger.handle(event)

    subscription = (
        bus.project("Agent*", handle, name=name)
        if kind == "projection"
        else bus.subscribe("Agent*", handle, name=name, start="beginning")
    )
    record(acme, "a-1", "a-2", each=2)

    catch_up(subscription, acme)
    retry_at_once(subscription, acme)

    if kind == "projection":
        assert counted(acme) == {"a-1": (2, 3), "a-2": (2, 7)}
    else:
        assert ledger.by_stream == {"a-1": [1, 2], "a-2": [3, 4]}
    assert checkpoint(acme, name).seq == 4
    assert held_streams.streams(name, acme) == set()


def test_a_connection_that_was_ended_is_listened_to_anew(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "REST_SECONDS", 0.05)
    with hearing() as rung, connection.cursor() as cursor:
        until(listeners)
        (before,) = listeners()
        cursor.execute("SELECT pg_terminate_backend(%s)", [before])
        until(lambda: listeners() - {before})
        monkeypatch.setattr(wakeups.Heads, "grown", lambda self: [])
        rung.clear()
        cursor.execute("SELECT pg_notify(%s, %s)", [wakeups.CHANNEL, acme])
        until(lambda: acme in rung)


def test_a_workers_connections_have_room_and_an_end_to_what_stands_still(
    monkeypatch: pytest.MonkeyPatch, bus: EventBus
) -> None:
    options = {**connection.settings_dict["OPTIONS"], "pool": {"min_size": 1, "max_size": 2}}
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    for number in range(9):
        bus.subscribe("Agent*", print, name=f"tests {number}")

    connections.prepare(bus, 2.5)

    assert options["pool"]["max_size"] >= 9 + connections.SPARE
    assert options["options"].endswith(" -c idle_in_transaction_session_timeout=2500")
    assert "synchronous_commit=on" in options["options"]


def test_a_worker_that_is_paused_in_a_transaction_keeps_nobody_waiting(
    scratch_env: dict[str, str], fresh_slug: Callable[[str], str], tmp_path: Path
) -> None:
    tenant = tenants.create_tenant(fresh_slug("acme")).slug
    once = tmp_path / "once"
    job = ("work", {"lease_seconds": 0.5, "pauses_at": 3, "once": str(once)})
    with started([job], scratch_env) as (paused,):
        record(tenant, "a-1", "a-2", each=2)
        until(once.exists)
        time.sleep(0.1)  # between its mark and its stop
        with started([job], scratch_env):
            until(lambda: counted(tenant) == {"a-1": (2, 3), "a-2": (2, 7)}, seconds=10)
            os.kill(paused.pid, signal.SIGCONT)
            record(tenant, "a-1")
            until(lambda: counted(tenant) == {"a-1": (3, 8), "a-2": (2, 7)}, seconds=10)
            time.sleep(0.3)
    assert counted(tenant) == {"a-1": (3, 8), "a-2": (2, 7)}
