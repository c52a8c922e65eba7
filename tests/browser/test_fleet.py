"""A fleet in the browser: rows that move, keys that tick, many at once, and a file of agents."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from agents import services
from agents.domain.state import Intent
from tests.browser.browsing import NARROW, Visits, too_wide
from tests.pages.conftest import World

FILE = "agent_id,name,capabilities,activate\nnew-1,Ada,ocr:1,yes\nnew-2,Carl,ocr,\n"


def test_many_are_ticked_by_keys_seen_through_a_dry_run_and_paused(
    visit: Visits, world: World, accessible: Callable[[Page], bool]
) -> None:
    for number in range(1, 5):
        world.active_agent(f"agent-{number}")
    page = visit(world.bob, world.page("agents/"))

    for key in "jxjx":
        page.keyboard.press(key)
    expect(page.get_by_label("With", exact=True)).to_contain_text("the 2 ticked")
    # Rows change under the ticks, which stay.
    services.assign_task(**world.to("agent-2"), task_id="t-7")
    expect(page.locator("#row-agent-2")).to_contain_text("BUSY")
    expect(page.locator("#facets")).to_contain_text(re.compile(r"BUSY\s*1"))
    expect(page.locator("#fleet input:checked[name=agent]")).to_have_count(2)
    assert accessible(page)
    page.get_by_role("button", name="Pause…").click()
    expect(page.get_by_role("heading", name="All 2 can be paused")).to_be_visible()
    assert accessible(page)
    page.get_by_label("Reason").fill("Night")
    page.get_by_role("button", name="Pause 2 agents").click()

    expect(page.get_by_role("heading", name="2 paused")).to_be_visible()
    assert accessible(page)
    page.reload()
    expect(page.get_by_text("AVAILABLE → PAUSED")).to_be_visible()
    assert world.agent("agent-2").intent is Intent.PAUSED
    assert world.agent("agent-3").intent is Intent.ACTIVE


def test_a_page_of_ticks_is_one_click_and_the_past_has_none(visit: Visits, world: World) -> None:
    world.active_agent("agent-1")
    world.active_agent("agent-2")
    page = visit(world.bob, world.page("agents/"), width=NARROW)

    page.evaluate("document.getElementById('pick-all').click()")
    expect(page.get_by_label("With", exact=True)).to_contain_text("the 2 ticked")
    assert too_wide(page) == 0
    page.get_by_label("As of").fill("2001-01-01T00:00:00")
    page.get_by_role("button", name="Show").click()

    expect(page.get_by_text("Before the first event of the log")).to_be_visible()
    expect(page.get_by_role("checkbox")).to_have_count(0)
    page.get_by_role("link", name="Back to now").click()
    expect(page.get_by_role("link", name="Name of agent-1")).to_be_visible()


def test_a_file_is_mended_on_the_page_and_created(
    visit: Visits, world: World, accessible: Callable[[Page], bool]
) -> None:
    page = visit(world.bob, world.page("import/"))
    file = {"name": "agents.csv", "mimeType": "text/csv", "buffer": FILE.encode("utf-8-sig")}

    page.get_by_label("CSV file").set_input_files(file)  # type: ignore[arg-type]
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_text("1 agent can be created; 1 line has a fault")).to_be_visible()
    assert accessible(page)
    page.get_by_label("Or its text").fill(FILE.replace("ocr,", "ocr:2,"))
    page.get_by_role("button", name="Check").click()
    page.get_by_role("button", name="Create 2 agents").click()

    expect(page.get_by_role("heading", name="2 created")).to_be_visible()
    assert world.agent("new-1").intent is Intent.ACTIVE


def test_capabilities_get_rows_as_they_are_needed(
    visit: Visits, world: World, accessible: Callable[[Page], bool]
) -> None:
    page = visit(world.bob, world.page("new-agent/"), width=NARROW)

    page.get_by_label("Name", exact=True).fill("Ada")
    for number, name in enumerate(("nlp", "ocr", "search"), 1):
        if number == 3:
            page.get_by_role("button", name="Add a row").click()
        page.get_by_label(f"Capability {number}", exact=True).fill(name)
        page.get_by_label(f"Level of capability {number}").select_option("3")
    assert accessible(page)
    assert too_wide(page) == 0
    page.get_by_role("button", name="Create agent").click()

    expect(page.get_by_text("is registered. Activate it to give it tasks.")).to_be_visible()
