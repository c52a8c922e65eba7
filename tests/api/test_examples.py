"""The examples in the document are real: told again, the story of `tests.api.story` is the same.

After a change to what is asked or answered: `python -m tests.keep_examples` keeps it anew.
"""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import Settings

from events.api.openapi import examples
from events.api.openapi.document import document
from events.bus import event_bus
from tests.api.conftest import People
from tests.api.story import told
from tests.keep_examples import KEEP

# Its answer has no end; what it sends is tested in tests/stream.
WITHOUT = {"follow_events", "read_asyncapi", "read_openapi"}


@pytest.fixture
def billing() -> Iterator[None]:
    event_bus.subscribe("AgentHealthCheckFailedEvent", print, name="billing")
    yield
    event_bus.unsubscribe("billing")


@pytest.mark.usefixtures("billing")
def test_every_example_happens_as_it_is_told(
    people: People, settings: Settings, fresh_slug: Callable[[str], str]
) -> None:
    settings.PUBLIC_URL = "https://mesh.example.org"
    settings.SIGNING_KEY = bytes(range(32))
    settings.VERIFICATION_KEYS = ()
    settings.ENCRYPTION_KEYS = (bytes(range(32)),)

    found = told(people, fresh_slug)

    if KEEP in os.environ:
        text = json.dumps(found, ensure_ascii=False, indent=1) + "\n"
        examples.KEPT.write_text(text, encoding="utf-8")
        return
    kept = json.loads(examples.KEPT.read_text(encoding="utf-8"))
    for operation, example in found["operations"].items():
        assert kept["operations"].get(operation) == example, f"{operation} is told otherwise"
    assert kept == found


def test_every_operation_has_an_example() -> None:
    kept: dict[str, Any] = json.loads(examples.KEPT.read_text(encoding="utf-8"))
    operations = {
        operation["operationId"]
        for methods in document()["paths"].values()
        for operation in methods.values()
    }

    assert set(kept["operations"]) == operations - WITHOUT
