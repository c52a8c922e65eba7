"""One agent's pages as somebody with a browser, a keyboard or a screen reader meets them."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from agents import services
from tests.browser.browsing import NARROW, Visits, too_wide
from tests.pages.conftest import World
from tests.pages.lives import beat, by

MACHINE = "agents/agent-1/history/"


def lived(world: World) -> None:
    """Eleven versions, the seventh a pause."""
    world.active_agent(tags=["eu"], metadata={"owner": "team-a"})
    services.add_capability(**by(world, "alice", "Needed"), name="ocr", proficiency_level=2)
    services.assign_task(**by(world, "alice"), task_id="t-1")
    services.pause_agent(**by(world, "alice", "Upgrade"), reason="Upgrade")
    services.complete_task(**by(world, "agent:agent-1"), task_id="t-1", execution_time_ms=5)
    services.resume_agent(**by(world, "bob", "Done"), reason="Done")


def stands_at(page: Page, version: int) -> None:
    expect(page.locator("#machine-now")).to_contain_text(f"Version {version} of 11")
    expect(page).to_have_url(re.compile(rf"[?&]version={version}(&|$)"))


def test_the_time_machine_goes_step_by_step_with_the_keyboard_and_focus_stays(
    visit: Visits, world: World
) -> None:
    lived(world)
    page = visit(world.carol, world.page(f"{MACHINE}?version=6"))
    page.evaluate("document.documentElement.dataset.same = 'page'")

    page.keyboard.press("ArrowRight")
    stands_at(page, 7)
    expect(page.locator("#slider")).to_have_attribute(
        "aria-valuetext", re.compile(r"^version 7 of 11, .*, alice paused agent-1: Upgrade$")
    )
    expect(page.get_by_text("/pause_reason")).to_be_visible()
    page.locator("#slider").focus()
    page.keyboard.press("End")
    stands_at(page, 11)
    page.keyboard.press("ArrowLeft")
    stands_at(page, 10)
    expect(page.locator("#slider")).to_be_focused()
    page.locator("#step-next").focus()
    page.keyboard.press("Enter")
    stands_at(page, 11)
    expect(page.locator("#step-next")).to_be_focused()
    page.keyboard.press("Home")
    stands_at(page, 1)

    page.reload()
    stands_at(page, 1)


def test_a_version_is_held_and_compared_while_others_are_visited(
    visit: Visits, world: World
) -> None:
    lived(world)
    page = visit(world.carol, world.page(f"{MACHINE}?version=3"))

    page.get_by_role("link", name="Hold version 3").click()
    expect(page.get_by_text("Version 3 is held.")).to_be_visible()
    page.get_by_role("link", name="Next status").click()
    stands_at(page, 6)
    expect(page.get_by_role("heading", name="From version 3 to version 6")).to_be_visible()
    changes = page.get_by_role("region", name="From version 3 to version 6")
    expect(changes.get_by_text("AgentCapabilityAddedEvent")).to_be_visible()
    page.get_by_role("search", name="Jump to a version").get_by_label("Version").fill("11")
    page.keyboard.press("Enter")
    stands_at(page, 11)
    expect(page.get_by_role("heading", name="From version 3 to version 11")).to_be_visible()
    page.go_back()
    stands_at(page, 6)
    page.get_by_role("textbox", name="Compare with").fill("soon")
    page.keyboard.press("Enter")

    expect(page.get_by_role("alert")).to_contain_text("That is no moment.")


def test_the_state_and_what_may_be_done_are_live_and_an_open_form_stays(
    visit: Visits, world: World
) -> None:
    world.active_agent()
    page = visit(world.bob, world.page("agents/agent-1/"))
    expect(page.get_by_role("button", name="Live")).to_have_attribute("data-state", "live")
    page.locator("summary", has_text="Pause…").click()
    form = page.locator("#pause")
    form.get_by_label("Reason").fill("Model upgrade")

    services.assign_task(**by(world, "alice"), task_id="t-7")

    expect(page.locator("summary", has_text="Complete task…")).to_be_visible()
    expect(page.get_by_text("alice assigned t-7 to agent-1")).to_be_visible()
    expect(form.get_by_label("Reason")).to_have_value("Model upgrade")
    form.get_by_label("For optional").select_option("4 hours")
    form.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_text("agent-1 is paused.")).to_be_visible()
    expect(page.get_by_text("It finishes its task and takes no other.")).to_be_visible()


def test_every_tab_is_without_barriers_and_fits_a_phone(
    visit: Visits, world: World, accessible: Callable[[Page], bool]
) -> None:
    lived(world)
    beat(world, 3)
    page = visit(world.bob, world.page("agents/agent-1/timeline/"), width=NARROW)

    assert accessible(page)
    assert too_wide(page) == 0
    page.goto(world.page(f"{MACHINE}?version=7&compare=3"))
    assert accessible(page)
    assert too_wide(page) == 0
    page.goto(world.page("agents/agent-1/"))
    page.locator("summary", has_text="Terminate…").click()
    assert accessible(page)
    assert too_wide(page) == 0
