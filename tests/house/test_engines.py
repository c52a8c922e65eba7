"""Both engines keep what they acknowledge, and the tests see the real thing."""

import json
import subprocess
import sys

import pytest
from django.db import connection

ON_POSTGRESQL = connection.vendor == "postgresql"


def shown(name: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}" if ON_POSTGRESQL else f"PRAGMA {name}")
        return cursor.fetchone()[0]


PROMISES: dict[str, object] = (
    {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "TimeZone": "UTC",
        "application_name": "agentmesh",
    }
    if ON_POSTGRESQL
    else {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "recursive_triggers": 1,
        "busy_timeout": 30_000,
        "secure_delete": 1,
    }
)


@pytest.mark.usefixtures("committed_db")
@pytest.mark.parametrize("name", PROMISES)
def test_a_connection_is_as_durable_as_the_log_promises(name: str) -> None:
    assert shown(name) == PROMISES[name]


def test_another_process_finds_what_a_test_has_committed(subprocess_env: dict[str, str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE house_note (words text)")
        cursor.execute("INSERT INTO house_note VALUES (%s)", ["committed"])
    program = (
        "import django, json; django.setup()\n"
        "from django.db import connection\n"
        "with connection.cursor() as cursor:\n"
        "    cursor.execute('SELECT words FROM house_note')\n"
        "    print(json.dumps(cursor.fetchall()))\n"
        "connection.close()\n"
    )
    try:
        answer = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env=subprocess_env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE house_note")

    assert answer.stderr == ""
    assert json.loads(answer.stdout) == [["committed"]]
