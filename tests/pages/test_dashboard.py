"""The dashboard: how everything stands, in honest numbers, each beside where one acts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agentmesh_site.dashboard import readers, views
from agents import services
from events.models import SignedCheckpoint, SubscriptionCheckpoint, Verification
from events.worker import heartbeat
from projections.alerts import overview
from projections.alerts.models import Alert, State
from tests.pages.conftest import World, text_of
from tests.projections.analytics.histories import completed, failed, fold, store

NOW = datetime(2026, 3, 4, 15, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
# One of them is asked for ranges of long ago alone, as NOW is: how long statistics are kept.
QUERIES = 21


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "utc_now", lambda: NOW)


def ended(world: World, *events: Any) -> None:
    store(world.acme, fold(events))


def shown(world: World, **query: str) -> Any:
    return world.carol.get(world.page(), **query)


def cells(chart: Any) -> list[list[str]]:
    return [line.cells for line in chart.lines]


def test_what_ended_is_drawn_and_stands_in_a_table(world: World) -> None:
    world.create_agent()
    ended(
        world,
        completed("agent-1", NOW - HOUR, 100),
        completed("agent-1", NOW - HOUR, 100),
        failed("agent-1", NOW - HOUR),
        completed("agent-1", NOW, 300),
    )

    response = shown(world)
    pictures = response.context["pictures"]

    assert cells(pictures.throughput)[-3:] == [["0", "0"], ["2", "1"], ["1", "0"]]
    assert cells(pictures.completion)[-3:] == [["–"], ["66.7 %"], ["100 %"]]  # noqa: RUF001
    assert cells(pictures.execution)[-3:] == [["–"] * 2, ["100 ms"] * 2, ["300 ms"] * 2]  # noqa: RUF001
    assert pictures.throughput.lines[-1].when == "Wed 4 Mar, 15:00 so far"
    assert text_of(response).count("<summary>As a table") == 3
    assert (pictures.total.completed, pictures.total.failed) == (3, 1)


@pytest.mark.parametrize(
    ("asked", "buckets", "first"),
    [
        ("1h", 60, "Wed 4 Mar, 14:21"),
        ("24h", 24, "Tue 3 Mar, 16:00"),
        ("7d", 168, "Wed 25 Feb, 16:00"),
        ("for ever", 24, "Tue 3 Mar, 16:00"),
    ],
)
def test_the_address_says_how_far_back_one_looks(
    world: World, asked: str, buckets: int, first: str
) -> None:
    world.create_agent()
    ended(world, completed("agent-1", NOW))

    response = shown(world, range=asked)

    lines = response.context["pictures"].throughput.lines
    assert (len(lines), lines[0].when) == (buckets, first)
    chosen = asked if buckets != 24 else "24h"
    assert f'<a href="?range={chosen}" aria-current="true">' in text_of(response)


def test_where_nothing_ended_there_is_no_axis_and_no_rate(world: World) -> None:
    world.create_agent()

    text = text_of(shown(world))

    assert text.count("No task ended in this time.") == 2
    assert "No task was completed in this time." in text
    assert "chart-plot" not in text


def test_agents_of_which_tasks_failed_are_named_with_the_way_to_their_failures(
    world: World,
) -> None:
    world.create_agent("agent-1", name="Careful")
    world.create_agent("agent-2", name="Hasty")
    history = [failed("agent-2", NOW)] * 3 + [failed("agent-1", NOW)]
    ended(world, *history, completed("agent-1", NOW), failed("of-an-import", NOW - 2 * HOUR))

    response = shown(world)

    found = response.context["failing"]
    assert [(each.name, each.counted.failed) for each in found.items] == [
        ("Hasty", 3),
        ("Careful", 1),
        ("of-an-import", 1),
    ]
    text = text_of(response)
    assert "?q=type:AgentTaskFailedEvent+agent:agent-2" in text
    assert world.page("agents/agent-2/") in text
    assert world.page("agents/of-an-import/") not in text


def stand(world: World, rule: str, state: State = State.OPEN, subject: str = "agent-1") -> None:
    resolved = NOW if state is State.RESOLVED else None
    Alert.objects.create(
        tenant_id=world.acme, rule=rule, subject=subject, state=state, detail=f"{rule} is bad",
        opened_at=NOW, opened_seq=1, last_at=NOW, last_seq=1, resolved_at=resolved,
    )  # fmt: skip


def test_what_nobody_has_acknowledged_stands_first_and_what_is_over_not_at_all(
    world: World,
) -> None:
    world.create_agent()
    stand(world, "old")
    stand(world, "seen", State.ACKNOWLEDGED)
    stand(world, "over", State.RESOLVED)
    stand(world, "new", subject="")

    response = shown(world)

    found = response.context["alerts"]
    assert [alert.rule for alert in found.newest] == ["new", "old", "seen"]
    assert (found.number, found.has_more) == (3, False)
    assert "new is bad" in text_of(response)


def test_alerts_beyond_counting_are_told_as_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "COUNTED", 2)
    for rule in ("one", "two", "three"):
        stand(world, rule)

    text = text_of(shown(world))

    assert '<span class="badge badge-bad">more than 2</span>' in text


def verified(world: World, status: Verification.Status, **details: Any) -> None:
    Verification.objects.create(tenant_id=world.acme, status=status, requested_by="x", **details)


def test_the_chain_is_never_said_to_hold_before_it_was_verified(world: World) -> None:
    verified(world, Verification.Status.RUNNING, seq=1, head=9)

    text = text_of(shown(world))

    assert "Chain never verified" in text
    assert "1 of at least 9 events" in text


def test_the_chain_holds_as_far_and_as_long_ago_as_it_was_verified(world: World) -> None:
    world.create_agent()
    at = timezone.now() - timedelta(minutes=5)
    verified(world, Verification.Status.PASSED, seq=2, head=2, finished_at=at)
    SignedCheckpoint.objects.create(tenant_id=world.acme, seq=1, note="x")

    response = shown(world)

    text = text_of(response)
    assert "Chain verified to 2, <time" in text
    assert "5 min ago" in text
    assert "signed at seq 1" in text
    # Carol was let in by this very request's fixture, and her coming was recorded.
    assert response.context["unverified"] == world.newest_event().seq - 2


def test_a_broken_chain_is_said_until_it_is_verified_anew(world: World) -> None:
    at = timezone.now()
    verified(
        world, Verification.Status.FAILED, seq=7, head=9, bad_seq=8, why="seq 8 was altered.",
        finished_at=at,
    )  # fmt: skip
    verified(world, Verification.Status.QUEUED, head=9)

    text = text_of(shown(world))

    assert "Chain broken" in text
    assert "at seq 8" in text
    assert "seq 8 was altered." in text
    assert "waits for a worker" in text


@pytest.mark.parametrize(
    ("age", "said"),
    [(2.0, ">alive<"), (61.0, "not seen for 1 min 1 s"), (None, ">never seen<")],
)
def test_it_is_said_whether_a_worker_lives(
    world: World, monkeypatch: pytest.MonkeyPatch, age: float | None, said: str
) -> None:
    monkeypatch.setattr(heartbeat, "age_seconds", lambda: age)

    assert said in text_of(shown(world))


def test_a_reader_that_stopped_is_named_and_old_statistics_say_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    halted = SubscriptionCheckpoint.objects.create(
        tenant_id=world.acme, subscription="analytics", seq=1, hash=b"", updated_at=NOW,
        stopped_reason="A backup came back.",
    )  # fmt: skip
    world.create_agent()
    monkeypatch.setattr(readers, "LATE_SECONDS", 3_600.0)  # the others are merely new

    response = shown(world)

    text = text_of(response)
    assert "A backup came back." in text
    assert f"As of seq {halted.seq}:" in text
    found = response.context["readers"]
    assert [state.name for state in found.troubled] == ["analytics"]
    assert found.kept_up == len(found.states) - 1


def test_an_empty_tenant_says_what_to_do_to_whoever_may(world: World) -> None:
    operator, auditor = text_of(world.bob.get(world.page())), text_of(shown(world))

    assert "No agents yet" in operator
    assert world.page("new-agent/") in operator
    assert world.page("new-agent/") not in auditor
    assert "Latest events" in auditor


def test_it_takes_as_many_queries_whatever_happened(world: World) -> None:
    world.create_agent()
    ended(world, failed("agent-1", NOW))
    shown(world)  # the first visit notes the tenant in the session
    with CaptureQueriesContext(connection) as few:
        shown(world)
    for number in range(12):
        world.busy_agent(f"other-{number}", f"t-{number}")
        services.complete_task(
            **world.to(f"other-{number}"), task_id=f"t-{number}", execution_time_ms=5
        )
        stand(world, f"rule-{number}")
    history = [failed(f"other-{number}", NOW - number * HOUR / 2) for number in range(2, 12)]
    ended(world, *history)
    with CaptureQueriesContext(connection) as many:
        shown(world)

    assert len(few) == len(many) == QUERIES
    assert not [
        query for query in many if "COUNT(" in query["sql"] and "events_event" in query["sql"]
    ]
