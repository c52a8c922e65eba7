"""Several processes find what one process finds."""

from collections.abc import Callable, Iterator
from random import Random

import pytest
from django.db import connection

from events.log import crew as crews
from events.log.crew import Crew
from events.log.verify import Damaged, verify
from tests.log.test_guard import TRIGGERS, drop, run
from tests.prove import logs

pytestmark = pytest.mark.usefixtures("in_scratch_database")
SEGMENT = 10


@pytest.fixture
def crew(monkeypatch: pytest.MonkeyPatch) -> Iterator[Crew]:
    monkeypatch.setattr(crews, "SEGMENT", SEGMENT)
    with Crew(2) as started:
        yield started


def test_what_is_found_is_the_same_however_many_look_for_it(
    crew: Crew, fresh_slug: Callable[[str], str]
) -> None:
    tenant = logs.grow(fresh_slug("acme"), Random(5), 60)
    seen: list[int] = []

    assert verify(tenant, walk=crew.walk, seen=seen.append) == verify(tenant)
    assert sum(seen) == verify(tenant).seq

    # For good, since the other processes see what is committed; each time further to the front.
    run(*(drop(trigger) for trigger in TRIGGERS))
    for seq, change in (
        (55, "actor = 'user:mallory'"),
        (41, "recorded_at = '2020-01-01 00:00:00'"),
        (SEGMENT * 3 + 1, "version = 77"),
        (SEGMENT * 3, "hash = data" if connection.vendor == "sqlite" else "hash = ''"),
        (SEGMENT * 2, "seq = -1"),
        (SEGMENT + 1, "data = '{}'"),
        (1, "event_id = 'c0ffee00c0ffee00c0ffee00c0ffee00'"),
    ):
        run(f"UPDATE events_event SET {change} WHERE tenant_id = '{tenant}' AND seq = {seq}")
        by_one, by_all = damage(tenant), damage(tenant, crew)

        assert (by_all.seq, by_all.why) == (by_one.seq, by_one.why)
        assert by_one.seq == (1 if change == "seq = -1" else seq)
        if change == "seq = -1":
            run(f"DELETE FROM events_event WHERE tenant_id = '{tenant}' AND seq = -1")
            assert damage(tenant).seq == damage(tenant, crew).seq == seq


def damage(tenant: str, crew: Crew | None = None) -> Damaged:
    with pytest.raises(Damaged) as caught:
        verify(tenant, walk=crew.walk) if crew else verify(tenant)
    return caught.value
