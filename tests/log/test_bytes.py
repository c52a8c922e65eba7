"""What is stored is what was hashed, to the byte; what no store keeps unchanged is refused."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from django.db import connection

from events.encoding import UnfitFact
from events.facts import JSON
from events.log import read
from events.log.append import append
from events.log.proposal import Context, Proposal
from events.models import Event
from events.vocabulary import AgentHealthCheckPassedEvent, AgentTaskAssignedEvent
from tests.log.sample import ALICE, assigned, fault, heartbeat, proposed, stored

FIT: dict[str, JSON] = {
    "unicode": "Zoë ☃ 日本語 🚀 \u202e \u2028 \ufeff",
    "escapes": '"\\/\b\f\n\r\t\x01\x1f\x7f',
    "an escaped NUL that is none": "\\u0000 \\\\u0000",
    "keys": {"": 1, "ä": 2, '"': 3, "\n": 4},
    "whole floats stay floats": [1.0, 1, -0.0, 0, 1e300, 1.5e-9, 0.1],
    "the order of keys": {"b": 1, "a": 2, "c": {"z": 0, "y": 0}},
    "64 bits": [2**63 - 1, -(2**63)],
    "nothing": [None, {}, [], "", False, True],
    "depth": json.loads("[" * 60 + "]" * 60),
    "long": "né" * 30_000,
    "text like a parameter": "$1 %s %(a)s ? :a {0}",
}
PATHS = [1, 6]


@pytest.mark.parametrize("copies", PATHS, ids=["statement", "bulk"])
@pytest.mark.parametrize("name", FIT)
def test_a_payload_comes_back_as_it_went_in(acme: str, name: str, copies: int) -> None:
    fact = assigned(FIT[name])
    text = msgspec.json.encode(fact).decode()

    append(acme, proposed(*[fact] * copies))

    for row in stored(acme):
        assert row["data"] == text
    assert fault(acme) is None
    for back in read.stream_facts(acme, "agent", "a-1"):
        assert isinstance(back, AgentTaskAssignedEvent)
        assert repr(back.input) == repr(FIT[name])


@pytest.mark.parametrize("copies", PATHS, ids=["statement", "bulk"])
def test_the_bytes_in_the_database_are_the_bytes_that_were_hashed(acme: str, copies: int) -> None:
    fact = assigned(FIT)
    append(acme, proposed(*[fact] * copies))

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT convert_to(data, 'UTF8') FROM events_event WHERE tenant_id = %s"
            if connection.vendor == "postgresql"
            else "SELECT CAST(data AS BLOB) FROM events_event WHERE tenant_id = %s",
            [acme],
        )
        raw = {bytes(row[0]) for row in cursor.fetchall()}

    assert raw == {msgspec.json.encode(fact)}


UNFIT: dict[str, JSON] = {
    "NUL": "a\x00b",
    "NUL in a key": {"a\x00": 1},
    "NUL deep inside": [{"a": [{"b": "\x00"}]}],
    "NUL after an escaped one": "\\u0000\x00",
    "a high surrogate alone": "\ud800",
    "a low surrogate alone": "x\udfff",
    "a surrogate in a key": {"\udc00": 1},
    "an integer beyond 64 bits": 2**64,
    "a negative integer beyond 64 bits": -(2**63) - 1,
    "a number of 5,000 digits": 10**4_999,
    "not a number": float("nan"),
    "infinity": [float("inf")],
    "something that is no JSON": object(),
    "a set in a list": [{1, 2}, object()],
}


@pytest.mark.parametrize("copies", PATHS, ids=["statement", "bulk"])
@pytest.mark.parametrize("name", UNFIT)
def test_an_unfit_payload_is_refused_and_nothing_is_written(
    acme: str, name: str, copies: int
) -> None:
    facts = [*[heartbeat()] * (copies - 1), assigned(UNFIT[name])]

    with pytest.raises(UnfitFact, match="AgentTaskAssignedEvent cannot be stored"):
        append(acme, proposed(*facts))

    assert stored(acme) == []


def test_a_payload_too_deep_for_any_reader_is_refused(acme: str) -> None:
    deep: list[Any] = []
    for _ in range(20_000):
        deep = [deep]
    with pytest.raises(UnfitFact):
        append(acme, proposed(assigned(deep)))
    while deep:  # unpicked by hand: freeing it at once recurses as deep
        deep = deep[0]


@pytest.mark.parametrize(
    "fact",
    [
        AgentHealthCheckPassedEvent("a-1", success_rate=1.5),
        AgentHealthCheckPassedEvent("a-1", occurred_at=datetime(2026, 3, 1)),  # noqa: DTZ001
        AgentHealthCheckPassedEvent(7),  # type: ignore[arg-type]
    ],
    ids=["out of range", "a naive moment", "a number for an id"],
)
def test_a_fact_that_does_not_fit_its_schema_is_refused(
    acme: str, fact: AgentHealthCheckPassedEvent
) -> None:
    with pytest.raises(UnfitFact):
        append(acme, proposed(fact))


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-12))),
    ],
)
def test_a_moment_that_utc_cannot_say_is_refused(acme: str, moment: datetime) -> None:
    with pytest.raises(UnfitFact):
        append(acme, proposed(AgentHealthCheckPassedEvent("a-1", occurred_at=moment)))

    assert stored(acme) == []


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    ],
)
@pytest.mark.parametrize("copies", PATHS, ids=["statement", "bulk"])
def test_any_other_moment_is_kept_to_the_microsecond(
    acme: str, moment: datetime, copies: int
) -> None:
    fact = AgentHealthCheckPassedEvent("a-1", occurred_at=moment)

    append(acme, proposed(*[fact] * copies))

    assert {row["occurred_at"] for row in stored(acme)} == {moment}
    assert fault(acme) is None


OVERLONG: dict[str, Context] = {
    "actor": Context(actor="user:" + "x" * 296),
    "correlation_id": Context(actor="user:alice", correlation_id="x" * 256),
    "causation_id": Context(actor="user:alice", causation_id="x" * 256),
    "traceparent": Context(actor="user:alice", traceparent="x" * 256),
}
UNCLEAN = {
    f"{name} with {what}": Context(**({"actor": "user:alice"} | {name: f"x{character}"}))
    for name in ("actor", "reason", "correlation_id", "causation_id", "traceparent", "origin")
    for what, character in (("NUL", "\x00"), ("a surrogate", "\ud800"))
}


@pytest.mark.parametrize("case", [*OVERLONG, *UNCLEAN])
def test_a_context_that_no_store_keeps_is_refused_alike_on_both_engines(
    acme: str, case: str
) -> None:
    with pytest.raises(UnfitFact, match=case.split(" ", maxsplit=1)[0]):
        append(acme, proposed(heartbeat(), by=(OVERLONG | UNCLEAN)[case]))

    assert stored(acme) == []


@pytest.mark.parametrize(
    ("stream_type", "stream_id"),
    [("agent", "x" * 257), ("agent", "a\x00"), ("agent", "\udc80"), ("x" * 33, "a-1")],
)
def test_a_stream_that_no_store_keeps_is_refused(
    acme: str, stream_type: str, stream_id: str
) -> None:
    with pytest.raises(UnfitFact, match="stream"):
        append(acme, Proposal(stream_type, stream_id, 0, [heartbeat()], ALICE))


def test_the_longest_context_fits(acme: str) -> None:
    most = "é" * 255
    by = Context(
        actor="é" * 300,
        reason="é" * 5_000,
        correlation_id=most,
        causation_id=most,
        traceparent=most,
        origin="é" * 5_000,
    )
    append(acme, Proposal("é" * 32, "é" * 256, 0, [heartbeat()], by))

    assert fault(acme) is None
    assert Event.objects.get(tenant=acme).actor == by.actor
