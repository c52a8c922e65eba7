"""Reactions hear every event at least once, in order; one that fails holds up its stream alone."""

import asyncio
from typing import Any

import pytest

from events.bus import EventBus
from events.durable import handling
from events.durable.catching_up import catch_up
from events.log.append import append
from events.vocabulary import AgentTaskCompletedEvent, Usage
from tests.durable.sample import Ledger, checkpoint, held, record, retry_at_once, take_over
from tests.log.sample import heartbeats, proposed


def test_who_was_away_hears_every_event_in_order_and_none_twice(
    acme: str, bus: EventBus, ledger: Ledger, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handling.Reacting, "most", 3)
    subscription = bus.subscribe("Agent*", ledger.handle, name=name, start="beginning")
    record(acme, "a-1", "a-2", each=4)

    assert catch_up(subscription, acme) == 8
    record(acme, "a-1", each=2)

    assert catch_up(subscription, acme) == 2
    assert catch_up(subscription, acme) == 0
    assert ledger.heard == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]


def test_what_is_not_wanted_is_passed_over(
    acme: str, bus: EventBus, ledger: Ledger, name: str
) -> None:
    subscription = bus.subscribe("AgentTask*", ledger.handle, name=name, start="beginning")
    append(acme, proposed(*heartbeats(40)))
    append(acme, proposed(AgentTaskCompletedEvent("a-1", task_id="t-1"), version=40))
    append(acme, proposed(*heartbeats(40), version=41))

    assert catch_up(subscription, acme) == 1
    assert ledger.heard == [41]
    assert checkpoint(acme, name).seq == 81


def test_several_types_between_commas_come_in_one_order(
    acme: str, bus: EventBus, ledger: Ledger, name: str
) -> None:
    types = "AgentTask*,AgentHealthCheckPassedEvent"
    subscription = bus.subscribe(types, ledger.handle, name=name, start="beginning")
    completed = AgentTaskCompletedEvent("a-1", task_id="t-1")
    append(acme, proposed(*heartbeats(1), completed, *heartbeats(1)))

    catch_up(subscription, acme)

    assert ledger.heard == [1, 2, 3]


def test_handlers_for_two_versions_work_side_by_side(acme: str, bus: EventBus, name: str) -> None:
    old, new = list[Any](), list[Any]()
    first = bus.subscribe("AgentTask*", old.append, name=name, version="1.0", start="beginning")
    second = bus.subscribe("AgentTask*", new.append, name=f"{name} 2", start="beginning")
    usage = Usage(input_tokens=3, output_tokens=5)
    append(acme, proposed(AgentTaskCompletedEvent("a-1", task_id="t-1", usage=usage)))

    catch_up(first, acme)
    catch_up(second, acme)

    assert [(each.version, hasattr(each, "usage")) for each in old + new] == [
        ("1.0", False),
        ("2.0", True),
    ]


def test_tenants_have_checkpoints_of_their_own(
    acme: str, globex: str, bus: EventBus, ledger: Ledger, name: str
) -> None:
    subscription = bus.subscribe("Agent*", ledger.handle, name=name, start="beginning")
    record(acme, "a-1", each=2)
    record(globex, "a-1", each=3)
    ledger.fails["a-1"] = RuntimeError("no")
    catch_up(subscription, acme)
    ledger.fails.clear()

    assert catch_up(subscription, globex) == 3
    assert (checkpoint(acme, name).seq, checkpoint(globex, name).seq) == (2, 3)
    assert (set(held(acme, name)), set(held(globex, name))) == ({"a-1"}, set())


@pytest.mark.parametrize("place", [1, 3, 7])
def test_an_event_that_fails_is_tried_again_and_its_agents_others_wait_for_it(
    acme: str, bus: EventBus, ledger: Ledger, name: str, place: int
) -> None:
    subscription = bus.subscribe("Agent*", ledger.handle, name=name, start="beginning")
    for _ in range(4):
        record(acme, "a-1", "a-2")  # odd seqs are a-1's
    ledger.fails[place] = RuntimeError("not this one")

    catch_up(subscription, acme)

    assert ledger.by_stream["a-2"] == [2, 4, 6, 8]
    assert ledger.by_stream["a-1"] == [seq for seq in (1, 3, 5, 7) if seq < place]
    row = held(acme, name)["a-1"]
    assert (row.seq, row.version, row.attempts) == (place, (place + 1) // 2, 1)
    assert row.last_error == "RuntimeError: not this one"
    assert checkpoint(acme, name).seq == 8

    ledger.fails.clear()
    retry_at_once(subscription, acme)

    assert ledger.by_stream["a-1"] == [1, 3, 5, 7]
    assert held(acme, name) == {}


def test_a_failure_costs_nobody_a_second_hearing(
    acme: str, bus: EventBus, ledger: Ledger, name: str
) -> None:
    subscription = bus.subscribe("Agent*", ledger.handle, name=name, start="beginning")
    record(acme, "a-1", "a-2", "a-3", "a-4", each=2)
    ledger.fails |= {"a-2": RuntimeError("no"), 6: RuntimeError("nor this")}

    assert catch_up(subscription, acme) == 5

    assert ledger.heard == [1, 2, 5, 7, 8]
    assert sorted(ledger.tried) == [1, 2, 3, 5, 6, 7, 8]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(3),
        asyncio.CancelledError(),
        Unspeakable(),
        ValueError("NUL \0, half a pair \ud800, and much" + "!" * 5_000),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_handler_raises_is_kept_and_ends_nothing(
    acme: str, bus: EventBus, ledger: Ledger, name: str, error: BaseException
) -> None:
    subscription = bus.subscribe("Agent*", ledger.handle, name=name, start="beginning")
    record(acme, "a-1", "a-2")
    ledger.fails["a-1"] = error

    assert catch_up(subscription, acme) == 1

    kept = held(acme, name)["a-1"].last_error
    assert kept.startswith(type(error).__name__)
    assert len(kept) <= 1_000
    assert checkpoint(acme, name).last_error == kept


def test_a_handler_may_append_to_the_log_that_it_hears_of(
    acme: str, bus: EventBus, name: str
) -> None:
    heard = []

    def answer(event: Any) -> None:
        heard.append(event.envelope.seq)
        if event.agent_id == "a-1":
            record(acme, "a-2")

    subscription = bus.subscribe("Agent*", answer, name=name, start="beginning")
    record(acme, "a-1", each=2)

    catch_up(subscription, acme)

    assert heard == [1, 2, 3, 4]


def test_a_batch_that_takes_long_moves_the_checkpoint_on_the_way(
    acme: str, bus: EventBus, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handling, "AT_ONCE_SECONDS", 0.0)
    stood = []

    def look(event: Any) -> None:
        stood.append(checkpoint(acme, name).seq)

    subscription = bus.subscribe("Agent*", look, name=name, start="beginning")
    record(acme, "a-1", each=4)

    assert catch_up(subscription, acme) == 4
    assert stood == [0, 1, 2, 3]


def test_who_was_overtaken_handles_no_more_than_the_batch_and_moves_nothing(
    acme: str, bus: EventBus, ledger: Ledger, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handling.Reacting, "most", 2)

    def overtaken(event: Any) -> None:
        ledger.handle(event)
        if event.envelope.seq == 3:
            take_over(acme, name)

    subscription = bus.subscribe("Agent*", overtaken, name=name, start="beginning")
    record(acme, "a-1", each=8)

    catch_up(subscription, acme)

    assert ledger.heard == [1, 2, 3, 4]
    row = checkpoint(acme, name)
    assert (row.seq, row.holder) == (2, "the other worker")
