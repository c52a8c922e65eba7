"""Fixtures for the registry: other facts than those there are, for the length of a test."""

from collections.abc import Callable, Iterator, Sequence
from types import MappingProxyType

import pytest
from django.db import connection

from events import cloudevents, registry
from events.api import schemas
from events.casters import Caster
from events.facts import Fact
from events.schemas import document

# What is pure needs no second engine.
collect_ignore = (
    [
        "test_casts.py",
        "test_cloudevents.py",
        "test_document.py",
        "test_lock.py",
        "test_summary.py",
        "test_worked_example.py",
    ]
    if connection.vendor == "postgresql"
    else []
)

Redefine = Callable[..., None]


@pytest.fixture
def redefine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Redefine]:
    """`redefine(newest=[...], ancestors=[...], casters=[...])`: more facts, or others in place of
    those of the same type; a type's own ancestors and casters stay unless they are given."""

    def define(
        *,
        newest: Sequence[type[Fact]] = (),
        ancestors: Sequence[type[Fact]] = registry.ANCESTORS,
        casters: Sequence[Caster] = registry.CASTERS,
    ) -> None:
        named = {fact.wire_type() for fact in newest}
        kept = [fact for fact in registry.DOMAIN_EVENTS if fact.wire_type() not in named]
        monkeypatch.setattr(registry, "DOMAIN_EVENTS", (*kept, *newest))
        monkeypatch.setattr(registry, "ANCESTORS", tuple(ancestors))
        monkeypatch.setattr(registry, "CASTERS", tuple(casters))
        by_type = registry._versions_by_type()
        monkeypatch.setattr(registry, "_VERSIONS", MappingProxyType(by_type))
        monkeypatch.setattr(registry, "_TYPES", tuple(by_type))
        ways = {(each.type, each.older, each.newer): each for each in casters}
        monkeypatch.setattr(registry, "_CASTERS", ways)
        _forget()

    yield define
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    for remembered in (
        registry.all_versions,
        registry.decoder,
        registry.served,
        registry._typed,
        registry._payload,
        registry._way,
        document.served,
        cloudevents.schemas,
        cloudevents.served_version,
        schemas._sha256,
    ):
        remembered.cache_clear()
