"""Integrations as somebody with a browser meets them."""

import re
from collections.abc import Callable

from django.utils import timezone
from playwright.sync_api import Page, expect

from events.models import Event, HeldStream, Rebuild, SubscriptionCheckpoint, Token
from tests.browser.browsing import NARROW, Visits, too_wide
from tests.jobs.conftest import until
from tests.pages.conftest import World

ALERTS = "integrations/subscriptions/alerts/"


def test_a_secret_is_copied_once_and_no_reload_brings_it_back(
    visit: Visits, world: World, accessible: Callable[[Page], bool]
) -> None:
    page = visit(world.alice, world.page("tokens/issue/"))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_label("Name", exact=True).fill("ci")
    page.get_by_role("button", name="Issue token").click()

    secret = page.locator("#secret").inner_text()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    assert accessible(page)
    page.reload()

    expect(page).to_have_url(re.compile(r"/tokens/$"))
    expect(page.get_by_role("link", name="Revoke… ci")).to_be_visible()
    assert secret not in page.content()
    assert Token.objects.filter(tenant=world.acme).count() == 1


def test_a_rebuild_comes_to_its_end_before_ones_eyes(
    visit: Visits, world: World, accessible: Callable[[Page], bool]
) -> None:
    world.busy_agent()
    page = visit(world.alice, world.page("integrations/subscriptions/tasks/"))
    page.get_by_label("Reason").fill("Rows look wrong.")
    page.get_by_role("button", name="Rebuild tasks").click()

    expect(page.get_by_text("is rebuilt by the worker")).to_be_visible()
    expect(page.locator("#standing").get_by_text("1 rows of")).to_be_visible(timeout=20_000)
    assert Rebuild.objects.get(tenant=world.acme).status == "done"
    assert accessible(page)
    assert too_wide(page) == 0


def test_what_one_types_stays_while_the_page_keeps_itself_true(
    visit: Visits, world: World, accessible: Callable[[Page], bool]
) -> None:
    world.active_agent()
    mine = SubscriptionCheckpoint.objects.filter(tenant=world.acme, subscription="alerts")
    until(lambda: mine.filter(seq__gt=0).exists())
    event = Event.objects.filter(tenant=world.acme, stream_id="agent-1").order_by("-seq")[0]
    HeldStream.objects.create(
        tenant_id=world.acme,
        subscription="alerts",
        stream_type="agent",
        stream_id="agent-1",
        version=event.version,
        seq=event.seq,
        attempts=6,
        last_error="KeyError: 'No team is on duty.'",
        parked_at=timezone.now(),
    )
    page = visit(world.bob, world.page(ALERTS), width=NARROW)
    page.get_by_text("Skip…").click()
    page.get_by_label("Why this event is left out").fill("Called by hand.")
    page.evaluate(
        "new Promise((seen) => document.addEventListener('live:refreshed', seen, {once: true}))"
    )
    page.get_by_role("button", name="Retry").focus()
    expect(page.get_by_label("Why this event is left out")).to_have_value("Called by hand.")
    assert accessible(page)
    assert too_wide(page) == 0
    page.get_by_role("button", name=f"Skip seq {event.seq}").click()

    expect(page.get_by_text("The log keeps that it was skipped.")).to_be_visible()
    expect(page.get_by_text("No stream waits")).to_be_visible()
    assert world.newest_event().reason == "Called by hand."
