"""Ids, frames and filters, without a server."""

import uuid
from datetime import UTC, datetime

import pytest

from events.log.cursor import BEGINNING, Position
from events.models import Event
from events.patterns import Pattern
from projections.stream import frames
from projections.stream.positions import Claim, MalformedId, parse_id
from projections.stream.wishes import Filter
from tests.stream.client import Message, messages

HASH = bytes.fromhex("54618cc2" + "00" * 28)
AT_41 = Position(41, HASH)


def event(type: str = "AgentPausedEvent", stream_id: str = "a-1", data: str = "{}") -> Event:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return Event(
        event_id=uuid.UUID(int=7),
        tenant_id="acme",
        seq=41,
        stream_type="agent" if type.startswith("Agent") else "tenant",
        stream_id=stream_id,
        version=3,
        type=type,
        schema_version="1.0",
        occurred_at=moment,
        recorded_at=moment,
        actor="user:alice",
        origin='{"address":"192.0.2.7"}',
        data=data,
        hash=HASH,
    )


def read(frame: bytes) -> list[Message]:
    assert frame.endswith(b"\n\n")
    return list(messages(iter(frame.decode().split("\n"))))


def test_an_id_is_the_seq_and_the_first_eight_digits_of_the_hash() -> None:
    assert AT_41.id == "41-54618cc2"
    assert BEGINNING.id == "0"


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("0", Claim(0, b"")),
        ("41", Claim(41, b"")),
        ("41-54618cc2", Claim(41, bytes.fromhex("54618cc2"))),
        ("9223372036854775807", Claim(2**63 - 1, b"")),
    ],
)
def test_an_id_is_understood_with_and_without_its_hash(text: str, claim: Claim) -> None:
    assert parse_id(text) == claim


@pytest.mark.parametrize(
    "text",
    [
        "", "-1", "+1", "1.0", "x", "01", "0-54618cc2", "41-", "41-54618cc", "41-54618cc2a",
        "41-54618CC2", "41 ", "41\n", "٤١", "9223372036854775808", "9" * 5_000, "41-zzzzzzzz",
    ],
)  # fmt: skip
def test_what_no_stream_has_sent_is_malformed(text: str) -> None:
    with pytest.raises(MalformedId):
        parse_id(text)


def test_a_claim_fits_the_event_that_it_names_and_no_other() -> None:
    assert parse_id("41-54618cc2").fits(AT_41)
    assert parse_id("41").fits(AT_41)
    assert not parse_id("41-54618cc3").fits(AT_41)


def test_an_event_is_one_line_of_data_whatever_it_holds() -> None:
    data = '{"reason":"first\\nsecond\\r\\u2028 ünï"}'

    (message,) = read(frames.event_frame(event(data=data), AT_41, schema=None, show_origin=False))

    assert (message.id, message.event) == ("41-54618cc2", "AgentPausedEvent")
    assert message.json["data"] == {"reason": "first\nsecond\r\u2028 ünï"}
    assert "origin" not in message.json


def test_line_separators_of_other_standards_do_not_end_a_line() -> None:
    data = '{"reason":"\u2028\u2029\x85"}'

    frame = frames.event_frame(event(data=data), AT_41, schema=None, show_origin=True)

    assert frame.count(b"\ndata: ") == 1
    (message,) = read(frame)
    assert message.json["data"] == {"reason": "\u2028\u2029\x85"}


def test_the_first_frame_says_where_the_client_is_and_when_to_come_back() -> None:
    (message,) = read(frames.open_frame(AT_41, 50))

    assert (message.event, message.id) == ("stream-open", "41-54618cc2")
    assert message.json == {"after": 41, "head": 50}
    assert message.retry_ms == frames.RETRY_MS


def test_a_bare_id_moves_the_position_and_hands_nothing_over() -> None:
    (message,) = read(frames.position_frame(AT_41))

    assert (message.id, message.data, message.event) == ("41-54618cc2", None, "")


@pytest.mark.parametrize(
    ("types", "agents", "only", "wanted"),
    [
        (None, None, None, True),
        ("AgentPausedEvent", None, None, True),
        ("AgentPaused", None, None, False),
        ("AgentPaused*", None, None, True),
        ("MemberAdded,AgentP*", None, None, True),
        ("MemberAdded,Token*", None, None, False),
        ("*", "a-1", None, True),
        (None, "a-2,a-3", None, False),
        (None, "a-2,a-*", None, True),
        (None, None, "a-1", True),
        (None, None, "a-2", False),
        (None, "a-1", "a-2", False),
    ],
)
def test_a_filter_takes_types_and_agents(
    types: str | None, agents: str | None, only: str | None, wanted: bool
) -> None:
    chosen = Filter(
        types=None if types is None else Pattern.of(types),
        agents=None if agents is None else Pattern.of(agents),
        only=only,
    )

    assert chosen.wants(event()) is wanted


def test_who_asks_for_an_agent_is_told_nothing_of_the_tenant() -> None:
    of_tenant = event("TokenIssued", stream_id="a-1")

    assert Filter().wants(of_tenant)
    assert not Filter(agents=Pattern.of("*")).wants(of_tenant)
    assert not Filter(only="a-1").wants(of_tenant)
