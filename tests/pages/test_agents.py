"""The agents' list and pages."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import services
from agents.models import CurrentAgent
from agents.pages import fleet_list
from events.facts import utc_now
from tests.pages.conftest import World, text_of

MOST_QUERIES = 9


def heartbeat(world: World, agent_id: str, seconds_ago: int) -> None:
    services.record_heartbeat(
        **world.to(agent_id),
        success_rate=1,
        response_time_ms=12,
        cpu_usage_percent=3.5,
        memory_usage_percent=40,
        now=utc_now() - timedelta(seconds=seconds_ago),
    )


def listed(world: World, **query: str) -> list[str]:
    """The ids on the list, in order."""
    page = world.carol.get(world.page("agents/"), **query).context["page"]
    return [each.agent.agent_id for each in page.agents]


def test_the_list_says_how_each_agent_stands(world: World) -> None:
    world.busy_agent("agent-1", "t-7")
    heartbeat(world, "agent-1", seconds_ago=4_000)

    text = text_of(world.carol.get(world.page("agents/")))

    for expected in ("Name of agent-1", "agent-1", "BUSY", "active", "healthy", "t-7"):
        assert expected in text
    assert "1 h 6 min ago" in text


def test_terminated_agents_are_listed_only_when_asked_for(world: World) -> None:
    world.create_agent("agent-1")
    world.create_agent("agent-2")
    services.terminate_agent(**world.to("agent-2"), reason="Old")

    assert listed(world) == ["agent-1"]
    assert listed(world, status="TERMINATED") == ["agent-2"]
    assert listed(world, intent="terminated") == ["agent-2"]


def test_the_list_is_narrowed_by_status_intent_health_and_text(world: World) -> None:
    world.create_agent("agent-1", name="Ada")
    world.active_agent("agent-2", name="Bert")
    world.busy_agent("agent-3")
    heartbeat(world, "agent-3", seconds_ago=1)

    assert listed(world, status="BUSY") == ["agent-3"]
    assert listed(world, intent="registered") == ["agent-1"]
    assert listed(world, health="unknown") == ["agent-1", "agent-2"]
    assert listed(world, q="BER") == ["agent-2"]
    assert listed(world, q="ENT-3") == ["agent-3"]
    assert listed(world, q="100%") == []
    world.create_agent("agent-4", name="ÄRGER")
    assert listed(world, q="ärg") == ["agent-4"]
    assert listed(world, status="no such status") == []


def test_pages_follow_each_other_without_a_gap_or_a_repetition(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        world.create_agent(f"agent-{number}")
    monkeypatch.setattr(fleet_list, "PAGE", 3)
    seen: list[list[str]] = []
    query: str | None = "?q=agent"
    turned_back: list[list[str]] = []

    def turn(query: str, pages: list[list[str]], way: str) -> str | None:
        context = world.carol.get(world.page("agents/") + query).context
        pages.append([each.agent.agent_id[-1] for each in context["page"].agents])
        previous = context["previous"]
        assert (previous is None) == (pages[-1][:1] == ["0"])
        following: str | None = context[way]
        return following

    last = query
    while query is not None:
        last, query = query, turn(query, seen, "next")
    back: str | None = last
    while back is not None:
        back = turn(back, turned_back, "previous")

    assert seen == [["0", "1", "2"], ["3", "4", "5"], ["6"]]
    assert turned_back == seen[::-1]


@pytest.mark.parametrize("row", [{"fold": 0, "state": "{}"}, {"state": "{"}], ids=str)
def test_a_row_of_another_release_or_a_spoilt_one_is_replayed(
    world: World, row: dict[str, object]
) -> None:
    world.busy_agent("agent-1", "t-7")
    services.record_health_failure(**world.to("agent-1"), reason="No answer")
    CurrentAgent.objects.filter(tenant=world.acme).update(**row)

    assert "t-7" in text_of(world.carol.get(world.page("agents/")))
    assert "agent-1" in text_of(world.carol.get(world.page()))


@pytest.mark.parametrize("page", ["agents/", "events/"])
def test_more_agents_and_events_cost_no_more_queries_and_no_event_is_counted(
    world: World, page: str
) -> None:
    world.create_agent("agent-00")
    queries(world, page)  # the first visit notes the tenant in the session
    few = queries(world, page)
    for number in range(1, 12):
        world.active_agent(f"agent-{number:02d}")
        heartbeat(world, f"agent-{number:02d}", seconds_ago=1)
    many = queries(world, page)

    assert len(many) == len(few) <= MOST_QUERIES
    assert not [sql for sql in many if "COUNT(" in sql.upper() and "events_event" in sql]


def queries(world: World, page: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert world.alice.get(world.page(page)).status_code == 200
    return [query["sql"] for query in captured.captured_queries]


def test_an_empty_fleet_says_what_to_do_next(world: World) -> None:
    assert "Register the first one" in text_of(world.bob.get(world.page("agents/")))
    assert "As soon as an operator" in text_of(world.carol.get(world.page("agents/")))
    assert "Create agent" not in text_of(world.carol.get(world.page()))


def test_filters_that_match_nothing_say_so(world: World) -> None:
    world.create_agent()

    assert "No agent matches" in text_of(world.carol.get(world.page("agents/"), q="nothing"))


def test_what_people_wrote_is_text_and_never_markup(world: World) -> None:
    world.create_agent(name="<script>alert(1)</script>", metadata={"x": "</code><img src=x>"})

    for page in ("agents/", "agents/agent-1/", "", "events/"):
        text = text_of(world.alice.get(world.page(page)))
        assert "<script>alert" not in text
        assert "<img src=x>" not in text


def test_the_dashboard_counts_the_fleet_and_names_the_unhealthy(world: World) -> None:
    world.create_agent("agent-1")
    world.active_agent("agent-2")
    world.active_agent("agent-3", name="Sick one")
    services.record_health_failure(**world.to("agent-3"), reason="No answer")
    world.create_agent("agent-4")
    services.terminate_agent(**world.to("agent-4"), reason="Old")

    response = world.carol.get("/admin/")

    counts = response.context["counts"]
    assert {str(status): number for status, number in counts.by_status.items() if number} == {
        "REGISTERED": 1,
        "AVAILABLE": 1,
        "UNHEALTHY": 1,
        "TERMINATED": 1,
    }
    assert counts.living == 3
    assert "Sick one" in text_of(response)
