"""A task's way through the browser: refused where it was typed, given, seen to end."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from agents import services
from tests.browser.browsing import NARROW, Visits, too_wide
from tests.pages.conftest import World


def test_an_operator_gives_a_task_and_sees_it_end(
    visit: Visits, world: World, accessible: Callable[[Page], bool]
) -> None:
    world.active_agent()
    page = visit(world.bob, world.page("tasks/"))
    page.get_by_role("link", name="New task").first.click()
    page.get_by_label("Task id").fill("t-9")
    page.get_by_label("Required capabilities").fill("flying")
    page.get_by_role("button", name="Give the task").click()
    expect(page.get_by_text("No agent has flying.")).to_be_visible()
    assert accessible(page)
    page.get_by_label("Required capabilities").fill("translation 2")
    page.get_by_role("button", name="Give the task").click()

    expect(page).to_have_url(re.compile(r"/tasks/t-9/$"))
    status = page.locator("#task-status")
    expect(status).to_have_text("assigned")
    services.complete_task(**world.to(), task_id="t-9", execution_time_ms=120, result={"ok": 1})

    expect(status).to_have_text("completed")
    expect(page.get_by_text('"ok": 1')).to_be_visible()
    assert accessible(page)


def test_rows_of_tasks_change_before_ones_eyes_on_a_phone_too(
    visit: Visits, world: World, accessible: Callable[[Page], bool]
) -> None:
    world.busy_agent("agent-1", "t-1")
    page = visit(world.carol, world.page("tasks/"), width=NARROW)
    row = page.locator("tr", has_text="t-1")
    expect(row.get_by_text("assigned", exact=True)).to_be_visible()

    services.fail_task(**world.to(), task_id="t-1", error_message="No answer", error_code="BAD")

    expect(row.get_by_text("failed", exact=True)).to_be_visible()
    expect(row.get_by_text("No answer")).to_be_visible()
    assert too_wide(page) == 0
    assert accessible(page)
