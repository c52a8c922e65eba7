"""What is decided in the append's own transaction."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Bell
from typing import Any

import pytest
from django.db import connections, transaction

from events import bus
from events.log.append import append, append_decided
from events.log.errors import NotTheOutermostTransaction
from events.log.proposal import Proposal
from tests.log.conftest import Listen
from tests.log.sample import fault, head, heartbeat, proposed, stored


def test_it_is_recorded_and_told(acme: str, listen: Listen) -> None:
    told: list[Any] = []
    listen(bus.events_committed, lambda events, **_: told.extend(events))

    appended = append_decided(
        acme, lambda: [proposed(heartbeat()), proposed(heartbeat(), version=1)], undisturbed=False
    )

    assert appended is not None
    assert (appended.seq, head(acme)[0], len(told)) == (2, 2, 2)
    assert fault(acme) is None


def test_nothing_is_recorded_where_nothing_is_proposed(acme: str) -> None:
    assert append_decided(acme, list, undisturbed=True) is None
    assert stored(acme) == []


def test_what_it_raises_rolls_everything_back(acme: str) -> None:
    def decide() -> Sequence[Proposal]:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        append_decided(acme, decide, undisturbed=True)
    append(acme, proposed(heartbeat()))
    assert head(acme)[0] == 1


def test_it_is_outermost_as_every_append(acme: str) -> None:
    with transaction.atomic(), pytest.raises(NotTheOutermostTransaction):
        append_decided(acme, list, undisturbed=False)


def test_undisturbed_no_other_append_comes_between(acme: str) -> None:
    """What is decided holds: the other one, begun meanwhile, is recorded after it."""
    begun, waited = Bell(), []

    def other() -> int:
        begun.wait(20)
        try:
            return append(acme, proposed(heartbeat("b-1"), agent_id="b-1")).seq
        finally:
            connections.close_all()

    def decide() -> Sequence[Proposal]:
        begun.set()
        waited.append(not second.done())
        try:
            second.result(timeout=0.3)
        except TimeoutError:
            waited.append(True)
        return [proposed(heartbeat())]

    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(other)
        first = append_decided(acme, decide, undisturbed=True)
        assert first is not None
        assert (first.seq, second.result(20)) == (1, 2)
    assert waited == [True, True]
    assert fault(acme) is None
