"""How an agent worked: tasks from the statistics, heartbeats from its own stream."""

from datetime import timedelta
from typing import Any

import pytest

from agents import services
from agents.pages import heartbeats
from events.facts import utc_now
from tests.pages.conftest import World, text_of
from tests.pages.html import what_the_policy_forbids
from tests.pages.lives import VITALS
from tests.projections.analytics.histories import completed, failed, fold, store


def work(world: World, **query: str) -> Any:
    return world.carol.get(world.page("agents/agent-1/"), **query).context["work"]


def beat_at(world: World, seconds_ago: float, response_time_ms: float = 12) -> None:
    services.record_heartbeat(
        **world.to(),
        **(VITALS | {"response_time_ms": response_time_ms}),
        now=utc_now() - timedelta(seconds=seconds_ago),
    )


def cells(chart: Any) -> list[list[str]]:
    return [line.cells for line in chart.lines]


def test_its_own_tasks_are_drawn_and_no_other_s(world: World) -> None:
    world.active_agent()
    now = utc_now()
    events = [
        completed("agent-1", now, 100),
        completed("agent-1", now, 100),
        failed("agent-1", now),
        completed("agent-2", now, 900),
    ]
    store(world.acme, fold(events))

    for query, buckets in (({}, 24), ({"range": "7d"}, 168), ({"range": "30d"}, 30)):
        found = work(world, **query)
        assert len(found["tasks"].throughput.lines) == buckets
        assert ["2", "1"] in cells(found["tasks"].throughput)
        assert ["100 ms", "100 ms"] in cells(found["tasks"].execution)
        assert found["tasks"].total.completed == 2


def test_it_says_how_far_tasks_have_been_counted(world: World) -> None:
    world.active_agent()

    text = text_of(world.carol.get(world.page("agents/agent-1/")))

    assert "Tasks are counted up to seq 0; the agent" in text
    assert "No task of this agent ended in this time." in text
    assert "No heartbeat in this time." in text
    assert what_the_policy_forbids(text) == []


def test_heartbeats_are_drawn_and_break_where_the_agent_was_silent(world: World) -> None:
    world.active_agent(health_check_timeout_seconds=60)
    for seconds_ago, response_time_ms in ((900, 10), (880, 11), (300, 12), (290, 13)):
        beat_at(world, seconds_ago, response_time_ms)

    beats = work(world)["beats"]

    assert cells(beats.response) == [["10 ms"], ["11 ms"], ["–"], ["12 ms"], ["13 ms"]]  # noqa: RUF001
    assert cells(beats.load)[0] == ["3.5 %", "40 %"]
    assert (beats.number, beats.is_all) == (4, True)


@pytest.mark.parametrize("bound", ["MOST", "EXAMINED"])
def test_of_many_heartbeats_the_newest_are_shown_and_the_page_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    world.active_agent()
    for number in range(6):
        beat_at(world, 60 - number, number)
    monkeypatch.setattr(heartbeats, bound, 4)

    response = world.carol.get(world.page("agents/agent-1/"))

    assert cells(response.context["work"]["beats"].response)[-1] == ["5 ms"]
    assert response.context["work"]["beats"].number == 4
    assert "Of heartbeats the newest 4 are shown, since" in text_of(response)
