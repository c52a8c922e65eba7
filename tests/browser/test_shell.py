"""What surrounds every page, as somebody with a browser meets it."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from events.durable import registration
from tests.browser.browsing import NARROW, Visits, too_wide
from tests.pages.conftest import PASSWORD, World


def test_a_person_signs_in_and_out(visit: Visits, world: World) -> None:
    page = visit(None, world.page())

    page.get_by_label("Username").fill(world.bob.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(world.page()))
    page.locator("summary", has_text=world.bob.username).click()
    page.get_by_role("button", name="Sign out").click()

    expect(page.get_by_text("You are signed out")).to_be_visible()


@pytest.mark.parametrize("width", [1280, NARROW])
def test_the_shell_has_no_barrier(
    visit: Visits, world: World, accessible: Callable[[Page], bool], width: int
) -> None:
    page = visit(world.bob, world.page("agents/"), width=width)
    if width == NARROW:
        page.get_by_role("button", name="Menu").click()

    expect(page.get_by_role("link", name="Timeline")).to_be_visible()
    assert accessible(page)
    assert too_wide(page) == 0


def test_keys_lead_to_sections_and_tell_of_themselves(visit: Visits, world: World) -> None:
    page = visit(world.bob, world.page())

    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("f")

    expect(page).to_have_url(re.compile(r"/agents/$"))


def test_times_are_shown_in_the_zone_that_the_person_chose(visit: Visits, world: World) -> None:
    world.create_agent()
    page = visit(world.bob, world.page("agents/agent-1/"))
    absolute = page.locator("main time").first.get_attribute("title")

    page.get_by_text("Times: UTC").click()
    page.get_by_role("button", name=re.compile("This device")).click()

    expect(page.get_by_text("Times:")).to_be_visible()
    assert page.locator("main time").first.get_attribute("title") == absolute


def test_what_is_live_changes_before_ones_eyes_until_it_is_stopped(
    visit: Visits, world: World
) -> None:
    page = visit(world.bob, world.page())
    expect(page.get_by_role("button", name="Live")).to_have_attribute("data-state", "live")

    world.create_agent("agent-1")
    expect(page.get_by_text("agent-1").first).to_be_visible()
    page.keyboard.press("l")
    expect(page.get_by_role("button", name="Paused")).to_be_visible()
    world.create_agent("agent-2")
    page.wait_for_timeout(500)
    expect(page.get_by_text("agent-2")).to_have_count(0)
    page.keyboard.press("l")

    expect(page.get_by_text("agent-2").first).to_be_visible()


def test_a_page_that_refused_a_form_is_not_asked_for_again(visit: Visits, world: World) -> None:
    """Nor does it say that the person has been signed out."""
    registration.begin("tasks", world.acme)
    page = visit(world.alice, world.page("integrations/subscriptions/tasks/"))
    page.locator("form[action$='/rebuild/']").evaluate(
        "form => { form.noValidate = true; form.requestSubmit(); }"
    )
    expect(page.get_by_text("Nothing was recorded.")).to_be_visible()

    expect(page.locator("#live")).to_be_hidden()
    assert page.url.endswith("/rebuild/")
