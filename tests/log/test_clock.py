"""recorded_at is read under the head's lock: who had to wait is recorded after that."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction

from events.log import append as log
from events.log.append import append
from events.log.errors import VersionConflict
from events.log.proposal import seal
from tests.log.sample import fault, heartbeat, heartbeats, proposed, stored

HELD_SECONDS = 0.3


@contextmanager
def head_held(tenant: str) -> Iterator[list[datetime]]:
    """Another writer has appended and commits a little later; then the list holds when."""
    locked, released = threading.Event(), list[datetime]()

    def hold() -> None:
        try:
            with transaction.atomic(durable=True):
                other = proposed(heartbeat("a-9"), agent_id="a-9")
                log._engine(connection.vendor).append_one(
                    connection, tenant, other, seal(tenant, other)
                )
                locked.set()
                time.sleep(HELD_SECONDS)
                released.append(datetime.now(UTC))
        finally:
            connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert locked.wait(10)
    try:
        yield released
    finally:
        holder.join()


@pytest.mark.parametrize("size", [1, 4, 6])
@pytest.mark.parametrize("within", [None, lambda: None], ids=["alone", "in a transaction"])
def test_who_waits_for_the_head_is_recorded_after_it_was_free(
    acme: str, size: int, within: Callable[[], object] | None
) -> None:
    with head_held(acme) as released:
        appended = append(acme, proposed(*heartbeats(size)), within=within)

    assert appended.recorded_at >= released[0]
    assert appended.first_seq == 2
    assert fault(acme) is None


def test_who_loses_the_race_while_waiting_is_told_so(acme: str) -> None:
    with head_held(acme), pytest.raises(VersionConflict):
        append(acme, proposed(heartbeat("a-9"), agent_id="a-9"))

    assert len(stored(acme)) == 1


def test_on_postgresql_other_tenants_do_not_wait(acme: str, globex: str) -> None:
    with head_held(acme) as released:
        append(globex, proposed(heartbeat()))
        waited = bool(released)

    assert waited is (connection.vendor == "sqlite")
