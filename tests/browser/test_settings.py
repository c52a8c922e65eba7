"""The settings as a tenant's admin changes them in a browser."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.browsing import NARROW, Visits, too_wide
from tests.pages.conftest import World

PAGES = [
    "settings/",
    "members/",
    "settings/alert-rules/agent-unhealthy/",
    "settings/new-rule/",
    "settings/retention/",
]


def test_an_admin_goes_through_the_settings(visit: Visits, world: World) -> None:
    page = visit(world.alice, world.page())

    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Time zone").fill("Europe/Berlin")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The settings are changed.")).to_be_visible()

    page.get_by_role("link", name="Members and roles").click()
    page.get_by_role("link", name=f"Change {world.bob.username}").click()
    page.get_by_label("auditor").check()
    page.get_by_role("button", name="Set role").click()
    expect(page.get_by_text(f"{world.bob.username} is now auditor.")).to_be_visible()

    page.get_by_role("link", name="Alert rules").click()
    page.get_by_role("link", name="New rule").click()
    page.get_by_label("Name").fill("failures")
    page.get_by_label("Events").fill("AgentTaskFailedEvent")
    page.get_by_label("Tell by webhook").fill("https://example.com/hook")
    page.get_by_role("button", name="Create rule").click()
    expect(page.get_by_text("Copy it now")).to_be_visible()

    page.get_by_label("Confirm").fill("failures")
    page.get_by_label("Reason").fill("Only a trial.")
    page.get_by_role("button", name="Delete failures").click()
    expect(page.get_by_text("The rule failures is deleted.")).to_be_visible()


def test_the_settings_have_no_barrier_and_fit_a_phone(
    visit: Visits, world: World, accessible: Callable[[Page], bool]
) -> None:
    page = visit(world.alice, world.page())
    for path in (*PAGES, f"members/change/?username={world.bob.username}"):
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(world.page(path))
        expect(page.locator(".tabs [aria-current]")).to_be_visible()
        assert accessible(page), path
        page.set_viewport_size({"width": NARROW, "height": 900})
        assert too_wide(page) == 0, path
