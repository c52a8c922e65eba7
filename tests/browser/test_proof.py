"""Proof and alerts, as somebody with a browser meets them."""

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.browsing import NARROW, Visits, too_wide
from tests.pages.conftest import World
from tests.pages.test_alerts import stand


def test_an_auditor_verifies_the_log_watches_it_and_takes_a_bundle_along(
    visit: Visits, world: World, accessible: Callable[[Page], bool], tmp_path: Path
) -> None:
    page = visit(world.carol, world.page("proof/"))
    expect(page.get_by_text("Nobody has verified this log yet")).to_be_visible()
    page.get_by_role("button", name="Verify now").click()

    # Nobody touches the page: the worker is at work, and the page asks how far it is.
    expect(page).to_have_url(re.compile(r"/proof/verifications/[0-9a-f-]{36}/$"))
    expect(page.get_by_text("is what was appended")).to_be_visible(timeout=20_000)
    page.reload()
    expect(page.get_by_text("is what was appended")).to_be_visible()

    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("heading", name="The log is what was appended")).to_be_visible()
    assert accessible(page)
    page.get_by_role("link", name="Audit bundle", exact=True).click()
    page.get_by_label("Types").fill("Member*")
    with page.expect_download() as downloaded:
        page.get_by_role("button", name="Download the bundle").click()
    file = tmp_path / downloaded.value.suggested_filename
    downloaded.value.save_as(file)
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["query"] == {"types": "Member*"}
    assert manifest["made_by"] == f"user:{world.carol.username}"
    assert accessible(page)


def test_pages_of_proof_fit_on_a_phone(
    visit: Visits, world: World, accessible: Callable[[Page], bool]
) -> None:
    page = visit(world.carol, world.page("proof/checkpoints/"), width=NARROW)
    page.get_by_role("button", name="Make a checkpoint").click()

    expect(page.get_by_text("is signed. Take the note along.")).to_be_visible()
    page.reload()
    assert too_wide(page) == 0
    assert accessible(page)
    with page.expect_download() as downloaded:
        page.get_by_role("link", name="Download").click()
    assert downloaded.value.suggested_filename.endswith(".checkpoint.txt")


def test_an_operator_acknowledges_alerts_that_come_while_the_page_is_open(
    visit: Visits, world: World, accessible: Callable[[Page], bool]
) -> None:
    stand(world, "agent-1")
    page = visit(world.bob, world.page("alerts/"))
    page.get_by_label("Choose mine of agent-1").check()
    page.get_by_label("Note").fill("I look")
    expect(page.get_by_role("button", name="Live")).to_have_attribute("data-state", "live")

    stand(world, "agent-2")
    world.create_agent("agent-3")  # an event wakes the page

    expect(page.get_by_label("Choose mine of agent-2")).to_be_visible(timeout=10_000)
    expect(page.get_by_label("Choose mine of agent-1")).to_be_checked()
    assert accessible(page)
    page.get_by_role("button", name="Acknowledge the chosen").click()
    expect(page.get_by_text("1 alert acknowledged.")).to_be_visible()
    page.get_by_role("row", name=re.compile("acknowledged")).get_by_role(
        "link", name="mine"
    ).click()
    expect(page.get_by_text("I look")).to_be_visible()
    assert accessible(page)
    page.set_viewport_size({"width": NARROW, "height": 800})
    assert too_wide(page) == 0
