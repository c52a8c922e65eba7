"""The chain, computed a second time by `chain_by_hand`, which knows nothing of our code."""

import json
from collections.abc import Callable
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from events.log import chain
from events.log.append import append
from events.log.proposal import Context
from events.models import Tenant
from tests.log import chain_by_hand
from tests.log.sample import fault, head, heartbeat, heartbeats, proposed, stored

VECTORS = json.loads((Path(__file__).parent / "chain_vectors.json").read_text(encoding="utf-8"))
FULL = Context(
    actor="user:zoë",
    reason="naïve ☃ 🚀",
    correlation_id="",
    causation_id="c" * 255,
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    origin='{"address":"::1"}',
)


def test_an_empty_log_stands_on_its_own_id(acme: str, globex: str) -> None:
    assert fault(acme) is None
    assert head(acme)[2] != head(globex)[2]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 100])
def test_every_path_chains_as_documented(acme: str, size: int) -> None:
    append(acme, proposed(*heartbeats(size)))
    append(acme, proposed(*heartbeats(size), version=size, by=FULL))

    assert fault(acme) is None


def test_the_paths_continue_each_others_chain(acme: str) -> None:
    sizes = [1, 7, 2, 40, 4, 1, 5, 3]
    for size, version in zip(sizes, accumulate(sizes, initial=0), strict=False):
        append(acme, proposed(*heartbeats(size), version=version))

    assert head(acme)[0] == sum(sizes)
    assert fault(acme) is None


def test_a_transaction_with_more_in_it_chains_alike(acme: str) -> None:
    append(acme, proposed(heartbeat()), within=lambda: None)
    append(acme, proposed(*heartbeats(4), version=1), within=lambda: None)
    append(acme, proposed(*heartbeats(9), version=5), within=lambda: None)
    append(acme, *[proposed(heartbeat(f"b-{n}"), agent_id=f"b-{n}") for n in range(3)])

    assert head(acme)[0] == 17
    assert fault(acme) is None


def test_the_head_remembers_the_hash_before_the_newest_append(acme: str) -> None:
    tip = head(acme)[2]
    for size in (1, 2, 6):
        append(acme, proposed(*heartbeats(size), version=head(acme)[0]))
        assert head(acme)[3] == tip
        tip = head(acme)[2]


@pytest.mark.parametrize(
    "column", [*chain_by_hand.COLUMNS, "seq", "recorded_at", "hash"], ids=lambda name: name
)
def test_no_column_can_be_changed_without_breaking_the_chain(acme: str, column: str) -> None:
    append(acme, proposed(heartbeat(), heartbeat(), by=FULL))
    log_id = Tenant.objects.get(slug=acme).log_id
    events = stored(acme)
    assert chain_by_hand.first_fault(log_id, events) is None

    events[0][column] = _another(events[0][column])

    assert chain_by_hand.first_fault(log_id, events) is not None


def _another(value: Any) -> Any:
    if isinstance(value, UUID):
        return UUID(int=value.int ^ 1)
    if isinstance(value, datetime):
        return value.replace(microsecond=value.microsecond ^ 1)
    if isinstance(value, int):
        return value + 1
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    return value + "x"


def test_null_and_empty_text_are_different(acme: str) -> None:
    append(acme, proposed(heartbeat(), by=Context(actor="user:alice", reason="")))
    event = stored(acme)[0]

    assert chain_by_hand.leaf(event) != chain_by_hand.leaf(event | {"reason": None})


def _event(vector: dict[str, Any]) -> dict[str, Any]:
    moments = {
        name: datetime.fromisoformat(vector[name]) for name in ("occurred_at", "recorded_at")
    }
    return vector | moments | {"event_id": UUID(vector["event_id"])}


Implementation = tuple[
    Callable[[UUID], bytes],
    Callable[[dict[str, Any]], bytes],
    Callable[[bytes, dict[str, Any]], bytes],
]
OURS: Implementation = (
    chain.genesis,
    lambda event: chain.leaf(**{name: event[name] for name in chain_by_hand.COLUMNS}),
    lambda tip, event: chain.link(tip, event["seq"], event["recorded_at"], OURS[1](event)),
)
THEIRS: Implementation = (chain_by_hand.genesis, chain_by_hand.leaf, chain_by_hand.link)


@pytest.mark.parametrize("implementation", [OURS, THEIRS], ids=["ours", "theirs"])
def test_the_published_vectors_hold(implementation: Implementation) -> None:
    genesis, leaf, link = implementation
    tip = genesis(UUID(VECTORS["log_id"]))
    assert tip.hex() == VECTORS["hash_0"]

    for vector in VECTORS["events"]:
        event = _event(vector)
        assert chain_by_hand.leaf_input(event).hex() == vector["leaf_input"]
        assert leaf(event).hex() == vector["leaf"]
        tip = link(tip, event)
        assert tip.hex() == vector["hash"]


def test_the_vectors_show_nulls_unicode_and_times_before_1970() -> None:
    events = VECTORS["events"]

    assert len(events) >= 4
    assert any(event["reason"] is None for event in events)
    assert any(event["reason"] == "" for event in events)
    assert any(not event["data"].isascii() for event in events)
    assert any(event["occurred_at"] < "1970" for event in events)
