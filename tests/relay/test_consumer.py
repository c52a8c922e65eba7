"""The example of a consumer, run as it says."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from events.models import Event
from examples.nats_consumer import TABLE, AnotherLog, keep
from tests.house.rooms import ROOT
from tests.relay.broker import Broker
from tests.relay.conftest import Relaying, all_of, until
from tests.stream.people import Fleet

EXAMPLE = ROOT / "examples" / "nats_consumer.py"


@contextmanager
def consuming(broker: Broker, file: Path, env: dict[str, str]) -> Iterator[None]:
    """Killed at the end."""
    environment = env | {"NATS_URL": broker.url, "COPY": str(file)}
    process = subprocess.Popen([sys.executable, str(EXAMPLE)], env=environment)
    try:
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def copied(file: Path) -> list[tuple[str, int, str]]:
    with closing(sqlite3.connect(file)) as copy:
        try:
            return copy.execute("SELECT tenant, seq, id FROM event ORDER BY 1, 2").fetchall()
        except sqlite3.OperationalError:
            return []  # not made yet


def test_a_consumer_that_is_killed_has_every_event_once(
    broker: Broker, relaying: Relaying, acme: Fleet, tmp_path: Path, subprocess_env: dict[str, str]
) -> None:
    file = tmp_path / "copy.sqlite3"
    with relaying(broker, acme):
        all_of(broker, acme)
        with consuming(broker, file, subprocess_env):
            until(lambda: len(copied(file)) >= acme.head)
        acme.beat(20)
        all_of(broker, acme)
        with consuming(broker, file, subprocess_env):
            until(lambda: len(copied(file)) >= acme.head)

    rows = Event.objects.filter(tenant=acme.tenant).order_by("seq")
    assert copied(file) == [(acme.tenant, row.seq, str(row.event_id)) for row in rows]


def test_an_event_that_comes_twice_is_kept_once_and_another_in_its_place_is_not() -> None:
    with closing(sqlite3.connect(":memory:")) as copy:
        copy.execute(TABLE)
        keep(copy, "acme", 1, "id-1", b"{}")
        keep(copy, "acme", 1, "id-1", b"{}")

        with pytest.raises(AnotherLog, match="acme has another event 1"):
            keep(copy, "acme", 1, "id-2", b"{}")

        assert copy.execute("SELECT id FROM event").fetchall() == [("id-1",)]
