"""The stream: made to last, respected when it is there, refused when nobody could rely on it."""

from collections.abc import Callable
from typing import Any

import pytest

from projections.relay.messages import NAME
from tests.relay.broker import Broker
from tests.relay.conftest import Relaying, all_of, assert_whole, until
from tests.stream.people import Fleet

OURS: dict[str, Any] = {"name": NAME, "subjects": ["agentmesh.>"], "storage": "file"}


def test_the_stream_is_made_with_files_a_window_and_no_limits(
    broker: Broker, relaying: Relaying, acme: Fleet
) -> None:
    with relaying(broker, acme):
        all_of(broker, acme)

    config = broker.api(f"STREAM.INFO.{NAME}")["config"]
    assert config["storage"] == "file"
    assert config["retention"] == "limits"
    assert config["subjects"] == ["agentmesh.>"]
    assert config["duplicate_window"] == 120 * 10**9
    limits = ("max_msgs", "max_bytes", "max_age", "max_msgs_per_subject")
    assert {config[limit] for limit in limits} <= {-1, 0}


def test_an_existing_streams_settings_are_respected(
    broker: Broker, relaying: Relaying, acme: Fleet
) -> None:
    theirs = OURS | {"max_age": 3600 * 10**9, "duplicate_window": 7 * 10**9, "max_msgs": 500}
    broker.api(f"STREAM.CREATE.{NAME}", theirs)
    with relaying(broker, acme):
        stored = all_of(broker, acme)

    assert_whole(stored, acme)
    config = broker.api(f"STREAM.INFO.{NAME}")["config"]
    assert {name: config[name] for name in theirs} == theirs


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"storage": "memory"}, "it is kept in memory, not in files"),
        ({"subjects": ["agentmesh.acme.>"]}, "its subjects are agentmesh.acme.>, not agentmesh.>"),
        ({"subjects": ["agentmesh.>", "other"]}, "its subjects are agentmesh.>, other"),
        ({"retention": "workqueue"}, "its retention is workqueue, not limits"),
        ({"no_ack": True}, "it acknowledges nothing"),
    ],
)
def test_an_unfit_stream_is_refused_with_one_line_and_left_as_it_is(
    broker: Broker,
    relaying: Relaying,
    acme: Fleet,
    caplog: pytest.LogCaptureFixture,
    wrong: dict[str, Any],
    said: str,
) -> None:
    broker.api(f"STREAM.CREATE.{NAME}", OURS | wrong)
    with relaying(broker, acme):
        until(lambda: caplog.messages)

    assert said in caplog.text
    assert len(caplog.messages) == 1
    assert broker.end() == 0


def test_what_stands_in_the_streams_way_is_said(
    broker: Broker, relaying: Relaying, acme: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    broker.api("STREAM.CREATE.THEIRS", {"name": "THEIRS", "subjects": ["agentmesh.acme.>"]})
    with relaying(broker, acme):
        until(lambda: caplog.messages)

    assert "subjects overlap with an existing stream" in caplog.text


def test_a_full_stream_is_tried_again_until_there_is_room(
    broker: Broker, relaying: Relaying, acme: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    full = OURS | {"max_msgs": 2, "discard": "new"}
    broker.api(f"STREAM.CREATE.{NAME}", full)
    with relaying(broker, acme):
        until(lambda: "maximum messages exceeded" in caplog.text)
        broker.api(f"STREAM.UPDATE.{NAME}", full | {"max_msgs": -1})
        stored = all_of(broker, acme)

    assert_whole(stored, acme)
    assert caplog.text.count("maximum messages exceeded") == 1


def test_an_event_too_large_for_the_server_holds_its_own_tenant_alone(
    make_broker: Callable[..., Broker],
    relaying: Relaying,
    acme: Fleet,
    globex: Fleet,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = make_broker()
    broker.start()
    broker.api(f"STREAM.CREATE.{NAME}", OURS | {"max_msg_size": 2_000})
    from agents import services
    from tests.stream.people import BY

    services.assign_task(
        tenant=acme.tenant, agent_id="a-1", task_id="t-1", input="x" * 3_000, by=BY
    )
    with relaying(broker, acme, globex):
        until(lambda: f"The relay of {acme.tenant} waits" in caplog.text)
        globex.beat(3)
        until(lambda: broker.end() == 4 + globex.head)

    assert_whole(broker.stored(), globex)
    assert [m.seq for m in broker.stored(f"agentmesh.{acme.tenant}.>")] == [1, 2, 3, 4]
    assert "message size exceeds maximum allowed" in caplog.text


def test_a_server_without_jetstream_is_said_to_be_one(
    make_broker: Callable[..., Broker],
    relaying: Relaying,
    acme: Fleet,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = make_broker(jetstream=False)
    broker.start()
    with relaying(broker, acme):
        until(lambda: caplog.messages)

    assert "the server has no JetStream: start it with -js" in caplog.text
