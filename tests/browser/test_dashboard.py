"""The dashboard as somebody looks at it: charts, their tables, and figures that stay true."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from agents import services
from tests.browser.browsing import NARROW, Visits, too_wide
from tests.pages.conftest import World


def end_a_task(world: World, task_id: str) -> None:
    services.assign_task(**world.to(), task_id=task_id)
    services.complete_task(**world.to(), task_id=task_id, execution_time_ms=120)


def test_charts_fill_while_one_looks_and_an_open_table_stays_open(
    visit: Visits, world: World, accessible: Callable[[Page], bool]
) -> None:
    world.active_agent()
    end_a_task(world, "t-1")
    page = visit(world.carol, world.page() + "?range=1h")
    completed = page.locator(".figures div", has_text="Completed").locator("dd")
    expect(completed).to_have_text("1")
    summary = page.locator("#throughput-table summary")
    summary.focus()
    page.keyboard.press("Enter")
    table = page.get_by_role("region", name="Tasks that ended, per minute as a table")
    expect(table).to_be_visible()

    end_a_task(world, "t-2")

    expect(completed).to_have_text("2")
    expect(table).to_be_visible()
    expect(page.get_by_role("img", name="Tasks that ended, per minute")).to_be_visible()
    assert accessible(page)


def test_on_a_phone_nothing_of_it_is_cut_off(
    visit: Visits, world: World, accessible: Callable[[Page], bool]
) -> None:
    world.active_agent()
    end_a_task(world, "t-1")
    page = visit(world.bob, world.page(), width=NARROW, dark=True)

    expect(page.get_by_role("img", name="Execution time")).to_be_visible()
    page.get_by_role("link", name="7 days").click()
    expect(page.get_by_role("link", name="7 days")).to_have_attribute("aria-current", "true")

    assert too_wide(page) == 0
    assert accessible(page)
