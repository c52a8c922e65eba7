"""The time machine: an agent at any version, what changed there, what differs between two."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents import services
from agents.pages import past
from agents.pages.past import Row, Side
from events.models import Event
from tests.pages.conftest import World, text_of
from tests.pages.html import fields_without_label, what_the_policy_forbids
from tests.pages.lives import by, long_life

MACHINE = "agents/agent-1/history/"
NEWEST = 11


@pytest.fixture
def lived(world: World) -> World:
    """Agent-1 was created (1), activated (2, 3), learnt (4), was given a task (5, 6) and paused
    (7), finished (8, 9), and was resumed by Bob (10, 11)."""
    world.active_agent()
    services.add_capability(**by(world, "alice", "Needed"), name="ocr", proficiency_level=2)
    services.assign_task(**by(world, "alice"), task_id="t-1", input={"x": "hush-hush"})
    services.pause_agent(**by(world, "alice", "Upgrade"), reason="Upgrade")
    services.complete_task(**by(world, "agent:agent-1"), task_id="t-1", execution_time_ms=5)
    services.resume_agent(**by(world, "bob", "Done"), reason="Done")
    return world


def visit(world: World, query: str = "") -> Any:
    return world.carol.get(world.page(MACHINE) + query)


def event_at(world: World, version: int) -> Event:
    return Event.objects.get(
        tenant=world.acme, stream_type="agent", stream_id="agent-1", version=version
    )


def row(rows: list[Row], path: str) -> Row:
    (found,) = [each for each in rows if each.path == path]
    return found


def test_without_a_version_it_shows_the_newest(lived: World) -> None:
    shown = visit(lived).context["shown"]

    assert (shown.version, shown.agent) == (NEWEST, lived.agent())


VERSIONS = [
    (1, "REGISTERED", "/created_at"),
    (2, "AVAILABLE", "/intent"),
    (4, "AVAILABLE", "/capabilities/ocr"),
    (5, "BUSY", "/current_task_id"),
    (7, "BUSY", "/pause_reason"),
    (8, "PAUSED", "/tasks_completed"),
    (10, "AVAILABLE", "/intent"),
]


def test_each_version_shows_the_state_then_and_what_its_event_changed(lived: World) -> None:
    for version, status, changed in VERSIONS:
        response = visit(lived, f"?version={version}")

        shown = response.context["shown"]
        assert (shown.version, shown.agent.status, shown.event) == (
            version,
            status,
            event_at(lived, version),
        )
        assert changed in [each.path for each in shown.rows]
        assert changed.split("/")[1] in shown.changed
        text = text_of(response)
        for expected in (lived.page(f"events/{shown.event.event_id}/"), changed, shown.event.actor):
            assert expected in text


def test_a_change_is_told_with_both_values_who_and_why(lived: World) -> None:
    shown = visit(lived, "?version=7").context["shown"]

    assert row(shown.rows, "/intent") == Row("/intent", Side(text="active"), Side(text="paused"))
    assert row(shown.rows, "/pause_reason").old == Side()
    text = text_of(visit(lived, "?version=7"))
    assert "user:alice" in text
    assert "alice paused agent-1: Upgrade" in text


def test_the_event_that_tells_of_a_status_leads_to_the_one_that_changed_it(lived: World) -> None:
    response = visit(lived, "?version=9")

    assert response.context["shown"].rows == []
    assert "this event tells of the status" in text_of(response)
    assert 'href="?version=8"' in text_of(response)


def test_what_a_task_was_given_is_not_in_the_past(lived: World) -> None:
    for query in ("?version=5", "?version=11&compare=1"):
        assert "hush-hush" not in text_of(visit(lived, query))


def test_the_slider_says_where_it_stands(lived: World) -> None:
    text = text_of(visit(lived, "?version=7"))

    at = event_at(lived, 7).recorded_at.strftime("%Y-%m-%d %H:%M")
    assert 'type="range" id="slider" name="version" min="1" max="11" value="7"' in text
    assert f'aria-valuetext="version 7 of 11, {at}, alice paused agent-1: Upgrade"' in text
    assert fields_without_label(text) == []
    assert what_the_policy_forbids(text) == []


STEPS = [
    (1, {"next": 2, "last": 11}),
    (7, {"first": 1, "previous": 6, "next": 8, "last": 11}),
    (11, {"first": 1, "previous": 10}),
]


def test_steps_lead_where_there_is_something(lived: World) -> None:
    for version, leading in STEPS:
        steps = visit(lived, f"?compare=3&version={version}").context["steps"]

        assert {name: to for name, to in steps.items() if to and "status" not in name} == {
            name: f"?compare=3&version={to}" for name, to in leading.items()
        }


@pytest.mark.parametrize(
    ("go", "version", "stops"),
    [("next-status", 1, [3, 6, 9, 11]), ("previous-status", 11, [9, 6, 3])],
)
def test_from_status_to_status(lived: World, go: str, version: int, stops: list[int]) -> None:
    found = []
    for _ in stops:
        response = visit(lived, f"?version={version}&go={go}&compare=2")
        assert response.status_code == 302
        assert "compare=2" in response["Location"]
        assert "go=" not in response["Location"]
        version = lived.carol.get(response["Location"]).context["shown"].version
        found.append(version)

    assert found == stops


def test_where_no_status_changed_it_says_how_far_it_looked_and_stops_there(
    lived: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_life(lived, "agent-1", 60)
    monkeypatch.setattr(past, "LOOKED_AT", 25)

    response = visit(lived, "?version=11&go=next-status")
    end = visit(lived, "?version=60&go=next-status")
    back = visit(lived, "?version=60&go=previous-status")

    assert response.context["shown"].version == 36
    assert "did not change from version 11 to 36." in text_of(response)
    assert "look further" in text_of(response)
    assert end.context["shown"].version == 71
    assert back.context["shown"].version == 35
    assert "did not change from version 35 to 60." in text_of(back)


def test_a_jump_to_a_moment_shows_what_was_recorded_by_then(lived: World) -> None:
    at = event_at(lived, 4).recorded_at

    for moment in (at, at + timedelta(microseconds=1)):
        shown = visit(lived, f"?at={moment.isoformat().replace('+', '%2B')}").context["shown"]
        following = Event.objects.filter(
            tenant=lived.acme, stream_id="agent-1", recorded_at__gt=moment
        ).order_by("version")[0]
        assert shown.version == following.version - 1


def test_a_moment_is_typed_in_the_zone_that_the_person_reads_in(lived: World) -> None:
    lived.carol.client.cookies["agentmesh_times"] = "device:Pacific/Kiritimati"  # UTC+14

    ahead = visit(lived, f"?at={datetime.now(UTC):%Y-%m-%dT%H:%M}")

    assert "had not been created by then" in text_of(ahead)


def test_a_jump_to_a_seq(lived: World) -> None:
    seq = event_at(lived, 5).seq

    assert visit(lived, f"?seq={seq}").context["shown"].version == 5


NOWHERE = [
    ("?version=12", "The agent has not reached version 12: its newest is 11."),
    ("?version=0", "Versions begin at 1."),
    ("?version=x", "That is no number."),
    (f"?version={'9' * 5_000}", "That is no number."),
    ("?at=2001-01-01T00:00", "The agent had not been created by then."),
    ("?at=2999-01-01T00:00", "That moment is still to come."),
    ("?at=soon", "That is no moment."),
    ("?at=9999-12-31T23:59:59-14:00", "That is no moment."),
    ("?seq=99999", "The log has not reached seq 99,999"),
    (f"?seq={2**63 - 1}", "The log has not reached seq"),
    ("?seq=1", "The agent had not been created by then."),
    ("?version=3&at=2001-01-01T00:00", "Name one place: version and at are two."),
]


def test_where_there_is_nothing_it_says_why_and_shows_no_state(lived: World) -> None:
    for query, why in NOWHERE:
        response = visit(lived, query)

        assert response.status_code == 200
        assert why in text_of(response)
        assert "shown" not in response.context
        assert "State then" not in text_of(response)


def test_two_versions_are_compared_whichever_is_named_first(lived: World) -> None:
    forth, back = (
        visit(lived, query).context["compared"]
        for query in ("?version=11&compare=3", "?version=3&compare=11")
    )

    assert forth == back
    assert (forth.old, forth.new, forth.unexplained) == (3, 11, 0)
    assert {each.path for each in forth.rows} == {
        "/capabilities/ocr",
        "/tasks_assigned",
        "/tasks_completed",
    }
    learnt = row(forth.rows, "/capabilities/ocr")
    assert learnt.old == Side()
    assert learnt.event is not None
    assert (learnt.event.version, learnt.event.actor, learnt.event.reason) == (
        4,
        "user:alice",
        "Needed",
    )
    assert lived.page(f"events/{learnt.event.event_id}/") in text_of(
        visit(lived, "?version=11&compare=3")
    )


def test_a_comparison_with_a_moment(lived: World) -> None:
    moment = event_at(lived, 1).recorded_at.isoformat().replace("+", "%2B")

    assert visit(lived, f"?version=11&compare={moment}").context["compared"].old == 1


def test_what_changed_back_does_not_differ(lived: World) -> None:
    assert "Nothing differs" in text_of(visit(lived, "?version=9&compare=8"))
    assert "is held" in text_of(visit(lived, "?version=9&compare=9"))


def test_a_comparison_over_a_long_time_says_what_it_did_not_look_for(
    lived: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_life(lived, "agent-1", 40)
    monkeypatch.setattr(past, "EXPLAINED", 41)

    response = visit(lived, "?version=51&compare=3")

    compared = response.context["compared"]
    assert compared.unexplained == 3
    assert row(compared.rows, "/capabilities/ocr").event is None
    assert row(compared.rows, "/last_seen").event is not None
    assert "more than 41 versions before version 51" in text_of(response)


def test_a_comparison_with_nothing_says_so_beside_the_state(lived: World) -> None:
    for compare in ("12", "0", "x", "2999-01-01", "-1", "9" * 5_000):
        response = visit(lived, f"?version=7&compare={compare}")

        assert response.context["shown"].version == 7
        assert 'id="incomparable" role="alert"' in text_of(response)


def test_the_past_of_a_terminated_agent_can_be_visited(lived: World) -> None:
    services.terminate_agent(**by(lived, "alice", "Old"), reason="Old")

    assert visit(lived, "?version=5").context["shown"].agent.status == "BUSY"
    assert visit(lived).context["shown"].agent.status == "TERMINATED"


def test_mallory_s_time_machine_meets_what_an_absent_agent_gives(lived: World) -> None:
    theirs = lived.mallory.get(lived.page(MACHINE), version=3)
    under_her_own = lived.mallory.get(f"/admin/t/{lived.globex}/{MACHINE}", version=3)
    absent = lived.mallory.get(f"/admin/t/{lived.globex}/agents/no-such-agent/history/")

    assert (theirs.status_code, theirs.content) == (404, absent.content)
    assert (under_her_own.status_code, under_her_own.content) == (404, absent.content)


def test_an_agent_of_that_name_does_not_get_in_the_way(world: World) -> None:
    for agent_id in ("history", "timeline"):
        world.active_agent(agent_id)
        for tab in ("", "history/", "timeline/"):
            assert world.alice.get(world.page(f"agents/{agent_id}/{tab}")).status_code == 200
