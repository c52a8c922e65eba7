"""One migrated database that nobody writes to, of which every other of a test run is a copy.

To run all migrations takes seconds of a processor, and pytest-xdist starts several processes at
once: the first to come migrates, and the others wait for it.
"""

import fcntl
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from django.db import connection
from django.test.utils import setup_databases, teardown_databases

from tests.databases import reconnect, use_sqlite_file


class Pristine:
    """The migrated database: a file on SQLite, and a name on PostgreSQL."""

    def __init__(self, name: str) -> None:
        self.name = name

    def keep(self) -> None:
        """Copy the database of this process, as the migrations made it, before a test uses it."""
        made = connection.settings_dict["NAME"]
        reconnect(made)
        if connection.vendor == "postgresql":
            self.drop()
            self.administer(f'CREATE DATABASE "{self.name}" TEMPLATE "{made}"')
        else:
            with closing(sqlite3.connect(made)) as shared:
                shared.execute("VACUUM INTO ?", [self.name])

    def copy_to(self, name: str) -> None:
        if connection.vendor == "postgresql":
            self.administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            self.administer(f'CREATE DATABASE "{name}" TEMPLATE "{self.name}"')
        else:
            shutil.copyfile(self.name, name)

    def drop(self) -> None:
        if connection.vendor == "postgresql":
            self.administer(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')

    def administer(self, statement: str) -> None:
        with connection._nodb_cursor() as cursor:
            cursor.execute(statement)


@contextmanager
def own_database(shared: Path, own: Path, *, process: str, verbosity: int) -> Iterator[Pristine]:
    """A database for this process of the test run, dropped at the end.

    shared: a folder of the whole run; own: one of this process. process: as pytest-xdist names it,
    or empty when there is but one.
    """
    use_sqlite_file(own)
    configured = connection.settings_dict["NAME"]
    name = connection.settings_dict["TEST"]["NAME"] or f"test_{configured}"
    with _turn(shared) as users:
        if connection.vendor == "postgresql":
            pristine = Pristine(f"{name.removesuffix(f'_{process}')}_pristine")
        else:
            pristine = Pristine(str(shared / "pristine.sqlite3"))
        if users.read() == 0:
            setup_databases(verbosity=verbosity, interactive=False, serialized_aliases=[])
            pristine.keep()
        else:
            pristine.copy_to(name)
            reconnect(name)
        users.add(1)
    try:
        yield pristine
    finally:
        teardown_databases([(connection, configured, True)], verbosity=verbosity)
        with _turn(shared) as users:
            users.add(-1)
            if users.read() == 0:
                pristine.drop()


class _Users:
    """How many processes have a database of this run, in a file that whoever has its turn reads."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> int:
        return int(self.path.read_text() or 0) if self.path.exists() else 0

    def add(self, more: int) -> None:
        self.path.write_text(str(self.read() + more))


@contextmanager
def _turn(shared: Path) -> Iterator[_Users]:
    with (shared / "database.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield _Users(shared / "database.users")
