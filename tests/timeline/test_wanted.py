"""A query of a log finds exactly the events that it means, in pages of bounded work."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from events import tenants, timeline
from events.log import read
from events.log.append import append
from events.log.proposal import Context, Proposal
from events.models import Event
from events.query_language import NAMES, Hours, Name, Query
from events.timeline import page
from events.timeline_query import Asked, of_parameters, parsed
from events.vocabulary import (
    AgentHealthCheckFailedEvent,
    AgentHealthCheckPassedEvent,
    AgentPausedEvent,
    AgentTaskAssignedEvent,
)
from events.wanted import OffHours

COLUMNS = {"correlation": "correlation_id", "causation": "causation_id"}
QUERIES = (
    "",
    "type:AgentHealth*",
    "-type:AgentHealth*",
    "type:Agent* -type:AgentHealthCheckPassedEvent,AgentPausedEvent",
    "-type:*",
    "agent:a-1",
    "-agent:a-1",
    "agent:a-*",
    "-agent:a-*",
    "agent:*",
    "-agent:*",
    "agent:a-1 -agent:a-*",
    "agent:a-1 -type:AgentHealth* since:1h",
    "agent:A-1",
    "actor:user:*",
    "-actor:user:*",
    'actor:"token:ci, nightly"',
    "-actor:user:zoe,system:*",
    "correlation:c-1",
    "-correlation:c-1",
    "correlation:*",
    "-correlation:*",
    "-correlation:c-*",
    "-causation:c*,x",
    "causation:*",
    "-causation:cause-1",
    "drainé",
    "DRAINÉ agent:a-2",
    "-drainé",
    '"the mill" -"not the"',
    "drainé mill",
    "seq:3..9",
    "seq:5",
    "seq:..4 type:AgentPausedEvent",
    "seq:12..",
    "agent:a-2 seq:6..14",
    "since:1h until:yesterday",
    "hours:off",
    "hours:work",
    "hours:off agent:a-1 -drainé",
)


@pytest.fixture
def lived(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    """A tenant whose log has a bit of everything."""
    tenant = tenants.create_tenant(fresh_slug("acme")).slug
    zoe = Context(actor="user:zoe", reason="Drainé for the mill", correlation_id="c-1")
    ci = Context(actor="token:ci, nightly", correlation_id="c-10", causation_id="cause-1")
    system = Context(actor="system:health", reason="not the mill")
    own = Context(actor="agent:a-1", correlation_id="C-1")
    for agent, by, *facts in (
        ("a-1", zoe, AgentPausedEvent("a-1", reason="x"), AgentHealthCheckPassedEvent("a-1")),
        ("a-2", ci, AgentTaskAssignedEvent("a-2", task_id="DRAINÉ-1", input="The mill")),
        ("b-1", system, AgentHealthCheckFailedEvent("b-1", reason="silent")),
    ):
        append(tenant, Proposal("agent", agent, 0, facts, by))
    for number in range(4):
        append(
            tenant,
            Proposal("agent", "a-1", 2 + number, [AgentHealthCheckPassedEvent("a-1")], own),
            Proposal("agent", "a-2", 1 + number, [AgentPausedEvent("a-2", reason="t")], zoe),
        )
    tenants.issue_token(tenant, "the mill", "operator", by=Context(actor="user:zoe"))
    return tenant


def asked(text: str, zone: timezone | ZoneInfo = UTC) -> Asked:
    return Asked(parsed(text), datetime.now(UTC), zone, zone)


def means(query: Asked, event: Event) -> bool:
    """Whether the event is one of those that are meant, said as plainly as can be."""
    wanted, moment = query.query, event.recorded_at
    parts = [event.type, event.stream_id, event.actor, event.reason or "", event.data]
    holds = [
        any(text.casefold() in part.casefold() for part in parts)
        for text in (*wanted.text, *wanted.not_text)
    ]
    local = moment.astimezone(query.hours_zone)
    off = local.weekday() in (5, 6) or local.hour < 7 or local.hour >= 19
    return (
        all(named(event, query.query, name) for name in NAMES)
        and holds == [True] * len(wanted.text) + [False] * len(wanted.not_text)
        and (query.since is None or moment >= query.since)
        and (query.until is None or moment < query.until)
        and (wanted.seq is None or event.seq >= (wanted.seq.first or 1))
        and (wanted.seq is None or event.seq <= (wanted.seq.last or event.seq))
        and (wanted.hours is None or off is (wanted.hours is Hours.OFF))
    )


def named(event: Event, query: Query, name: str) -> bool:
    value = getattr(event, COLUMNS.get(name, name), None)
    if name == "agent":
        value = event.stream_id if event.stream_type == "agent" else None
    only, without = query.only(name), query.without(name)
    return (not only or any(fits(each, value) for each in only)) and not any(
        fits(each, value) for each in without
    )


def fits(name: Name, value: str | None) -> bool:
    if value is None:
        return False
    return value.startswith(name.text) if name.begins else value == name.text


def walked(tenant: str, query: Asked, *, descending: bool, limit: int = 100) -> list[int]:
    found: list[int] = []
    after = None
    head = read.head(tenant)
    for _ in range(100):
        got = page(
            tenant,
            query.wanted,
            head=head.seq if head else 0,
            after=after,
            limit=limit,
            descending=descending,
        )
        found += [row.seq for row in got.rows]
        after = got.next
        if after is None:
            return found
    raise AssertionError("The walk has no end.")


def test_each_query_finds_what_it_means_in_either_order_however_short_a_page_is(
    lived: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = list(Event.objects.filter(tenant=lived).order_by("seq"))
    kinds = set()
    for text in QUERIES:
        query = asked(text)
        meant = [row.seq for row in rows if means(query, row)]
        kinds.add(0 < len(meant) < len(rows))
        assert walked(lived, query, descending=False) == meant, text
        with monkeypatch.context() as patch:
            patch.setattr(timeline, "EXAMINED", 6)
            patch.setattr(timeline, "WINDOW", 4)
            patch.setattr(timeline, "CHUNK", 2)
            assert walked(lived, query, descending=True, limit=3) == meant[::-1], text
    assert kinds == {True, False}


@pytest.mark.parametrize("hours", [-11, -5, 0, 6, 12])
def test_the_hours_are_those_of_the_zone(lived: str, hours: int) -> None:
    zone = timezone(timedelta(hours=hours))
    rows = list(Event.objects.filter(tenant=lived).order_by("seq"))

    for text in ("hours:off", "hours:work"):
        query = asked(text, zone)
        meant = [row.seq for row in rows if means(query, row)]
        assert walked(lived, query, descending=False) == meant


@pytest.mark.parametrize(
    ("moment", "is_off"),
    [
        ("2026-11-24T05:59:59Z", True),  # a Tuesday, 6:59:59 in Berlin
        ("2026-11-24T06:00:00Z", False),
        ("2026-11-24T17:59:59Z", False),
        ("2026-11-24T18:00:00Z", True),
        ("2026-07-24T17:00:00Z", True),  # a Friday in summer, 19:00
        ("2026-11-27T23:00:00Z", True),  # Saturday has begun
        ("2026-11-28T12:00:00Z", True),
        ("2026-11-29T12:00:00Z", True),
        ("2026-11-30T06:00:00Z", False),  # Monday, 7:00
    ],
)
def test_off_hours_are_nights_and_weekends_on_the_clock_of_the_zone(
    moment: str, is_off: bool
) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    at = datetime.fromisoformat(moment)

    assert OffHours(berlin).fits(at) is is_off
    assert OffHours(berlin, is_off=False).fits(at) is not is_off


def test_the_data_of_rows_is_not_read_to_look_at_the_clock() -> None:
    look = asked("hours:off").wanted.look()

    assert look is not None
    assert look.columns == ("recorded_at",)


def test_a_pinned_query_means_the_same_later_and_elsewhere(lived: str) -> None:
    here = Asked(parsed("since:yesterday until:24h"), datetime.now(UTC), ZoneInfo("Asia/Tokyo"))
    later = Asked(here.pinned, here.now + timedelta(days=3), ZoneInfo("America/New_York"))

    assert (later.since, later.until) == (here.since, here.until)
    assert parsed(str(here.pinned)) == here.pinned


def test_the_parameters_of_the_api_are_a_query_too() -> None:
    given = {
        "types": "AgentTask*,MemberAdded",
        "agent": "a-1",
        "actor": "user:*",
        "correlation": "c 1",
        "since": "2026-01-01 00:00:00+01:00",
        "q": "two words",
        "order": "desc",
    }

    assert str(of_parameters(given)) == (
        'type:MemberAdded,AgentTask* agent:a-1 actor:user:* correlation:"c 1"'
        ' since:2025-12-31T23:00:00.000000Z "two words"'
    )
    assert of_parameters({"query": "agent:a"}) == Query(agent=(Name("a"),))
