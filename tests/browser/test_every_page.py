"""Every page, in both themes, from a phone to a wide screen; a new one is looked at too."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.browsing import HEIGHT, NARROW, WIDE, Visits, too_wide
from tests.pages.test_roles import PAGES, Fleet, fleet

__all__ = ["fleet"]

WIDEST = 1920
# What answers with a file, a part of a page, or by leading to another one.
NO_PAGES = {
    "agent_permalink",
    "acknowledge_alert",
    "bulk",
    "bulk_do",
    "checkpoint_note",
    "command",
    "event_completions",
    "import_do",
    "import_sample",
    "newer_events",
    "resolve_alert",
    "t/<tenant:tenant>/events/<id:event_id>",
}
SEEN = sorted(name for name, page in PAGES.items() if page.see and name not in NO_PAGES)


@pytest.mark.parametrize("name", SEEN)
def test_a_page_has_no_barrier_and_fits_its_window(
    visit: Visits, fleet: Fleet, accessible: Callable[[Page], bool], name: str
) -> None:
    query = "&".join(f"{key}={value}" for key, value in fleet.query(name).items())
    page = visit(fleet.world.alice, f"{fleet.address(name)}?{query}".removesuffix("?"))

    assert page.locator("h1").count() == 1
    for width in (WIDEST, WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        assert too_wide(page) == 0, width
        if width != WIDEST:
            assert accessible(page)
