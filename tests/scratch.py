"""A second database, for tests that take the guards off or rebuild a table.

The shared one is never unguarded: other processes and tests rely on it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import DjangoDbBlocker

from events.log import guard
from tests.databases import current_database_url


@contextmanager
def _connected_to(name: str) -> Iterator[None]:
    shared = connection.settings_dict["NAME"]
    _reconnect(name)
    try:
        yield
    finally:
        _reconnect(shared)


def _reconnect(name: str) -> None:
    connection.close()
    if connection.vendor == "postgresql":
        connection.close_pool()  # type: ignore[attr-defined]
    connection.settings_dict["NAME"] = name


@pytest.fixture(scope="session")
def scratch_database(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The name of a database of this test run that is migrated like the shared one."""
    if connection.vendor == "postgresql":
        name = f"{connection.settings_dict['NAME']}_scratch"
        made, dropped = f'CREATE DATABASE "{name}"', f'DROP DATABASE "{name}" WITH (FORCE)'
    else:
        name = str(tmp_path_factory.mktemp("scratch") / "scratch.sqlite3")
        made = dropped = ""
    with django_db_blocker.unblock():
        _administer(made)
        with _connected_to(name):
            call_command("migrate", verbosity=0)
    yield name
    with django_db_blocker.unblock():
        _administer(dropped)


def _administer(statement: str) -> None:
    if statement:
        with connection._nodb_cursor() as cursor:
            cursor.execute(statement)


@pytest.fixture
def scratch_env(in_scratch_database: None) -> dict[str, str]:
    """The environment for a process of ours on the scratch database: a worker in the shared one
    would have every other test's tenants to read."""
    from tests.conftest import process_environment

    return process_environment(current_database_url())


@pytest.fixture
def in_scratch_database(
    scratch_database: str, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Everything in this test happens in the scratch database, which is guarded again after it."""
    with django_db_blocker.unblock(), _connected_to(scratch_database):
        yield
        guard.install()
        assert guard.faults() == []
