"""The timeline before somebody's eyes: what is completed, what is told, what comes in live."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from events.log.append import append
from events.log.proposal import Proposal
from events.models import Event
from events.vocabulary import AgentHealthCheckPassedEvent
from tests.browser.browsing import NARROW, Visits, too_wide
from tests.pages.conftest import SETUP, World


def heartbeats(world: World, count: int, agent_id: str = "agent-1") -> None:
    version = Event.objects.filter(tenant=world.acme, stream_id=agent_id).count()
    facts = [AgentHealthCheckPassedEvent(agent_id) for _ in range(count)]
    append(world.acme, Proposal("agent", agent_id, version, facts, SETUP))


def shown(page: Page) -> list[int]:
    seqs: list[int] = page.eval_on_selector_all(
        "#events tbody tr", "rows => rows.map(row => Number(row.dataset.seq))"
    )
    return seqs


def test_a_query_is_completed_by_keyboard_and_told_where_it_is_wrong(
    visit: Visits, world: World, accessible: Callable[[Page], bool]
) -> None:
    world.active_agent("alpha-1")
    world.create_agent("beta-1")
    page = visit(world.carol, world.page("events/"))
    asked = page.get_by_role("combobox", name="Query")

    page.keyboard.press("/")
    expect(asked).to_be_focused()
    page.keyboard.type("ty")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(asked).to_have_value("type:")
    page.keyboard.type("agentcr")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option", selected=True)).to_contain_text("AgentCreatedEvent")
    assert accessible(page)
    page.keyboard.press("Tab")
    page.keyboard.type("-agent:be")
    page.get_by_role("option", name="beta-1").click()
    expect(asked).to_have_value("type:AgentCreatedEvent -agent:beta-1 ")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")

    expect(page.locator("#events tbody tr")).to_have_count(1)
    expect(page.locator("#events tbody")).to_contain_text("created alpha-1")
    page.get_by_role("combobox", name="Query").fill("type:AgentTasc*")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Did you mean AgentTask*?")
    expect(page.locator("mark")).to_contain_text("AgentTasc*")
    assert accessible(page)


@pytest.mark.parametrize("width", [1280, NARROW])
def test_the_timeline_and_an_event_have_no_barrier(
    visit: Visits, world: World, accessible: Callable[[Page], bool], width: int
) -> None:
    world.active_agent()
    page = visit(world.alice, world.page("events/?q=type:Agent*"), width=width)

    assert accessible(page)
    assert too_wide(page) == 0
    page.get_by_role("link", name=re.compile("created agent-1")).click()
    expect(page.get_by_role("heading", name="Before and after")).to_be_visible()
    assert accessible(page)
    assert too_wide(page) == 0


def test_new_events_come_without_a_gap_however_long_one_pauses(visit: Visits, world: World) -> None:
    heartbeats(world, 5)
    page = visit(world.alice, world.page("events/"))
    expect(page.get_by_role("button", name="Live")).to_have_attribute("data-state", "live")
    first = shown(page)[0]

    heartbeats(world, 3)
    expect(page.get_by_role("button", name="Show 3 new")).to_be_visible()
    assert shown(page)[0] == first  # nothing moves under one's eyes
    page.keyboard.press("n")
    assert shown(page)[0] == first + 3

    page.get_by_role("button", name="Follow").click()
    heartbeats(world, 2)
    expect(page.locator(f"[data-seq='{first + 5}']")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    for _ in range(6):  # the log grows on while nobody looks
        heartbeats(world, 100)
        page.wait_for_timeout(100)
    expect(page.get_by_text("200+ new, more than one can read at once")).to_be_visible()
    assert shown(page)[0] == first + 5
    more = page.get_by_role("button", name=re.compile("Show "))
    for pages in range(1, 4):
        more.click()
        expect(page.locator(f"[data-seq='{first + 5 + 200 * pages}']")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Show "))).to_be_hidden()

    seqs = shown(page)
    assert seqs == list(range(first + 605, first + 605 - 500, -1))
    assert page.locator(".export [name=to_seq]").input_value() == str(first + 605)
    page.get_by_role("link", name="Older").click()
    expect(page.locator(f"[data-seq='{seqs[-1] - 1}']")).to_be_visible()
    assert shown(page)[0] == seqs[-1] - 1


def test_a_query_that_is_followed_shows_what_fits_and_nothing_else(
    visit: Visits, world: World
) -> None:
    page = visit(world.bob, world.page("events/?q=type:AgentCreatedEvent"))
    expect(page.get_by_text("Nothing fits.")).to_be_visible()
    page.get_by_role("button", name="Follow").click()

    heartbeats(world, 10, "noise-1")
    world.create_agent("alpha-1")

    expect(page.locator("#events tbody tr")).to_have_count(1)
    expect(page.get_by_role("link", name=re.compile("created alpha-1"))).to_be_visible()
    expect(page.get_by_text("Nothing fits.")).to_be_hidden()
