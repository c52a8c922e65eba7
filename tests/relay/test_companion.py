"""The relay beside a worker: it connects carefully, ends soon, and survives the database."""

import signal
import threading
import time
from collections.abc import Callable

import pytest
from django.db import OperationalError
from pytest_django.fixtures import Settings

from events import duties
from events.bus import EventBus
from events.worker.runner import Worker
from projections import listening, relay
from projections.relay import messages, notes
from projections.relay.connecting import Server
from tests.relay.broker import Broker
from tests.relay.conftest import Relaying, all_of, assert_whole, until
from tests.stream.people import Fleet
from tests.stream.server import free_port


@pytest.mark.parametrize(("urls", "there"), [((), False), (("nats://127.0.0.1:4222",), True)])
def test_there_is_a_relay_when_there_is_a_broker(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, urls: tuple[str, ...], there: bool
) -> None:
    monkeypatch.setattr(duties, "companions", {})
    settings.NATS_URLS = urls

    listening.listen()

    assert ("relay" in duties.companions) is there


def test_it_ends_while_no_server_is_there(
    relaying: Relaying, acme: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    with relaying(f"nats://127.0.0.1:{free_port()}", acme):  # fails when it does not end
        until(lambda: caplog.messages)

    assert "Connect call failed" in caplog.text


def test_it_ends_while_the_server_does_not_answer(
    broker: Broker, relaying: Relaying, acme: Fleet
) -> None:
    with relaying(broker, acme):
        all_of(broker, acme)
        broker.signal(signal.SIGSTOP)
        acme.beat(3)

    broker.signal(signal.SIGCONT)
    with relaying(broker, acme):
        assert_whole(all_of(broker, acme), acme)


def test_a_database_that_fails_for_a_while_costs_nothing_but_time(
    broker: Broker,
    relaying: Relaying,
    acme: Fleet,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures = {"heads": 3, "page": 2}

    def failing(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def ask(*arguments: object) -> object:
            failures[name] -= 1
            if failures[name] >= 0:
                raise OperationalError("the server closed the connection\nwith a word")
            return real(*arguments)

        return ask

    monkeypatch.setattr(messages, "page", failing("page", messages.page))
    with relaying(broker, acme):
        monkeypatch.setattr(notes, "heads", failing("heads", notes.heads))
        stored = all_of(broker, acme)
        until(lambda: failures["heads"] < 0)

    assert_whole(stored, acme)
    assert "The logs cannot be read: the server closed the connection" in caplog.text
    assert caplog.text.count("cannot be read") <= 3


def test_one_log_of_many_events_does_not_delay_anothers_new_ones(
    broker: Broker, relaying: Relaying, acme: Fleet, globex: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from projections.relay import session

    monkeypatch.setattr(session, "PAGE", 5)
    acme.beat(200)
    with relaying(broker, acme, globex):
        all_of(broker, acme, globex)

    stored = broker.stored()
    newest = max(m.stream_seq for m in stored if m.tenant == globex.tenant)
    assert newest < 50, "globex waited for more than a few pages of acme"


def test_what_is_wrong_with_a_password_is_said_without_it(
    make_broker: Callable[..., Broker],
    relaying: Relaying,
    acme: Fleet,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = make_broker('authorization { user: "mesh", password: "right/one" }')
    broker.start()
    with relaying(f"nats://mesh:wrong-one@127.0.0.1:{broker.port}", acme):
        until(lambda: caplog.messages)

    assert "Authorization Violation" in caplog.text
    assert "wrong-one" not in caplog.text
    assert f"127.0.0.1:{broker.port}" in caplog.text


def test_a_password_may_hold_anything_when_it_is_quoted(
    make_broker: Callable[..., Broker], relaying: Relaying, acme: Fleet
) -> None:
    broker = make_broker('authorization { user: "mesh", password: "right/@one" }')
    broker.start()
    with relaying(f"nats://mesh:right%2F%40one@127.0.0.1:{broker.port}", acme):
        broker.login = {"user": "mesh", "password": "right/@one"}
        assert_whole(all_of(broker, acme), acme)


def test_a_password_is_not_sent_in_the_clear_to_a_server_that_should_offer_tls(
    make_broker: Callable[..., Broker],
    relaying: Relaying,
    acme: Fleet,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = make_broker('authorization { user: "mesh", password: "right" }')
    broker.start()
    with relaying(f"tls://mesh:right@127.0.0.1:{broker.port}", acme):
        until(lambda: caplog.messages)

    assert "it offers no TLS" in caplog.text


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("nats://h", Server("h:4222", False, None, None)),
        ("tls://[::1]:7", Server("[::1]:7", True, None, None)),
        ("nats://token@h:1", Server("h:1", False, "token", None)),
        ("nats://me:p%40ss@h:1", Server("h:1", False, "me", "p@ss")),
    ],
)
def test_a_url_is_taken_apart(url: str, expected: Server) -> None:
    assert Server.of(url) == expected


def test_nothing_of_a_login_is_shown() -> None:
    server = Server.of("nats://me:secret@h:1")

    assert "secret" not in repr(server)
    assert server.without_secrets("no secret here for me") == "no *** here for ***"


def test_a_fault_that_nobody_foresaw_is_raised_for_the_worker(
    broker: Broker, acme: Fleet, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(notes, "heads", fail)
    settings.NATS_URLS = (broker.url,)

    class Deaf:
        def wait(self, timeout_seconds: float) -> frozenset[str]:
            time.sleep(0.01)
            return frozenset()

    stop = threading.Event()
    with pytest.raises(ZeroDivisionError):
        relay.run(duties.Beside(stop, Deaf()))
    stop.set()


def test_a_worker_runs_it_and_is_gone_with_it(
    broker: Broker, acme: Fleet, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def arrived() -> int:
        return len(broker.stored(f"agentmesh.{acme.tenant}.>")) if broker.end() else 0

    monkeypatch.setattr(duties, "sweeps", {})
    monkeypatch.setattr(duties, "companions", {})
    settings.NATS_URLS = (broker.url,)
    duties.companion("relay", relay.run)
    worker, ended = Worker(EventBus()), []
    thread = threading.Thread(target=lambda: ended.append(worker.run()))
    thread.start()
    try:
        until(lambda: arrived() == acme.head)  # beside the logs of all other tests
        acme.beat(3)
        until(lambda: arrived() == acme.head)
    finally:
        worker.stop()
        thread.join()

    assert_whole(broker.stored(), acme)
    assert ended == [True]
