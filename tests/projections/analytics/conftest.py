"""Acme, and globex beside it."""

from collections.abc import Callable

import pytest

from events import tenants


@pytest.fixture
def acme(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("acme")).slug


@pytest.fixture
def globex(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("globex")).slug
