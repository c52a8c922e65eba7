"""The page of a single event."""

import json
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import services
from events import causes
from events.ancestors.agent_task_completed_1_0 import AgentTaskCompletedEventV1
from events.log.append import append
from events.log.proposal import Context, Proposal
from events.models import Event, SignedCheckpoint
from events.pages import data, wording
from events.pages.wording import _LINES
from events.registry import types
from events.vocabulary import AgentHealthCheckPassedEvent
from tests.pages.conftest import SETUP, World, text_of


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
    assert "old-1 completed t-9 in 0 ms" in text_of(world.carol.get(world.page("events/")))
    assert "t-9, usage None" in text_of(world.carol.get(world.page()))


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


def caused(world: World, agent_id: str, by: Event | None, correlation: str = "c-1") -> Event:
    """A new event, told to be caused by another."""
    version = Event.objects.filter(tenant=world.acme, stream_id=agent_id).count()
    context = Context(
        actor="user:zoe",
        correlation_id=correlation,
        causation_id=str(by.event_id) if by else None,
    )
    fact = AgentHealthCheckPassedEvent(agent_id)
    append(world.acme, Proposal("agent", agent_id, version, [fact], context))
    return world.newest_event()


def test_causes_are_told_upwards_and_effects_downwards(world: World) -> None:
    first = caused(world, "one", None)
    second = caused(world, "two", first)
    third = caused(world, "three", second)
    caused(world, "four", caused(world, "two-b", first))
    path = world.page(f"events/{second.event_id}/")

    response = world.bob.get(path)

    assert [each.seq for each in response.context["causes"].events] == [first.seq]
    below = response.context["effects"]
    assert [each.event.seq for each in below.effects] == [third.seq]
    assert not below.has_more
    top = world.bob.get(world.page(f"events/{first.event_id}/")).context["effects"]
    assert [each.event.stream_id for each in top.effects] == ["two", "two-b"]
    assert [each.event.stream_id for each in top.effects[0].effects] == ["three"]
    assert [each.event.stream_id for each in top.effects[1].effects] == ["four"]
    assert [each.stream_id for each in response.context["together"]] == [
        *("one", "three", "two-b", "four")
    ]
    assert "?q=correlation%3Ac-1" in text_of(response)


def test_a_chain_is_followed_so_far_and_no_farther(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causes, "DEPTH", 2)
    monkeypatch.setattr(causes, "BREADTH", 2)
    chain = [caused(world, "one", None)]
    for _ in range(4):
        chain.append(caused(world, "one", chain[-1]))
    for number in range(3):
        caused(world, f"leaf-{number}", chain[-1])

    up = causes.causes(chain[-1])
    assert ([each.seq for each in up.events], up.goes_on) == (
        [chain[2].seq, chain[3].seq],
        True,
    )
    down = causes.effects(chain[0])
    assert [each.event.seq for each in down.effects] == [chain[1].seq]
    assert down.effects[0].effects[0].has_more
    broad = causes.effects(chain[-1])
    assert (len(broad.effects), broad.has_more) == (2, True)
    text = text_of(world.bob.get(world.page(f"events/{chain[-1].event_id}/")))
    assert "There may be more" in text
    assert "There are causes above these" in text


def test_a_cause_that_is_no_event_of_the_log_is_told_as_it_was_named(world: World) -> None:
    mallory = world.mallory.username
    elsewhere = Event.objects.filter(tenant=world.globex)[0]
    strange = caused(world, "one", elsewhere)
    context = Context(actor="user:zoe", causation_id="<mail-1>")
    fact = AgentHealthCheckPassedEvent("two")
    append(world.acme, Proposal("agent", "two", 0, [fact], context))

    of_globex = text_of(world.bob.get(world.page(f"events/{strange.event_id}/")))
    assert f"{elsewhere.event_id}</span>, which is no event of this log" in of_globex
    assert mallory not in of_globex
    text = text_of(world.bob.get(world.page(f"events/{world.newest_event().event_id}/")))
    assert "&lt;mail-1&gt;</span>, which is no event of this log" in text


def test_an_event_shows_what_it_changed_about_its_agent(world: World) -> None:
    world.active_agent()
    services.pause_agent(**world.to(), reason="Night")
    paused = Event.objects.get(tenant=world.acme, type="AgentPausedEvent")
    status = world.newest_event()
    created = Event.objects.get(tenant=world.acme, type="AgentCreatedEvent")

    def changed(event: Event) -> dict[str, tuple[str, str]]:
        page = world.bob.get(world.page(f"events/{event.event_id}/"))
        (panel,) = page.context["panels"]
        return {row.path: (row.before, row.after) for row in panel.context["rows"]}

    assert changed(paused)["/status"] == ('"AVAILABLE"', '"PAUSED"')
    assert changed(paused)["/pause_reason"] == ("null", '"Night"')
    assert changed(created)["/name"] == ("", '"Name of agent-1"')
    assert changed(status) == {}
    text = text_of(world.bob.get(world.page(f"events/{status.event_id}/")))
    assert "The agent is the same before and after." in text


def test_an_event_leads_to_those_beside_it_in_the_log_and_in_its_stream(world: World) -> None:
    world.create_agent("agent-1")
    world.create_agent("agent-2")
    services.update_agent(**world.to("agent-1"), name="New")
    event = world.newest_event()

    context = world.bob.get(world.page(f"events/{event.event_id}/")).context

    assert (context["previous"].seq, context["following"]) == (event.seq - 1, None)
    assert context["previous_version"].seq == event.seq - 2
    assert context["following_version"] is None
    assert context["permalink"].endswith(f"/t/{world.acme}/events/{event.event_id}")


def test_an_event_says_whether_its_hash_holds_and_which_checkpoint_covers_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = [Event.objects.get(tenant=world.acme, seq=1), world.newest_event()]
    for event in heads:
        text = text_of(world.bob.get(world.page(f"events/{event.event_id}/")))
        assert "holds</span> computed now" in text
        assert "none covers it yet" in text
    SignedCheckpoint.objects.create(tenant_id=world.acme, seq=heads[1].seq, note="x")

    text = text_of(world.bob.get(world.page(f"events/{heads[0].event_id}/")))
    assert f"covered by the one at seq {heads[1].seq}" in text
    monkeypatch.setattr("events.log.verify.chain.link_encoded", lambda *_: b"another")
    text = text_of(world.bob.get(world.page(f"events/{heads[0].event_id}/")))
    assert "does not follow" in text


def test_the_page_of_an_event_asks_as_few_questions_of_a_long_log(world: World) -> None:
    event = caused(world, "one", None)
    path = world.page(f"events/{event.event_id}/")
    world.bob.get(path)  # the first visit notes the tenant in the session
    with CaptureQueriesContext(connection) as alone:
        world.bob.get(path)
    for _ in range(30):
        caused(world, "one", None)
    with CaptureQueriesContext(connection) as among:
        world.bob.get(path)

    assert len(alone) == len(among) <= 20, [each["sql"] for each in among]
