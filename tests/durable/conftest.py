"""A bus, tenants and names of its own for every test of durable subscriptions."""

import uuid
from collections.abc import Callable, Iterator

import pytest

from events import duties, tenants
from events.bus import EventBus
from tests.conftest import process_environment
from tests.databases import current_database_url
from tests.durable.sample import Ledger
from tests.durable.tables import make_tables
from tests.log.sample import ON_POSTGRESQL

# What only a server can do: to refuse a value's length, to end a connection or a transaction.
# And of how a worker starts and ends the engine is not the point.
collect_ignore = ["test_worker_command.py"] if ON_POSTGRESQL else ["test_server.py"]


@pytest.fixture
def acme(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("acme")).slug


@pytest.fixture
def globex(committed_db: None, fresh_slug: Callable[[str], str]) -> str:
    return tenants.create_tenant(fresh_slug("globex")).slug


@pytest.fixture
def bus() -> Iterator[EventBus]:
    made = EventBus()
    yield made
    for name in tuple(made.subscriptions):
        made.unsubscribe(name)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def name() -> str:
    """A subscription's that no worker has ever met."""
    return f"tests.{uuid.uuid4().hex[:12]}"


@pytest.fixture
def tables(committed_db: None) -> None:
    """The tables of `tests.durable.tables`, in the shared database."""
    make_tables()


@pytest.fixture
def scratch(in_scratch_database: None) -> None:
    """A database with few tenants and the tables of `tests.durable.tables`, for workers: they read
    every log there is."""
    make_tables()


@pytest.fixture
def scratch_env(scratch: None) -> dict[str, str]:
    """The environment of a process that works in the scratch database."""
    return process_environment(current_database_url())


@pytest.fixture
def no_duties() -> Iterator[None]:
    """None but the test's own."""
    sweeps, companions = dict(duties.sweeps), dict(duties.companions)
    duties.sweeps.clear()
    duties.companions.clear()
    yield
    duties.sweeps.clear()
    duties.companions.clear()
    duties.sweeps.update(sweeps)
    duties.companions.update(companions)


@pytest.fixture
def acme_in_scratch(in_scratch_database: None, fresh_slug: Callable[[str], str]) -> str:
    """In a database where guards may be taken off."""
    return tenants.create_tenant(fresh_slug("acme")).slug
