from collections.abc import Callable

import pytest

from events import tenants
from tests.jobs.conftest import live_a_little


@pytest.fixture
def acme(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("acme")).slug


@pytest.fixture
def lived(acme: str) -> str:
    """A tenant with 26 events of three agents and of its own."""
    live_a_little(acme)
    return acme
