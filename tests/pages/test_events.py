"""The tenant's events: the list and the single event."""

import json
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import services
from events import timeline
from events.ancestors.agent_task_completed_1_0 import AgentTaskCompletedEventV1
from events.log.append import append
from events.log.proposal import Context, Proposal
from events.models import Event
from events.pages import data, newest, wording
from events.pages.wording import _LINES
from events.registry import types
from tests.pages.conftest import SETUP, World, text_of


def test_the_list_is_newest_first_and_shows_times_in_utc_with_milliseconds(world: World) -> None:
    carol = world.carol
    world.active_agent()
    newest = world.newest_event()

    response = carol.get(world.page("events/"))

    shown = [event.seq for event in response.context["page"].rows]
    assert shown == list(range(newest.seq, 0, -1))
    recorded = newest.recorded_at
    wanted = f"{recorded:%Y-%m-%d %H:%M:%S}.{recorded.microsecond // 1000:03d}"
    assert wanted in text_of(response)
    assert "REGISTERED → AVAILABLE" in text_of(response)


def test_pages_follow_each_other_to_the_first_event(world: World) -> None:
    world.create_agent()
    for number in range(2, 62):
        services.update_agent(**world.to(), name=f"Name {number}")
    path = world.page("events/")

    first = world.carol.get(path).context
    second = world.carol.get(path + first["older"]).context

    found = [event.seq for event in (*first["page"].rows, *second["page"].rows)]
    assert found == list(range(found[0], 0, -1))
    assert second["older"] is None


def test_the_list_is_narrowed_by_type_agent_and_actor(world: World) -> None:
    world.active_agent("agent-1")
    world.active_agent("agent-2")
    services.pause_agent(
        **(world.to("agent-2") | {"by": Context(actor="user:zoe")}), reason="Night"
    )

    by_type = world.carol.get(world.page("events/"), type="AgentActivated").context["page"].rows
    by_agent = world.carol.get(world.page("events/"), agent="agent-2").context["page"].rows
    by_actor = world.carol.get(world.page("events/"), actor="user:zoe").context["page"].rows
    by_all = (
        world.carol.get(
            world.page("events/"), agent="agent-2", actor="user:zoe", type="AgentPaused"
        )
        .context["page"]
        .rows
    )

    assert {event.type for event in by_type} == {"AgentActivatedEvent"}
    assert {event.stream_id for event in by_type} == {"agent-1", "agent-2"}
    assert {event.stream_id for event in by_agent} == {"agent-2"}
    assert [event.version for event in by_agent] == [5, 4, 3, 2, 1]
    assert {event.type for event in by_actor} == {"AgentPausedEvent", "AgentStatusChangedEvent"}
    assert [event.type for event in by_all] == ["AgentPausedEvent"]


@pytest.mark.parametrize("agent", ["", "agent-1"])
def test_a_page_examines_no_more_than_its_window_and_the_next_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch, agent: str
) -> None:
    monkeypatch.setattr(timeline, "EXAMINED", 10)
    world.active_agent()
    for number in range(25):
        services.update_agent(**world.to(), name=f"Name {number}")
    filters = newest.Filters(type_prefix="AgentCreated", agent=agent)

    pages, before, found = 0, None, []
    for _ in range(10):
        page = newest.page(world.acme, filters, before)
        pages += 1
        found += page.rows
        before = page.next
        if before is None:
            break

    last = world.newest_event()
    assert before is None
    assert [event.type for event in found] == ["AgentCreatedEvent"]
    assert pages == -(-(last.version if agent else last.seq) // 10)


def test_a_short_page_says_that_there_are_older_events_to_look_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "EXAMINED", 2)
    world.active_agent()
    world.active_agent("agent-2")

    text = text_of(world.carol.get(world.page("events/"), type="MemberRemoved"))

    assert "None of the events looked at matches." in text
    assert "Older" in text


def test_a_page_deep_in_the_log_costs_what_the_first_costs(world: World) -> None:
    world.active_agent()
    world.carol.get(world.page("events/"))  # the first visit notes the tenant in the session
    with CaptureQueriesContext(connection) as first:
        world.carol.get(world.page("events/"))
    with CaptureQueriesContext(connection) as deep:
        world.carol.get(world.page("events/"), before=3)

    assert len(first) == len(deep)
    assert not [query for query in deep.captured_queries if "OFFSET" in query["sql"]]


def test_the_event_page_shows_envelope_data_and_hash_and_leads_to_the_agent(world: World) -> None:
    world.create_agent(metadata={"owner": "team-a"})
    event = Event.objects.get(tenant=world.acme, type="AgentCreatedEvent")

    text = text_of(world.carol.get(world.page(f"events/{event.event_id}/")))

    assert bytes(event.hash).hex() in text
    assert f"{world.page('agents/agent-1/')}" in text
    assert "&quot;owner&quot;: &quot;team-a&quot;" in text
    assert "system:setup" in text


def test_the_event_page_says_in_a_sentence_what_happened(world: World) -> None:
    world.active_agent()
    services.pause_agent(**world.to(), reason="<b>Night</b>\u202e")
    event = Event.objects.get(tenant=world.acme, type="AgentPausedEvent")

    text = text_of(world.carol.get(world.page(f"events/{event.event_id}/")))

    assert "system:setup paused agent-1: &lt;b&gt;Night&lt;/b&gt;\ufffd</p>" in text


def test_an_event_that_this_release_does_not_know_is_told_in_no_words() -> None:
    dream = Event(type="AgentDreamtEvent", schema_version="7.0", data='{"dream": 1.50}')
    damaged = Event(type="AgentTaskCompletedEvent", schema_version="2.0", data='{"task_id"')

    assert (wording.sentence(dream), wording.line(dream)) == ("", "")
    assert (wording.sentence(damaged), wording.line(damaged)) == ("", "")


def test_a_tenants_own_fact_has_a_page_without_an_agent(world: World) -> None:
    event = Event.objects.filter(tenant=world.acme, type="MemberAdded")[0]

    text = text_of(world.carol.get(world.page(f"events/{event.event_id}/")))

    assert "the tenant" in text
    assert "/agents/" + world.acme not in text


def test_the_data_is_shown_as_it_is_stored(world: World) -> None:
    world.create_agent(metadata={"big": 2**63 - 1, "whole": 1.0, "text": "\u00e9"})
    event = Event.objects.get(tenant=world.acme, type="AgentCreatedEvent")

    shown = world.carol.get(world.page(f"events/{event.event_id}/")).context["data"]

    assert json.loads(shown) == json.loads(event.data)
    assert str(2**63 - 1) in shown
    assert '"whole": 1.0' in shown


def test_where_a_command_came_from_is_for_admins_and_auditors(world: World) -> None:
    world.create_agent()
    world.bob.post(world.page("agents/agent-1/activate/"))
    path = world.page(f"events/{world.newest_event().event_id}/")

    assert "127.0.0.1" in text_of(world.alice.get(path))
    assert "127.0.0.1" in text_of(world.carol.get(path))
    assert "127.0.0.1" not in text_of(world.bob.get(path))


def test_an_absent_event_is_not_found(world: World) -> None:
    assert world.carol.get(world.page(f"events/{uuid.uuid4()}/")).status_code == 404


def test_no_page_of_events_takes_a_post(world: World) -> None:
    path = world.page(f"events/{world.newest_event().event_id}/")

    assert world.alice.post(path).status_code == 405
    assert world.alice.post(world.page("events/")).status_code == 405


def test_only_known_types_have_a_wording() -> None:
    assert set(_LINES) <= set(types())


def test_an_event_of_an_older_version_is_shown_in_the_newest_and_as_it_is_stored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        _LINES, "AgentTaskCompletedEvent", lambda d: f"{d['task_id']}, usage {d['usage']}"
    )
    old = AgentTaskCompletedEventV1("old-1", task_id="t-9", result={"b": 1.0})
    append(world.acme, Proposal("agent", "old-1", 0, [old], SETUP))
    event = world.newest_event()

    response = world.carol.get(world.page(f"events/{event.event_id}/"))

    text = text_of(response)
    assert "2.0, stored as 1.0" in text
    assert "As it is stored, in 1.0" in text
    assert json.loads(response.context["data"]) == json.loads(event.data) | {"usage": None}
    assert response.context["stored"] == event.data
    assert "old-1 completed t-9 in 0 ms" in text
    assert "t-9, usage None" in text_of(world.carol.get(world.page("events/")))
    assert "t-9, usage None" in text_of(world.carol.get(world.page("events/"), agent="old-1"))


def test_an_event_of_the_newest_version_is_shown_once(world: World) -> None:
    event = world.newest_event()

    text = text_of(world.carol.get(world.page(f"events/{event.event_id}/")))

    assert "As it is stored" not in text
    assert "stored as" not in text


def test_an_event_that_this_release_does_not_know_is_shown_as_it_is_stored() -> None:
    dream = Event(type="AgentDreamtEvent", schema_version="7.0", data='{"dream": 1.50}')
    damaged = Event(type="AgentTaskCompletedEvent", schema_version="1.0", data='{"task_id"')

    assert data.newest(dream) == ("7.0", b'{"dream": 1.50}')
    assert data.newest(damaged) == ("1.0", b'{"task_id"')
