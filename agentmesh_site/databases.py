"""DATABASE_URL as Django's DATABASES, with the durability that the log promises.

An acknowledged command survives power loss on both engines, so nothing in the URL may weaken that:
of libpq's parameters only those are taken that say where the server is and how to reach it.
"""

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from agentmesh_site.environment import WrongSetting, split_url

NAME = "DATABASE_URL"
EXAMPLES = "Give sqlite:///var/agentmesh.sqlite3 or postgresql://user:password@host:5432/name."

# One statement each; Django runs them on every new connection.
SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",  # readers never wait for the writer
    "PRAGMA synchronous=FULL",  # with WAL, NORMAL loses acknowledged commits on power loss
    "PRAGMA fullfsync=ON",  # macOS: make fsync reach the disk; nothing elsewhere
    "PRAGMA checkpoint_fullfsync=ON",
    "PRAGMA foreign_keys=ON",
    "PRAGMA recursive_triggers=ON",  # otherwise INSERT OR REPLACE walks past delete triggers
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA cache_size=-32768",  # KiB, at most, per connection
    "PRAGMA mmap_size=268435456",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA secure_delete=ON",  # a destroyed key leaves zeros; costs a heartbeat nothing measurable
)
SQLITE_BUSY_TIMEOUT_NUMBER = 30

_ANY = r".*"
_NUMBER = r"[0-9]{1,6}"
_PORT = r"[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
# What libpq would find wrong only when it connects is checked here.
POSTGRESQL_PARAMETERS = {
    "host": _ANY,
    "hostaddr": _ANY,
    "port": rf"({_PORT})?(,({_PORT})?)*",  # one for each host
    "dbname": _ANY,
    "user": _ANY,
    "password": _ANY,
    "passfile": _ANY,
    "application_name": _ANY,
    "channel_binding": r"disable|prefer|require",
    "connect_timeout": _NUMBER,
    "gssencmode": r"disable|prefer|require",
    "keepalives": r"0|1",
    "keepalives_count": _NUMBER,
    "keepalives_idle": _NUMBER,
    "keepalives_interval": _NUMBER,
    "sslcert": _ANY,
    "sslcrl": _ANY,
    "sslkey": _ANY,
    "sslmode": r"disable|allow|prefer|require|verify-ca|verify-full",
    "sslrootcert": _ANY,
    "target_session_attrs": r"any|read-write|read-only|primary|standby|prefer-standby",
    "tcp_user_timeout": r"[0-9]{1,9}",
}
POOL_SIZES = {"pool_min_size": 1, "pool_max_size": 10}


def django_database(url: str, base_dir: Path) -> dict[str, Any]:
    """The `default` entry of DATABASES for `url`; a relative SQLite path starts at `base_dir`."""
    scheme = url.partition(":")[0].lower()
    if scheme == "sqlite":
        return _sqlite(url, base_dir)
    if scheme in {"postgresql", "postgres"}:
        return _postgresql(url)
    raise WrongSetting(NAME, "is neither a sqlite: nor a postgresql: URL", EXAMPLES)


def _sqlite(url: str, base_dir: Path) -> dict[str, Any]:
    parts = split_url(NAME, url)
    if parts.netloc or parts.query or parts.fragment or parts.path in {"", "/", "/:memory:"}:
        raise WrongSetting(
            NAME,
            "names no SQLite file",
            "Give sqlite:///relative/path or sqlite:////absolute/path; the log needs a file.",
        )
    # urlsplit leaves "/relative" and "//absolute"; joining an absolute path replaces the base.
    path = (base_dir / unquote(parts.path[1:])).resolve()
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise WrongSetting(
            NAME,
            f"lies in {path.parent}, which is no folder that can be written to",
            "Make that folder first.",
        )
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "ATOMIC_REQUESTS": False,
        "CONN_MAX_AGE": None,  # a thread keeps its connection
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": SQLITE_BUSY_TIMEOUT_NUMBER,
            "init_command": ";".join(SQLITE_PRAGMAS),
        },
    }


def _postgresql(url: str) -> dict[str, Any]:
    pool_sizes, plain_url = _take_pool_sizes(url)
    try:
        # libpq's own parser: whatever psql takes means the same here.
        given = {key: str(value) for key, value in conninfo_to_dict(plain_url).items() if value}
    except psycopg.Error as error:
        raise WrongSetting(NAME, "is not a URL that libpq understands", EXAMPLES) from error
    refused = sorted(given.keys() - POSTGRESQL_PARAMETERS)
    if refused:
        raise WrongSetting(
            NAME,
            f"has the parameter {refused[0]}, which AgentMesh does not take from it",
            f"Remove it; allowed are {', '.join(sorted(POSTGRESQL_PARAMETERS))}.",
        )
    for key, value in given.items():
        if not re.fullmatch(POSTGRESQL_PARAMETERS[key], value):
            raise WrongSetting(NAME, f"has no usable {key}", EXAMPLES)
    if "dbname" not in given:
        raise WrongSetting(NAME, "names no database", EXAMPLES)
    place = {
        "NAME": given.pop("dbname"),
        "USER": given.pop("user", ""),
        "PASSWORD": given.pop("password", ""),
        "HOST": given.pop("host", ""),
        "PORT": given.pop("port", ""),
    }
    return {
        "ENGINE": "django.db.backends.postgresql",
        **place,
        "ATOMIC_REQUESTS": False,
        "CONN_MAX_AGE": 0,  # the pool keeps the connections
        "CONN_HEALTH_CHECKS": True,  # one ping per checkout: a failed-over server costs no 500s
        "OPTIONS": {
            "application_name": "agentmesh",
            "connect_timeout": "10",
            **given,
            # A role or a database may default to less; the session says what we promise.
            "options": "-c synchronous_commit=on -c timezone=UTC",
            "server_side_binding": True,
            "prepare_threshold": 2,
            "pool": {
                "min_size": pool_sizes["pool_min_size"],
                "max_size": pool_sizes["pool_max_size"],
                "timeout": 10.0,
                "max_idle": 300.0,
                "max_lifetime": 3600.0,
            },
        },
    }


def _take_pool_sizes(url: str) -> tuple[dict[str, int], str]:
    """The pool's sizes, and the URL without them, since libpq does not know them.

    Taken apart by hand: urllib reads a plus as a space and drops the slashes of an empty host.
    """
    sizes = dict(POOL_SIZES)
    address, _, query = url.partition("?")
    rest = []
    for item in query.split("&"):
        key, _, value = item.partition("=")
        if key not in sizes:
            rest.append(item)
        elif re.fullmatch(r"[1-9][0-9]{0,2}", value):
            sizes[key] = int(value)
        else:
            raise WrongSetting(NAME, f"has no usable {key}", "Give a number from 1 to 999.")
    if sizes["pool_min_size"] > sizes["pool_max_size"]:
        raise WrongSetting(
            NAME, "has a pool_min_size above its pool_max_size", "Raise pool_max_size."
        )
    return sizes, address + "?" + "&".join(rest) if any(rest) else address
