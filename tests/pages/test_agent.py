"""One agent's page and its timeline."""

from typing import Any

import pytest

from agents import services
from agents.pages import summaries
from agents.pages.summaries import Entry
from events.log.proposal import Context
from tests.pages.conftest import World, text_of
from tests.pages.html import form_actions, what_the_policy_forbids
from tests.pages.lives import beat, by, long_life, queries

TABS = ["agents/agent-1/", "agents/agent-1/timeline/", "agents/agent-1/history/"]


def entries(world: World, **query: str | int) -> list[Entry]:
    found: list[Entry] = timeline(world, **query)["page"].entries
    return found


def timeline(world: World, **query: str | int) -> Any:
    return world.carol.get(world.page("agents/agent-1/timeline/"), **query).context


def types(entry: Entry) -> list[str]:
    return [event.type.removesuffix("Event") for event in entry.events]


def test_the_page_shows_the_agents_state_what_it_can_and_what_people_wrote(world: World) -> None:
    world.create_agent(
        description="Translates letters", tags=["eu-west"], metadata={"owner": "team-a"}
    )
    services.activate_agent(**world.to())
    services.assign_task(**world.to(), task_id="t-7")
    beat(world)

    text = text_of(world.carol.get(world.page("agents/agent-1/")))

    for expected in ("Translates letters", "translation", "eu-west", "team-a", "t-7", "BUSY"):
        assert expected in text
    assert f"http://testserver/t/{world.acme}/agents/agent-1" in text


def test_a_paused_agent_says_until_when_and_why_and_that_it_finishes_its_task(world: World) -> None:
    world.busy_agent()
    services.pause_agent(**world.to(), reason="Model upgrade")

    text = text_of(world.carol.get(world.page("agents/agent-1/")))

    assert "paused: Model upgrade" in text
    assert "It finishes its task and takes no other." in text


def test_an_auditor_sees_no_command(world: World) -> None:
    world.busy_agent()

    page = text_of(world.carol.get(world.page("agents/agent-1/")))

    assert form_actions(page) == []
    assert "new-agent" not in text_of(world.carol.get(world.page("agents/")))


def test_a_terminated_agent_says_that_its_life_is_over(world: World) -> None:
    world.create_agent()
    services.terminate_agent(**world.to(), reason="Old")

    assert "takes no commands" in text_of(world.bob.get(world.page("agents/agent-1/")))


def test_what_one_command_did_is_one_entry_with_a_link_to_each_event(world: World) -> None:
    world.active_agent()
    services.pause_agent(**by(world, "alice", "Upgrade"), reason="Upgrade")
    services.terminate_agent(**by(world, "alice", "Old"), reason="Old")

    ended, paused, *_ = entries(world)

    assert types(paused) == ["AgentPaused", "AgentStatusChanged"]
    assert (paused.headline.type, paused.sentence) == (
        "AgentPausedEvent",
        "alice paused agent-1: Upgrade",
    )
    assert (ended.headline.type, ended.reason) == ("AgentTerminatedEvent", "")
    text = text_of(world.carol.get(world.page("agents/agent-1/timeline/")))
    for event in (*paused.events, *ended.events):
        assert world.page(f"events/{event.event_id}/") in text
        assert f"?version={event.version}" in text


def test_a_reason_that_the_sentence_does_not_give_stands_beside_it(world: World) -> None:
    world.active_agent()
    services.assign_task(**by(world, "alice", "The others are busy"), task_id="t-1")

    assert entries(world)[0].reason == "The others are busy"


def test_one_correlation_is_one_entry_over_several_commands(world: World) -> None:
    world.active_agent()
    chain = Context(actor="token:ci", correlation_id="order-66")
    to = world.to() | {"by": chain}
    services.assign_task(**to, task_id="t-1")
    services.complete_task(**to, task_id="t-1", execution_time_ms=5)
    services.assign_task(**world.to(), task_id="t-2")

    other, chained, *_ = entries(world)

    assert types(other) == ["AgentTaskAssigned", "AgentStatusChanged"]
    assert types(chained) == [
        "AgentTaskAssigned",
        "AgentStatusChanged",
        "AgentTaskCompleted",
        "AgentStatusChanged",
    ]
    assert chained.headline.type == "AgentTaskCompletedEvent"


def test_heartbeats_are_folded_until_something_comes_of_one(world: World) -> None:
    world.active_agent()
    beat(world, 7)
    services.record_health_failure(**by(world, "system:health"), reason="Silence")
    beat(world, 3)  # the first of them ends the outage

    later, recovery, _, earlier, *_ = entries(world)

    assert [(each.is_run, each.number) for each in (later, earlier)] == [(True, 2), (True, 7)]
    assert types(recovery) == ["AgentHealthCheckPassed", "AgentStatusChanged"]
    text = text_of(world.carol.get(world.page("agents/agent-1/timeline/")))
    assert "7 heartbeats" in text
    each = entries(world, heartbeats="each", before=earlier.after)
    assert [types(entry) for entry in each[:7]] == [["AgentHealthCheckPassed"]] * 7


def test_the_older_entries_follow_without_a_gap(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summaries, "EXAMINED", 9)
    world.active_agent()
    for number in range(6):
        services.assign_task(**by(world, "alice"), task_id=f"t-{number}")
        beat(world, 4)
        services.complete_task(**by(world, "alice"), task_id=f"t-{number}", execution_time_ms=1)
    newest = timeline(world)["loaded"].version
    seen: list[int] = []
    query: str | None = ""

    while query is not None:
        context = world.carol.get(world.page("agents/agent-1/timeline/") + query).context
        for entry in context["page"].entries:
            assert entry.number == entry.last_version - entry.first_version + 1
            if not entry.is_run and entry.first_version > 1:  # none is cut in two
                assert types(entry)[-1] == "AgentStatusChanged"
                assert entry.number == 2
            seen += range(entry.last_version, entry.first_version - 1, -1)
        query = context["older"]

    assert seen == list(range(newest, 0, -1))


def test_a_chain_of_causes_that_never_ends_is_cut(world: World) -> None:
    world.active_agent()
    chain = Context(actor="token:ci", correlation_id="for-ever")
    for number in range(15):
        services.update_agent(
            tenant=world.acme, agent_id="agent-1", name=f"Name {number}", by=chain
        )
        services.update_agent(
            tenant=world.acme, agent_id="agent-1", description=f"{number}", by=chain
        )

    assert [entry.number for entry in entries(world)][:2] == [summaries.MOST_TOGETHER, 10]


def test_a_page_that_begins_before_the_beginning_says_so(world: World) -> None:
    world.create_agent()

    assert "Nothing older." in text_of(
        world.carol.get(world.page("agents/agent-1/timeline/"), before=1)
    )


def test_what_a_task_was_given_and_gave_is_on_no_tab(world: World) -> None:
    world.active_agent()
    services.assign_task(**world.to(), task_id="t-1", input={"secret": "hush-hush"})
    services.complete_task(
        **world.to(), task_id="t-1", execution_time_ms=5, result={"secret": "hush-hush"}
    )

    for page in TABS:
        assert "hush-hush" not in text_of(world.carol.get(world.page(page)))


@pytest.mark.parametrize("page", TABS)
def test_only_what_happens_to_the_agent_itself_wakes_its_pages(world: World, page: str) -> None:
    world.create_agent()

    text = text_of(world.carol.get(world.page(page)))

    assert f'data-stream="/api/v1/tenants/{world.acme}/stream?agent=agent-1"' in text


@pytest.mark.parametrize("page", TABS)
def test_what_people_wrote_is_text_on_every_tab(world: World, page: str) -> None:
    world.create_agent(
        name="<script>alert(1)</script>",
        description="<img src=x>",
        metadata={"x": "</code><img src=x>", "<b>": 1},
        tags=["<i>"],
    )
    services.activate_agent(**by(world, "alice", "<script>alert(2)</script>"))

    text = text_of(world.alice.get(world.page(page)))

    assert "<script>alert" not in text
    assert "<img src=x>" not in text
    assert what_the_policy_forbids(text) == []


def test_an_agent_with_twenty_thousand_events_costs_no_more_queries(world: World) -> None:
    for agent_id, heartbeats in (("agent-1", 40), ("agent-2", 20_000)):
        world.active_agent(agent_id)
        long_life(world, agent_id, heartbeats)
    pages = {
        "{}": 12,
        "{}timeline/": 10,
        "{}timeline/?before=5": 10,
        "{}history/": 13,
        "{}history/?version=5": 14,
        "{}history/?version=5&compare=1": 24,
    }
    for page in pages:  # the first visit notes the tenant in the session
        queries(world, page.format("agents/agent-1/"))

    for page, most in pages.items():
        few = queries(world, page.format("agents/agent-1/"))
        many = queries(world, page.format("agents/agent-2/"))
        assert len(many) <= len(few) <= most, page
        assert not [sql for sql in many if "COUNT(" in sql.upper()], page
