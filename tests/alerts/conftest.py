"""Acme and Globex, and a bus on which alerts have been settled when a command returns."""

from collections.abc import Callable, Iterator

import pytest

from events import tenants
from events.bus import InMemoryEventBus, events_committed
from projections.alerts import hearing


@pytest.fixture
def acme(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("acme")).slug


@pytest.fixture
def globex(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("globex")).slug


@pytest.fixture
def listening() -> Iterator[InMemoryEventBus]:
    bus = InMemoryEventBus()
    bus.subscribe("*", hearing.hear, name="alerts")
    yield bus
    events_committed.disconnect(bus._hear)  # or it would hear the next test's until it is collected
    assert bus.failures == []
