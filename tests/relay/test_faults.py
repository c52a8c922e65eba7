"""Kills, pauses and losses: nothing lost, nothing doubled, nothing out of order."""

import shutil
import signal
import time
from collections.abc import Callable
from io import BytesIO

import pytest

from events.transfer.importing import import_log
from projections.relay import pipeline
from projections.relay.messages import NAME
from tests.bench.export import file_of
from tests.relay.broker import Broker
from tests.relay.conftest import Relay, Relaying, all_of, assert_whole, until
from tests.stream.people import Fleet

Processes = Callable[..., Relay]
WINDOW_SECONDS = 1


@pytest.fixture
def forgetful(broker: Broker) -> Broker:
    """A server that remembers messages' ids for a second."""
    config = {"name": NAME, "subjects": ["agentmesh.>"], "storage": "file"}
    broker.api(f"STREAM.CREATE.{NAME}", config | {"duplicate_window": WINDOW_SECONDS * 10**9})
    return broker


def test_server_and_relays_are_killed_again_and_again(
    forgetful: Broker, relay_processes: Processes, acme: Fleet, globex: Fleet
) -> None:
    relays = relay_processes(forgetful, acme, globex)
    for _ in range(2):
        relays.start()
    for round_ in range(2):
        known = forgetful.end()
        acme.beat(40)
        globex.beat(7)
        until(lambda known=known: forgetful.end() > known)  # type: ignore[misc]
        forgetful.kill()
        relays.processes[round_].kill()
        acme.beat(5)
        relays.start()
        forgetful.start()

    stored = all_of(forgetful, acme, globex)

    assert_whole(stored, acme)
    assert_whole(stored, globex)


def test_a_relay_that_slept_while_another_took_over_adds_nothing(
    forgetful: Broker,
    relay_processes: Processes,
    committed_db: None,
    fresh_slug: Callable[[str], str],
) -> None:
    acme = Fleet(fresh_slug("acme"), ["agent-0"])
    import_log(BytesIO(file_of(acme.tenant, 2_000)))
    relays = relay_processes(forgetful, acme)
    sleeper = relays.start()
    until(lambda: forgetful.end() > 0)
    sleeper.send_signal(signal.SIGSTOP)  # in the middle of its work
    relays.start()
    all_of(forgetful, acme)
    time.sleep(2 * WINDOW_SECONDS)  # what protects is not the server's memory of ids

    sleeper.send_signal(signal.SIGCONT)
    acme.enlist("a-1")
    stored = all_of(forgetful, acme)

    assert_whole(stored, acme)


def test_a_server_that_comes_late_and_goes_for_a_while_delays_and_loses_nothing(
    make_broker: Callable[..., Broker],
    relaying: Relaying,
    acme: Fleet,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = make_broker()
    with relaying(broker, acme):
        until(lambda: "No relay to" in caplog.text)
        broker.start()
        all_of(broker, acme)
        broker.kill()
        acme.beat(10)
        until(lambda: "No relay to" in caplog.messages[-1])
        broker.start()
        stored = all_of(broker, acme)
        until(lambda: caplog.messages[-1].startswith("Relaying to"))

    assert_whole(stored, acme)
    assert len(caplog.messages) <= 10, "one line for each change, not for each attempt"


def test_a_server_that_does_not_answer_is_left_and_found_again(
    broker: Broker,
    relaying: Relaying,
    acme: Fleet,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(pipeline, "ACK_SECONDS", 0.3)
    with relaying(broker, acme):
        all_of(broker, acme)
        broker.signal(signal.SIGSTOP)
        acme.beat(10)
        until(lambda: "does not acknowledge" in caplog.text)
        broker.signal(signal.SIGCONT)
        stored = all_of(broker, acme)

    assert_whole(stored, acme)


def test_what_the_server_has_lost_is_sent_again(
    broker: Broker, relaying: Relaying, acme: Fleet, globex: Fleet
) -> None:
    with relaying(broker, acme):
        all_of(broker, acme)
    broker.kill()
    before = broker.store.with_name("before")
    shutil.copytree(broker.store, before)
    broker.start()
    acme.beat(3)
    with relaying(broker, acme, globex):
        all_of(broker, acme, globex)

    # As after a power failure: of acme the newest messages are gone, of globex all.
    broker.kill()
    shutil.rmtree(broker.store)
    before.rename(broker.store)
    broker.start()
    with relaying(broker, acme, globex):
        stored = all_of(broker, acme, globex)

    assert_whole(stored, acme)
    assert_whole(stored, globex)


def test_what_the_operators_limits_have_removed_is_not_sent_again(
    broker: Broker, relaying: Relaying, acme: Fleet, globex: Fleet
) -> None:
    with relaying(broker, acme, globex):
        all_of(broker, acme, globex)
    broker.api(f"STREAM.PURGE.{NAME}", {"filter": f"agentmesh.{acme.tenant}.>"})
    broker.kill()
    broker.start()

    acme.beat(2)
    with relaying(broker, acme, globex):
        all_of(broker, acme, globex)

    assert [m.seq for m in broker.stored(f"agentmesh.{acme.tenant}.>")] == [5, 6]
    assert_whole(broker.stored(), globex)


def test_a_stream_that_was_made_anew_gets_everything(
    broker: Broker, relaying: Relaying, acme: Fleet
) -> None:
    with relaying(broker, acme):
        all_of(broker, acme)
        broker.api(f"STREAM.DELETE.{NAME}")
        stored = all_of(broker, acme)

    assert_whole(stored, acme)


def test_whoever_else_writes_to_the_stream_disturbs_nobodys_order(
    broker: Broker, relaying: Relaying, acme: Fleet
) -> None:
    acme.beat(300)
    with relaying(broker, acme):
        until(lambda: broker.end() > 0)
        broker.publish("agentmesh.nobody.Noise._", b"{}", AgentMesh_Seq="1")
        until(lambda: broker.end() == acme.head + 1)

    assert_whole(broker.stored(f"agentmesh.{acme.tenant}.>"), acme)
