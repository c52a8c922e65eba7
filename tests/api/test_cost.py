"""What a request costs in statements: nobody adds one without noticing."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from events.bus import event_bus
from events.durable.catching_up import catch_up
from events.log import prepared
from tests.api.conftest import HEARTBEAT, Caller
from tests.api.things import park

NOT_COUNTED = ("BEGIN", "COMMIT", "PRAGMA", "--")


@contextmanager
def statements() -> Iterator[list[str]]:
    """What the database is given, also what goes past Django's cursors."""
    connection.ensure_connection()
    seen: list[str] = []

    def see(sql: str) -> None:
        if not sql.startswith(NOT_COUNTED):  # triggers' statements are comments to SQLite's driver
            seen.append(" ".join(sql.split()))

    if connection.vendor == "sqlite":
        connection.connection.set_trace_callback(see)
        yield seen
        connection.connection.set_trace_callback(None)
        return

    def by_django(execute: Any, sql: str, *others: Any) -> Any:
        see(sql)
        return execute(sql, *others)

    prepared_execute = prepared.execute

    def past_django(database: Any, sql: str, values: Any) -> Any:
        see(sql)
        return prepared_execute(database, sql, values)

    with pytest.MonkeyPatch.context() as patched, connection.execute_wrapper(by_django):
        patched.setattr(prepared, "execute", past_django)
        yield seen


@pytest.fixture(autouse=True)
def one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    # A request would begin and end by closing the connection that is traced.
    monkeypatch.setattr("django.test.client.request_started.send", lambda **_: [])
    monkeypatch.setattr("django.db.connection.close_if_unusable_or_obsolete", lambda: None)


def tables(seen: list[str]) -> list[str]:
    """The table of each SELECT before the append, whose own reads begin with SQLite's head."""
    found = []
    for sql in seen:
        if not sql.startswith("SELECT"):
            continue
        name = re.sub(r"\(SELECT .*?\) AS", "", sql).partition(" FROM ")[2].split()[0].strip('"')
        if name == "events_tenanthead" and "prior_hash" not in sql and "hash, recorded_at" in sql:
            break
        found.append(name)
    return found


def test_a_heartbeat_reads_its_token_and_its_agent(bob: Caller) -> None:
    agent = bob.available()
    with statements() as seen:
        bob.made(bob.post(f"/agents/{agent}/heartbeat", HEARTBEAT))
    assert tables(seen) == ["events_token", "agents_currentagent"]


def test_a_key_costs_one_look(bob: Caller) -> None:
    agent = bob.available()
    with statements() as seen:
        bob.made(bob.post(f"/agents/{agent}/heartbeat", HEARTBEAT, Idempotency_Key="k"))
    assert tables(seen) == ["events_token", "events_idempotencykey", "agents_currentagent"]


def test_a_completion_reads_the_claim_and_its_input_at_once(bob: Caller) -> None:
    agent = bob.busy("t-1")
    with statements() as seen:
        bob.made(bob.post(f"/agents/{agent}/tasks/t-1/complete", {"execution_time_ms": 1}))
    assert tables(seen) == ["events_token", "agents_currentagent", "agents_taskclaim"]


@pytest.mark.parametrize("count", [1, 5])
def test_a_list_costs_the_same_however_long(bob: Caller, count: int) -> None:
    for _ in range(count):
        bob.create()
    with statements() as seen:
        bob.made(bob.get("/agents"))
    assert tables(seen) == ["events_token", "events_tenanthead", "agents_currentagent"]


@pytest.mark.parametrize("count", [1, 5])
def test_a_page_of_events_costs_the_same_however_long(bob: Caller, count: int) -> None:
    for _ in range(count):
        bob.create()
    with statements() as seen:
        bob.made(bob.get("/events"))
    assert tables(seen) == ["events_token", "events_tenanthead", "events_event"]


def test_an_agent_is_one_row(bob: Caller) -> None:
    agent = bob.create()
    with statements() as seen:
        bob.made(bob.get(f"/agents/{agent}"))
    assert tables(seen) == ["events_token", "events_tenanthead", "agents_currentagent"]


def test_an_agent_of_the_past_costs_the_same_however_long_its_history(bob: Caller) -> None:
    agent = bob.available()
    costs = []
    for _ in range(2):
        for _ in range(20):
            bob.made(bob.post(f"/agents/{agent}/heartbeat", HEARTBEAT))
        with statements() as seen:
            bob.made(bob.get(f"/agents/{agent}?version=18"))
        costs.append(tables(seen))
    assert costs[0] == costs[1]
    # Its seq, its row, the key of the nearest state and that state; then the events after it.
    assert costs[0][:-1] == [
        *("events_token", "events_tenanthead", "events_event", "agents_currentagent"),
        *("events_event", "agents_agentstate"),
    ]


@pytest.mark.parametrize("count", [1, 5])
def test_a_page_of_tasks_and_their_payloads_costs_the_same_however_long(
    bob: Caller, count: int
) -> None:
    for number in range(count):
        bob.busy(f"t-{number}")
    catch_up(event_bus.subscriptions["tasks"], bob.tenant)
    with statements() as seen:
        assert len(bob.made(bob.get("/tasks"))["items"]) == count
    assert tables(seen) == [
        *("events_token", "events_tenanthead", "events_subscriptioncheckpoint"),
        *("projections_taskrow", "events_event"),
    ]


@pytest.mark.parametrize("count", [1, 5])
def test_subscriptions_cost_the_same_however_many_streams_are_parked(
    bob: Caller, count: int
) -> None:
    park(bob.tenant, *(f"a-{number}" for number in range(count)))
    with statements() as seen:
        bob.made(bob.get("/subscriptions"))
    assert tables(seen) == [
        *("events_token", "events_tenanthead", "events_tenanthead"),
        *("events_heldstream", "events_subscriptioncheckpoint", "events_event"),
    ]
