"""A read model of the tests' own among the installation's subscriptions, in a tenant of its own."""

import uuid
from collections.abc import Iterator

import pytest

from events.bus import Subscription, event_bus
from events.durable import rebuilding
from events.durable.catching_up import catch_up
from tests.durable.conftest import acme, tables
from tests.durable.sample import record
from tests.durable.tables import tallies

__all__ = ["acme", "tables"]


@pytest.fixture
def followed(acme: str, tables: None) -> Iterator[Subscription]:
    """One that has read ten events of two agents."""
    name = f"tests.{uuid.uuid4().hex[:12]}"
    subscription = event_bus.project("Agent*", tallies(name))
    record(acme, "a-1", "a-2", each=5)
    catch_up(subscription, acme)
    yield subscription
    event_bus.subscriptions.pop(name, None)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "PAGE", 2)
