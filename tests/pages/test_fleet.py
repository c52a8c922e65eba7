"""The list of agents: its numbers, its filters, its past."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import services
from agents.pages.facets import Choice
from events.facts import utc_now
from events.models import Event
from events.vocabulary import Capability
from tests.pages.conftest import World, text_of
from tests.pages.html import form_actions

UNFIT: list[tuple[dict[str, str], str]] = [
    ({"status": "BUSY,NIX"}, "Status must be one or more of REGISTERED, AVAILABLE"),
    ({"health": "well"}, "Health must be one or more of unknown, healthy"),
    ({"intent": "x"}, "Intent must be one or more of registered"),
    ({"capability": "a*b"}, "Capability may have a * only at the end."),
    ({"capability": "a", "level": "6"}, "Level must be 1 to 5."),
    ({"level": "3"}, "Level is the level of a capability: name that too."),
    ({"tag": "a,,b"}, "Tag must have something between its commas."),
]
NO_MOMENT: list[tuple[dict[str, str], str]] = [
    ({"at": "2999-01-01T00:00:00Z"}, "lies in the future"),
    ({"seq": "9999"}, "has not happened yet"),
    ({"seq": "9" * 30}, "A seq is a whole number"),
    ({"seq": "-1"}, "A seq is a whole number"),
    ({"at": "yesterday"}, "That is no moment"),
    ({"at": "a\0b"}, "That is no moment"),
    ({"at": "9999-12-31T23:59:59-14:00"}, "That is no moment"),
    ({"at": "2024-01-01T00:00:00Z", "seq": "1"}, "a moment or a seq, not both"),
]


def listed(world: World, **query: str | int) -> list[str]:
    page = world.carol.get(world.page("agents/"), **query).context["page"]
    return [each.agent.agent_id for each in page.agents]


@pytest.fixture
def fleet(world: World) -> World:
    """One of each kind; two can translate."""
    world.create_agent("reg-1", tags=["eu-west", "team-a"])
    world.active_agent("idle-1", tags=["eu-west"], capabilities=[Capability("translation", 4)])
    world.busy_agent("busy-1", "t-7")
    services.pause_agent(**world.to("busy-1"), reason="Upgrade")
    world.active_agent("ill-1", capabilities=[Capability("ocr", 5)])
    services.record_health_failure(**world.to("ill-1"), reason="No answer")
    world.create_agent("old-1")
    services.terminate_agent(**world.to("old-1"), reason="Old")
    return world


def test_each_number_is_what_choosing_it_shows(fleet: World) -> None:
    cases = {"status": {"health": "unknown"}, "health": {"status": "BUSY,REGISTERED"}}
    for offered, query in cases.items():
        context = fleet.carol.get(fleet.page("agents/"), **query).context
        facets = context["facets"]
        assert facets.matching == len(context["page"].agents)
        choices: list[Choice] = getattr(facets, offered)
        for choice in choices:
            following = {name: values[0] for name, values in parse_qs(choice.link[1:]).items()}
            assert len(listed(fleet, **following)) == choice.number, (query, choice)


def test_no_number_is_told_where_nobody_counted(fleet: World) -> None:
    for query in ({"q": "x"}, {"capability": "ocr"}, {"tag": "eu*"}, {"seq": 3}):
        facets = fleet.carol.get(fleet.page("agents/"), **query).context["facets"]
        assert {facets.matching, facets.living} == {None}
        assert {each.number for each in (*facets.status, *facets.health)} == {None}


def test_tags_capabilities_and_levels_narrow_as_in_the_api(fleet: World) -> None:
    assert listed(fleet, capability="translation") == ["busy-1", "idle-1", "reg-1"]
    assert listed(fleet, capability="trans*", level="4") == ["idle-1"]
    assert listed(fleet, tag="eu-*") == ["idle-1", "reg-1"]
    both = fleet.carol.get(fleet.page("agents/") + "?tag=eu-west&tag=team-*&tag=&after=a")
    assert [each.agent.agent_id for each in both.context["page"].agents] == ["reg-1"]
    without = dict(both.context["chosen_tags"])
    assert parse_qs(urlsplit(without["team-*"]).query) == {"tag": ["eu-west"]}


def test_a_filter_that_means_nothing_is_named_and_finds_nobody(world: World) -> None:
    world.create_agent()

    for query, why in UNFIT:
        response = world.carol.get(world.page("agents/"), **query)
        assert response.context["page"].agents == []
        assert why in text_of(response)


def test_a_draining_agent_says_so_and_why(fleet: World) -> None:
    text = text_of(fleet.carol.get(fleet.page("agents/"), status="BUSY"))

    assert "draining" in text
    assert "“Upgrade”" in text


def test_the_fleet_as_it_was_has_a_banner_no_buttons_and_a_way_back(fleet: World) -> None:
    paused = Event.objects.get(tenant=fleet.acme, type="AgentPausedEvent")
    at = paused.recorded_at.isoformat()

    by_seq = fleet.bob.get(fleet.page("agents/"), seq=paused.seq - 1, status="BUSY")
    by_moment = fleet.bob.get(fleet.page("agents/"), at=at, status="BUSY")

    assert by_moment.context["then"].seq >= paused.seq
    sent_again = fleet.bob.get(fleet.page("agents/"), at=by_moment.context["typed_moment"])
    assert sent_again.context["then"].seq >= paused.seq
    for response, drains in ((by_seq, False), (by_moment, True)):
        text = text_of(response)
        assert "The fleet as it was" in text
        assert form_actions(text) == [""]
        for absent in ("data-live>", "Create agent", "Import from CSV", 'name="agent"'):
            assert absent not in text
        assert ("draining" in text) is drains
        assert response.context["now"] == "?status=BUSY"
    before = fleet.bob.get(fleet.page("agents/"), seq=0)
    assert "Before the first event of the log" in text_of(before)
    assert "There were no agents yet" in text_of(before)
    assert before.context["page"].agents == []


def test_a_moment_that_cannot_be_shown_is_a_legible_refusal(world: World) -> None:
    for query, why in NO_MOMENT:
        response = world.carol.get(world.page("agents/"), **query)
        assert response.status_code == 400
        assert why in text_of(response)


def test_a_moment_without_its_offset_is_read_in_the_persons_zone(world: World) -> None:
    services.create_agent(
        tenant=world.acme,
        agent_id="agent-1",
        name="x",
        capabilities=[Capability("ocr", 1)],
        by=world.to()["by"],
    )
    an_hour_on = (utc_now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")
    assert world.carol.get(world.page("agents/"), at=an_hour_on).status_code == 400

    session = world.carol.client.session
    session["times"], session["device_zone"] = "device", "Asia/Tokyo"
    session.save()
    world.carol.post("/admin/times/", times="device", device_zone="Asia/Tokyo", next="/admin/")

    response = world.carol.get(world.page("agents/"), at=an_hour_on)  # eight hours ago in UTC
    assert response.status_code == 200
    assert response.context["page"].agents == []


def test_the_past_costs_no_more_queries_for_more_agents(world: World) -> None:
    def queries() -> int:
        head = Event.objects.filter(tenant=world.acme).count()
        with CaptureQueriesContext(connection) as captured:
            assert world.carol.get(world.page("agents/"), seq=head - 1).status_code == 200
        assert not [each for each in captured if "COUNT(" in each["sql"].upper()]
        return len(captured)

    world.carol.get(world.page())  # the first visit notes the tenant in the session
    for number in range(3):
        world.active_agent(f"agent-{number:02d}")
    few = queries()
    for number in range(3, 9):
        world.active_agent(f"agent-{number:02d}")

    assert queries() == few <= 13
