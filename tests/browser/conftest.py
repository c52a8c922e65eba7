"""A real Chromium against a real server with its worker: run by `make browser-test`.

The people and tenants are those of the pages' tests, made in the same database as the server's.
"""

import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.browsing import Visits, barriers
from tests.browsers import CHROMIUM, chromium
from tests.conftest import process_environment
from tests.databases import current_database_url
from tests.pages.conftest import person, world
from tests.stream.server import Server, serving

__all__ = ["person", "world"]


@pytest.fixture(scope="session")
def server(django_db_setup: None) -> Iterator[Server]:
    with serving(process_environment(current_database_url()), worker=True) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here; Debian's package chromium brings one")
    # Playwright's loop runs in this thread, and Django would forbid us the database beside it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with chromium() as running:
        yield running


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visits]:
    """`visit(world.bob, world.page("agents/"))`; the test fails at its end on whatever a page did
    that none may do."""
    visits = Visits(browser, server.url)
    yield visits
    visits.close()
    assert visits.faults == []


@pytest.fixture
def accessible() -> Callable[[Page], bool]:
    """`assert accessible(page)`: axe finds nothing, in the light theme nor in the dark one."""

    def check(page: Page) -> bool:
        assert barriers(page) == []
        return True

    return check
