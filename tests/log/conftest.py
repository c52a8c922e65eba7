"""A tenant of its own for every test of the log."""

from collections.abc import Callable, Iterator

import pytest
from django.dispatch import Signal

from events import tenants
from tests.log.sample import ON_POSTGRESQL


@pytest.fixture
def acme(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    """The slug of a new tenant with an empty log."""
    return tenants.create_tenant(fresh_slug("acme")).slug


@pytest.fixture
def globex(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("globex")).slug


@pytest.fixture
def acme_in_scratch(in_scratch_database: None, fresh_slug: Callable[[str], str]) -> str:
    """The slug of a new tenant in the scratch database, where guards may be taken off."""
    return tenants.create_tenant(fresh_slug("acme")).slug


# Tests of what one engine alone can do are not collected on the other.
collect_ignore = ["test_foreign_sqlite.py" if ON_POSTGRESQL else "test_guard_postgresql.py"]

Listen = Callable[[Signal, Callable[..., object]], None]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """`listen(signal, receiver)` until the test is over."""
    listening: list[tuple[Signal, Callable[..., object]]] = []

    def connect(signal: Signal, receiver: Callable[..., object]) -> None:
        signal.connect(receiver, weak=False)
        listening.append((signal, receiver))

    yield connect
    for signal, receiver in listening:
        signal.disconnect(receiver)
