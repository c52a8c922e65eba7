"""A second database, for tests that take the guards off or rebuild a table.

The shared one is never unguarded: other processes and tests rely on it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from events.log import guard
from tests.databases import current_database_url, reconnect
from tests.pristine import Pristine


@contextmanager
def connected_to(name: str) -> Iterator[None]:
    """This process uses another database meanwhile."""
    shared = connection.settings_dict["NAME"]
    reconnect(name)
    try:
        yield
    finally:
        reconnect(shared)


@pytest.fixture(scope="session")
def scratch_database(
    django_db_setup: Pristine,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The name of a database of this test run that is migrated like the shared one."""
    with another_database("scratch", django_db_setup, django_db_blocker, tmp_path_factory) as name:
        yield name


@pytest.fixture(scope="session")
def quiet_database(
    django_db_setup: Pristine,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Another one, whose logs are whole and few: for processes that read every tenant's."""
    with another_database("quiet", django_db_setup, django_db_blocker, tmp_path_factory) as name:
        yield name


@contextmanager
def another_database(
    suffix: str,
    pristine: Pristine,
    blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    if connection.vendor == "postgresql":
        name = f"{connection.settings_dict['NAME']}_{suffix}"
        with blocker.unblock():
            pristine.copy_to(name)
        yield name
        with blocker.unblock():
            pristine.administer(f'DROP DATABASE "{name}" WITH (FORCE)')
    else:
        copy = str(tmp_path_factory.mktemp(suffix) / f"{suffix}.sqlite3")
        pristine.copy_to(copy)
        yield copy


@pytest.fixture
def quiet_env(quiet_database: str, django_db_blocker: DjangoDbBlocker) -> Iterator[dict[str, str]]:
    """Everything in this test happens in the quiet database; the environment for its processes. A
    worker in the shared one would have every other test's tenants to read."""
    from tests.conftest import process_environment

    with django_db_blocker.unblock(), connected_to(quiet_database):
        yield process_environment(current_database_url())


@pytest.fixture
def in_scratch_database(
    scratch_database: str, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Everything in this test happens in the scratch database, which is guarded again after it."""
    with django_db_blocker.unblock(), connected_to(scratch_database):
        yield
        guard.install()
        assert guard.faults() == []
