"""Where the tests' database is, for this process and for those it starts."""

from pathlib import Path
from urllib.parse import quote, urlencode

from django.db import connection

from agentmesh_site.databases import POSTGRESQL_PARAMETERS


def use_sqlite_file(folder: Path) -> None:
    """A file, not memory: tests open it from several processes, and WAL exists for files only."""
    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(folder / "agentmesh.sqlite3")


def current_database_url() -> str:
    """DATABASE_URL for another process that shall see this process's test database."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{quote(str(database['NAME']))}"
    user, password = quote(database["USER"], safe=""), quote(database["PASSWORD"], safe="")
    login = f"{user}:{password}@" if password else f"{user}@" if user else ""
    # In the query, where a socket's folder and several hosts fit too.
    parameters = {"host": database["HOST"], "port": str(database["PORT"])} | {
        key: value for key, value in database["OPTIONS"].items() if key in POSTGRESQL_PARAMETERS
    }
    query = urlencode({key: value for key, value in parameters.items() if value}, quote_via=quote)
    return f"postgresql://{login}/{quote(str(database['NAME']), safe='')}?{query}"


def reconnect(name: str) -> None:
    """Use another database of this server from now on, or another file."""
    connection.close()
    if connection.vendor == "postgresql":
        connection.close_pool()  # type: ignore[attr-defined]
    connection.settings_dict["NAME"] = name
