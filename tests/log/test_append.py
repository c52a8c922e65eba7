"""What every append promises: order, time, one winner, one fate."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.db import connection, transaction

from events.log.append import append
from events.log.errors import NotTheOutermostTransaction, TenantUnknown, VersionConflict
from events.log.proposal import Context, Proposal
from tests.log.sample import (
    ALICE,
    assigned,
    fault,
    head,
    heartbeat,
    heartbeats,
    proposed,
    stored,
    tenant_from_the_future,
)

# Every way through the engines: one statement of 1 to 4 events, and the bulk path beyond.
SIZES = [1, 2, 4, 5, 40]


def test_an_empty_log_begins_at_seq_1(acme: str) -> None:
    appended = append(acme, proposed(heartbeat()))

    assert (appended.first_seq, appended.seq) == (1, 1)
    assert [row["seq"] for row in stored(acme)] == [1]


@pytest.mark.parametrize("size", SIZES)
def test_seq_is_dense_and_versions_count_on(acme: str, size: int) -> None:
    append(acme, proposed(*heartbeats(size)))
    append(acme, proposed(*heartbeats(size), version=size))
    append(acme, proposed(heartbeat("a-2"), agent_id="a-2"))

    rows = stored(acme)
    assert [row["seq"] for row in rows] == list(range(1, 2 * size + 2))
    assert [row["version"] for row in rows] == [*range(1, 2 * size + 1), 1]


def test_many_proposals_are_recorded_in_their_order(acme: str) -> None:
    batch = [proposed(*heartbeats(3, f"a-{n}"), agent_id=f"a-{n}") for n in range(7)]

    appended = append(acme, *batch)

    assert (appended.first_seq, appended.seq) == (1, 21)
    assert [row["stream_id"] for row in stored(acme)] == [f"a-{n // 3}" for n in range(21)]


def test_two_proposals_of_one_append_may_be_for_one_stream(acme: str) -> None:
    append(acme, proposed(heartbeat()), proposed(heartbeat(), heartbeat(), version=1))

    assert [row["version"] for row in stored(acme)] == [1, 2, 3]


def test_tenants_count_each_for_themselves(acme: str, globex: str) -> None:
    for _ in range(2):
        append(acme, proposed(heartbeat(), version=head(acme)[0]))
    append(globex, proposed(heartbeat()))

    assert (head(acme)[0], head(globex)[0]) == (2, 1)
    assert fault(acme) is None
    assert fault(globex) is None


@pytest.mark.parametrize("size", SIZES)
def test_all_events_of_an_append_have_one_recorded_at_of_now(acme: str, size: int) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)  # the two clocks need not tick as one

    appended = append(acme, proposed(*heartbeats(size)))

    assert {row["recorded_at"] for row in stored(acme)} == {appended.recorded_at}
    assert before < appended.recorded_at < datetime.now(UTC) + timedelta(seconds=1)


def test_recorded_at_never_decreases(acme: str) -> None:
    for size in (1, 5, 2, 40, 1):
        append(acme, proposed(*heartbeats(size), version=head(acme)[0]))

    moments = [row["recorded_at"] for row in stored(acme)]
    assert all(earlier <= later for earlier, later in pairwise(moments))
    assert fault(acme) is None


@pytest.mark.parametrize("size", SIZES)
def test_recorded_at_stands_still_while_the_clock_is_behind_the_head(
    committed_db: None,
    fresh_slug: Callable[[str], str],
    size: int,
) -> None:
    slug = fresh_slug("acme")
    future = tenant_from_the_future(slug, by=timedelta(hours=1))

    append(slug, proposed(*heartbeats(size)))
    append(slug, proposed(heartbeat(), version=size))

    assert {row["recorded_at"] for row in stored(slug)} == {future}
    assert fault(slug) is None


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("expected", [0, 1, 2])
def test_a_version_that_is_taken_is_a_conflict_and_nothing_is_written(
    acme: str, size: int, expected: int
) -> None:
    append(acme, proposed(*heartbeats(3)))
    before = stored(acme), head(acme)

    with pytest.raises(VersionConflict) as conflict:
        append(acme, proposed(*heartbeats(size), version=expected))

    assert (conflict.value.stream_id, conflict.value.expected_version) == ("a-1", expected)
    assert (stored(acme), head(acme)) == before


@pytest.mark.parametrize("size", SIZES)
def test_a_version_that_does_not_exist_yet_is_a_conflict_and_leaves_no_hole(
    acme: str, size: int
) -> None:
    append(acme, proposed(*heartbeats(3)))
    before = stored(acme), head(acme)

    with pytest.raises(VersionConflict) as conflict:
        append(acme, proposed(*heartbeats(size), version=7))

    assert (conflict.value.stream_id, conflict.value.expected_version) == ("a-1", 7)
    assert (stored(acme), head(acme)) == before


@pytest.mark.parametrize("stale", [0, 9])
def test_a_conflict_among_many_proposals_names_the_stream_that_moved_on(
    acme: str, stale: int
) -> None:
    append(acme, proposed(*heartbeats(2, "a-3"), agent_id="a-3"))
    batch = [
        proposed(heartbeat(f"a-{n}"), agent_id=f"a-{n}", version=stale if n == 3 else 0)
        for n in range(1, 6)
    ]

    with pytest.raises(VersionConflict) as conflict:
        append(acme, *batch)

    assert (conflict.value.stream_id, conflict.value.expected_version) == ("a-3", stale)
    assert head(acme)[0] == 2
    assert len(stored(acme)) == 2


def test_a_stream_of_another_type_or_tenant_is_another_stream(acme: str, globex: str) -> None:
    append(acme, proposed(heartbeat()))
    append(acme, Proposal("tenant", "a-1", 0, [heartbeat()], ALICE))
    append(globex, proposed(heartbeat()))

    assert [row["version"] for row in stored(acme)] == [1, 1]
    assert [row["version"] for row in stored(globex)] == [1]


@pytest.mark.parametrize("size", SIZES)
def test_an_unknown_tenant_is_refused_and_named(
    committed_db: None,
    fresh_slug: Callable[[str], str],
    size: int,
) -> None:
    nowhere = fresh_slug("nowhere")

    with pytest.raises(TenantUnknown, match=nowhere):
        append(nowhere, proposed(*heartbeats(size)))

    assert stored(nowhere) == []


def test_an_append_inside_a_transaction_is_refused(acme: str) -> None:
    with pytest.raises(NotTheOutermostTransaction, match="outside atomic"), transaction.atomic():
        append(acme, proposed(heartbeat()))

    assert stored(acme) == []


def test_an_append_on_a_connection_without_autocommit_is_refused(acme: str) -> None:
    transaction.set_autocommit(False)
    try:
        with pytest.raises(NotTheOutermostTransaction):
            append(acme, proposed(heartbeat()))
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)

    assert stored(acme) == []


def test_an_append_without_facts_is_a_mistake_of_the_caller(acme: str) -> None:
    with pytest.raises(ValueError, match="at least one fact"):
        append(acme, proposed())


def test_after_a_refusal_the_connection_goes_on_working(acme: str) -> None:
    append(acme, proposed(heartbeat()))
    with pytest.raises(VersionConflict):
        append(acme, proposed(heartbeat()))

    append(acme, proposed(heartbeat(), version=1))

    assert head(acme)[0] == 2
    assert not connection.in_atomic_block


def test_who_acted_and_why_is_kept_with_every_event(acme: str) -> None:
    by = Context(
        actor="token:ci",
        reason="Release 7 🚀",
        correlation_id="c-1",
        causation_id="c-0",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        origin='{"address":"127.0.0.1"}',
    )

    append(acme, proposed(heartbeat(), heartbeat(), by=by))
    append(acme, proposed(*heartbeats(5), version=2, by=by))

    told = ("actor", "reason", "correlation_id", "causation_id", "traceparent", "origin")
    for row in stored(acme):
        assert [row[name] for name in told] == [getattr(by, name) for name in told]


@pytest.mark.parametrize("size", [1, 3, 6])
def test_what_an_append_returns_is_what_a_reader_finds(acme: str, size: int) -> None:
    appended = append(acme, proposed(*[assigned({"n": n}) for n in range(size)]))

    for event, row in zip(appended.events, stored(acme), strict=True):
        envelope = event.envelope
        assert envelope is not None
        assert envelope.stream_version == row["version"]
        for name in ("event_id", "tenant", "seq", "type", "schema_version", "hash"):
            assert getattr(envelope, name) == row[name]
        for name in ("occurred_at", "recorded_at", "actor", "reason", "origin", "stream_id"):
            assert getattr(envelope, name) == row[name]


def test_event_ids_are_time_ordered_and_of_version_7(acme: str) -> None:
    append(acme, proposed(*heartbeats(3)))

    for row in stored(acme):
        assert row["event_id"].version == 7
        made = datetime.fromtimestamp((row["event_id"].int >> 80) / 1000, UTC)
        assert abs(made - datetime.now(UTC)) < timedelta(seconds=60)
