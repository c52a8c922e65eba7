"""What all tests share.

Tests commit for real, each with tenants of its own, and nothing is ever flushed: the log refuses
DELETE and TRUNCATE, and what the database promises cannot be tested inside a transaction that is
rolled back. So a test that needs the database asks for `committed_db`, never for `db`.
"""

import gc
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NoReturn

import pytest
from django.conf import settings
from django.db import connections
from pytest_django import DjangoDbBlocker

from tests.databases import current_database_url
from tests.order import longest_first
from tests.pristine import Pristine, own_database
from tests.scratch import (
    in_scratch_database,
    quiet_database,
    quiet_env,
    scratch_database,
)
from tests.stream.server import Server, serving

__all__ = ["in_scratch_database", "quiet_database", "quiet_env", "scratch_database"]

# What knows no database is proven once, in the run on SQLite.
NO_DATABASE = [
    "asyncapi/test_document.py",
    "clients/test_worker_agent.py",
    "domain",
    "house/test_api_docs.py",
    "house/test_cache_and_email.py",
    "house/test_environment.py",
    "house/test_local_keys.py",
    "house/test_log_lines.py",
    "house/test_problem_types.py",
    "house/test_rooms.py",
    "house/test_start.py",
    "log/test_notes.py",
    "metrics/test_sharing.py",
    "projections/analytics/test_buckets.py",
    "projections/analytics/test_fold.py",
    "projections/analytics/test_sketch.py",
    "projections/test_fleet.py",
    "projections/test_tasks.py",
    "schemas/test_summary.py",
    "timeline/test_query_language.py",
    "outbound",
    "ratelimits",
    "relay/test_pipeline.py",
    "relay/test_standing.py",
    "relay/test_turns.py",
]
# Doors translate, and ask services that are tested on both: the browser's are tested on SQLite, the
# API's on PostgreSQL, which takes less. Processes of which the engine is not the point start once.
ON_SQLITE = [
    "clients/test_curl.py",
    "clients/test_killed.py",
    "jobs/test_closed_pipes.py",
    "jobs/test_demo.py",
    "jobs/test_demo_fleet.py",
    "jobs/test_examples.py",
    "jobs/test_replay_over_http.py",
    "jobs/test_replay_trace.py",
    "jobs/test_simulation.py",
    "jobs/test_trace_file.py",
    "metrics/test_page.py",
    "metrics/test_server.py",
    "pages",
    "relay/test_companion.py",
    "relay/test_consumer.py",
    "relay/test_faults.py",
    "schemas/test_worked_example.py",
    "stream/test_answers.py",
    "stream/test_foreign_loop.py",
    "stream/test_lifetime.py",
    "stream/test_wire.py",
]
ON_POSTGRESQL = [
    "api",
    "jobs/test_checkpoints.py",
    "jobs/test_many_processes.py",
    "jobs/test_subscriptions.py",
    "jobs/test_verify_log.py",
    "stream/test_clients.py",
    "stream/test_connections.py",
    "stream/test_stream.py",
]
# A run of its own: `make browser-test`.
APART = ["browser"]
collect_ignore = [
    *APART,
    *(
        [*NO_DATABASE, *ON_SQLITE]
        if connections["default"].vendor == "postgresql"
        else ON_POSTGRESQL
    ),
]

# What is collected stays to the end. To look through it for garbage again and again while it grows
# took a quarter of the time that it takes to collect it.
gc.disable()

# Real hashes that any process can check, without the second that each would take.
settings.PASSWORD_HASHERS = ["tests.passwords.QuickPasswordHasher"]

# Static files are looked for when they are asked for. To list them all, as a server does once at
# its start, took every test client 0.1 s.
settings.WHITENOISE_AUTOREFRESH = True


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    processes = getattr(config, "workerinput", {}).get("workercount", 1)
    items[:] = longest_first(items, processes)


def pytest_collection_finish() -> None:
    gc.enable()
    gc.freeze()


@pytest.fixture(scope="session")
def django_db_setup(
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
    django_test_environment: None,
    django_db_modify_db_settings: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Pristine]:
    """One database per pytest process, of which only one runs the migrations.

    pytest-django's own fixture makes only the databases of tests that use its `db` fixtures.
    """
    process = os.environ.get("PYTEST_XDIST_WORKER", "")
    own = tmp_path_factory.mktemp("database")
    shared = tmp_path_factory.getbasetemp()
    database = own_database(
        shared.parent if process else shared,
        own,
        process=process,
        verbosity=request.config.option.verbose,
    )
    until_the_end = ExitStack()
    with django_db_blocker.unblock():
        pristine = until_the_end.enter_context(database)
        connections.close_all()
    yield pristine
    with django_db_blocker.unblock():
        until_the_end.close()


@pytest.fixture
def committed_db(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[None]:
    """The database, with real commits. What a test writes stays: write to fresh tenants."""
    with django_db_blocker.unblock():
        yield
        left_open = [each.alias for each in connections.all() if each.in_atomic_block]
        connections.close_all()
    assert not left_open, f"the test left a transaction open on {left_open}"


@pytest.fixture
def database_url(committed_db: None) -> str:
    """DATABASE_URL to hand to a process that shall see the same database."""
    return current_database_url()


@pytest.fixture
def subprocess_env(database_url: str) -> dict[str, str]:
    """The environment for a process of ours on the same database, free of the caller's settings."""
    return process_environment(database_url)


def process_environment(database_url: str) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AGENTMESH_", "COV_")) and name not in {"PORT", "CACHE_URL"}
    }
    return inherited | {
        "DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "agentmesh_site.settings",
        "AGENTMESH_SECRET_KEY": settings.SECRET_KEY,  # sessions made here are good there
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture(scope="session")
def server(django_db_setup: None) -> Iterator[Server]:
    """One server for all tests that neither stop nor count it."""
    with serving(process_environment(current_database_url())) as running:
        yield running


@pytest.fixture
def fresh_slug() -> Callable[[str], str]:
    """A tenant's slug that no other test has: `fresh_slug("acme")` → `acme-3f9c0a1b2d4e`.

    Not from `random`, which pytest-randomly seeds alike for every test.
    """
    return lambda name: f"{name}-{uuid.uuid4().hex[:12]}"


def _refuse(fixture: str) -> NoReturn:
    pytest.fail(f"Ask for committed_db instead of {fixture}: see tests/conftest.py.")


@pytest.fixture
def db() -> None:
    _refuse("db")


@pytest.fixture
def transactional_db() -> None:
    _refuse("transactional_db")
