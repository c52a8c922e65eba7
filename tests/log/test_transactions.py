"""What happens in the append's transaction, and what after it."""

import logging
from typing import Any

import pytest
from django.db import connection

from events import bus
from events.log.append import append
from events.log.errors import AppendRefused, TenantUnknown, VersionConflict
from events.models import Token
from tests.log.conftest import Listen
from tests.log.sample import (
    ALICE,
    ON_POSTGRESQL,
    fault,
    head,
    heartbeat,
    heartbeats,
    proposed,
    stored,
)

SIZES = [1, 3, 6]  # one statement, one statement with more, the bulk path


class Vetoed(Exception):
    pass


def make_token(tenant: str, name: str = "ci") -> None:
    Token.objects.create(
        tenant_id=tenant, name=name, role="auditor", digest=f"{tenant} {name}".encode()
    )


def token_names(tenant: str) -> list[str]:
    return sorted(Token.objects.filter(tenant=tenant).values_list("name", flat=True))


@pytest.mark.parametrize("size", SIZES)
def test_what_runs_within_is_written_with_the_events(acme: str, size: int) -> None:
    append(acme, proposed(*heartbeats(size)), within=lambda: make_token(acme))

    assert token_names(acme) == ["ci"]
    assert head(acme)[0] == size
    assert fault(acme) is None


@pytest.mark.parametrize("size", SIZES)
def test_a_failure_within_rolls_everything_back(acme: str, size: int) -> None:
    def write_and_fail() -> None:
        make_token(acme)
        raise Vetoed

    with pytest.raises(Vetoed):
        append(acme, proposed(*heartbeats(size)), within=write_and_fail)

    assert (token_names(acme), stored(acme), head(acme)[0]) == ([], [], 0)


@pytest.mark.parametrize("size", SIZES)
def test_a_lost_race_takes_back_what_ran_within(acme: str, size: int) -> None:
    append(acme, proposed(heartbeat()))

    with pytest.raises(VersionConflict):
        append(acme, proposed(*heartbeats(size)), within=lambda: make_token(acme))

    assert (token_names(acme), head(acme)[0]) == ([], 1)


def test_an_unknown_tenant_takes_back_what_ran_within(acme: str) -> None:
    with pytest.raises(TenantUnknown):
        append("no-such-tenant", proposed(heartbeat()), within=lambda: make_token(acme))

    assert token_names(acme) == []


@pytest.mark.parametrize("size", SIZES)
def test_a_receiver_in_the_transaction_can_veto_and_its_own_rows_go_too(
    acme: str, listen: Listen, size: int
) -> None:
    def write_and_veto(tenant: str, **_: Any) -> None:
        make_token(tenant)
        raise Vetoed

    listen(bus.events_appended, write_and_veto)

    with pytest.raises(Vetoed):
        append(acme, proposed(*heartbeats(size)))

    assert (token_names(acme), stored(acme), head(acme)[0]) == ([], [], 0)


@pytest.mark.parametrize("size", SIZES)
def test_a_receiver_in_the_transaction_may_write_first(
    acme: str, listen: Listen, size: int
) -> None:
    def write(tenant: str, **_: Any) -> None:
        make_token(tenant)

    listen(bus.events_appended, write)

    append(acme, proposed(*heartbeats(size)))

    assert token_names(acme) == ["ci"]
    assert fault(acme) is None


def test_a_receiver_is_told_who_does_what_where_and_facts_have_no_seq_yet(
    acme: str, listen: Listen
) -> None:
    told: list[dict[str, Any]] = []
    listen(bus.events_appended, lambda **given: told.append(given))

    append(acme, proposed(heartbeat()), proposed(*heartbeats(2, "a-2"), agent_id="a-2"))

    assert [each["tenant"] for each in told] == [acme, acme]
    assert [each["facts"] for each in told] == [(heartbeat(),), (heartbeat("a-2"),) * 2]
    assert all(fact.envelope is None for each in told for fact in each["facts"])
    assert all(each["context"] == ALICE for each in told)


def test_a_veto_of_one_proposal_refuses_the_whole_append(acme: str, listen: Listen) -> None:
    def refuse_the_second(facts: tuple[Any, ...], **_: Any) -> None:
        if facts[0].agent_id == "a-2":
            raise Vetoed

    listen(bus.events_appended, refuse_the_second)

    with pytest.raises(Vetoed):
        append(acme, *[proposed(heartbeat(f"a-{n}"), agent_id=f"a-{n}") for n in (1, 2, 3)])

    assert stored(acme) == []


def test_a_receiver_that_names_the_bus_as_sender_is_heard_too(acme: str) -> None:
    def veto(**_: Any) -> None:
        raise Vetoed

    bus.events_appended.connect(veto, sender=bus.EventBus)
    try:
        with pytest.raises(Vetoed):
            append(acme, proposed(heartbeat()))
    finally:
        bus.events_appended.disconnect(veto, sender=bus.EventBus)

    assert stored(acme) == []


def test_what_runs_within_runs_before_the_receivers(acme: str, listen: Listen) -> None:
    order: list[str] = []
    listen(bus.events_appended, lambda **_: order.append("receiver"))

    append(acme, proposed(heartbeat()), within=lambda: order.append("within"))

    assert order == ["within", "receiver"]


def test_a_receiver_after_commit_finds_the_events_in_the_log(acme: str, listen: Listen) -> None:
    found: list[tuple[Any, ...]] = []

    def look(tenant: str, events: tuple[Any, ...], **_: Any) -> None:
        assert not connection.in_atomic_block
        found.append((len(stored(tenant)), [event.envelope.seq for event in events]))

    listen(bus.events_committed, look)

    append(acme, proposed(heartbeat()))
    append(acme, proposed(*heartbeats(5), version=1))

    assert found == [(1, [1]), (6, [2, 3, 4, 5, 6])]


def test_a_failing_receiver_after_commit_harms_nobody(
    acme: str, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[int] = []

    def fail(**_: Any) -> None:
        raise Vetoed("too late")

    listen(bus.events_committed, fail)
    listen(bus.events_committed, lambda events, **_: heard.append(len(events)))

    with caplog.at_level(logging.ERROR):
        appended = append(acme, proposed(heartbeat()))

    assert (appended.seq, heard, head(acme)[0]) == (1, [1], 1)
    assert "too late" in caplog.text


def test_after_a_refusal_nobody_is_told_of_a_commit(acme: str, listen: Listen) -> None:
    heard: list[int] = []
    append(acme, proposed(heartbeat()))
    listen(bus.events_committed, lambda events, **_: heard.append(len(events)))

    with pytest.raises(VersionConflict):
        append(acme, proposed(heartbeat()))

    assert heard == []


# What a foreign trigger swallows must not be missing from the log in silence.
def test_rollbacks_on_the_way_leave_the_connection_fit_for_more(acme: str) -> None:
    # psycopg deallocates every prepared statement of a connection after a ROLLBACK.
    def fail() -> None:
        Token.objects.filter(tenant=acme).exists()
        raise Vetoed

    for version in range(12):
        with pytest.raises(Vetoed):
            append(acme, proposed(heartbeat(), version=version), within=fail)
        within = (lambda: make_token(acme, str(head(acme)[0]))) if version % 2 else None
        append(acme, proposed(heartbeat(), version=version), within=within)

    assert head(acme)[0] == 12
    assert fault(acme) is None


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("table", ["events_event", "events_tenanthead"])
@pytest.mark.parametrize("within", [None, lambda: None], ids=["alone", "in a transaction"])
def test_when_a_trigger_swallows_a_row_nothing_is_kept(
    acme_in_scratch: str, table: str, size: int, within: Any
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_swallow_first(table))
    try:
        with pytest.raises(AppendRefused):
            append(acme_in_scratch, proposed(*heartbeats(size)), within=within)
    finally:
        with connection.cursor() as cursor:
            on = f" ON {table}" if ON_POSTGRESQL else ""
            cursor.execute(f"DROP TRIGGER test_swallow{on}")

    assert stored(acme_in_scratch) == []
    assert fault(acme_in_scratch) is None


def _swallow_first(table: str) -> str:
    """A trigger that swallows a stream's first event, or every move of a head."""
    first = "NEW.version = 1" if table == "events_event" else "NEW.seq > 0"
    verb = "INSERT" if table == "events_event" else "UPDATE"
    if ON_POSTGRESQL:
        return (
            "CREATE OR REPLACE FUNCTION test_swallow() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RETURN NULL; END $$; "
            f"CREATE TRIGGER test_swallow BEFORE {verb} ON {table} FOR EACH ROW "
            f"WHEN ({first}) EXECUTE FUNCTION test_swallow()"
        )
    return (
        f"CREATE TRIGGER test_swallow BEFORE {verb} ON {table} WHEN {first} "
        "BEGIN SELECT RAISE(IGNORE); END"
    )
