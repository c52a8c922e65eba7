import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from events.duties import Beside
from events.models import Event
from projections import relay
from projections.relay import companion, notes, session
from tests.house.rooms import ROOT
from tests.relay.broker import ABSENT, NATS_SERVER, Broker, Stored
from tests.relay.relaying import Watchful
from tests.stream.people import Fleet

PATIENCE_SECONDS = 40.0  # of a machine with too much to do; nothing is slow by itself


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.03)


def all_of(broker: Broker, *fleets: Fleet) -> list[Stored]:
    """The stream's messages of these tenants, when as many have come as there are events."""
    total = sum(fleet.head for fleet in fleets)
    until(lambda: broker.end() >= total)
    return broker.stored()


def assert_whole(stored: list[Stored], fleet: Fleet) -> None:
    """Every event of the log, once, in order, as itself."""
    got = [message for message in stored if message.tenant == fleet.tenant]
    assert [message.seq for message in got] == list(range(1, fleet.head + 1))
    rows = Event.objects.filter(tenant=fleet.tenant).order_by("seq")
    assert [(m.headers["Nats-Msg-Id"], m.headers["AgentMesh-Hash"], m.body["id"]) for m in got] == [
        (str(row.event_id), bytes(row.hash).hex(), str(row.event_id)) for row in rows
    ]


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    if NATS_SERVER is None:
        pytest.skip(ABSENT)
    made: list[Broker] = []

    def make(configuration: str = "", *, jetstream: bool = True) -> Broker:
        folder = tmp_path / f"nats-{len(made)}"
        folder.mkdir()
        made.append(Broker(folder, configuration, jetstream=jetstream))
        return made[-1]

    yield make
    for broker in made:
        broker.kill()


@pytest.fixture
def broker(make_broker: Callable[..., Broker]) -> Broker:
    """A server that is running, with an empty store."""
    running = make_broker()
    running.start()
    return running


@pytest.fixture
def acme(committed_db: None, fresh_slug: Callable[[str], str]) -> Fleet:
    """Four events."""
    fleet = Fleet.of(fresh_slug("acme"), "a-1")
    fleet.token()
    return fleet


@pytest.fixture
def globex(committed_db: None, fresh_slug: Callable[[str], str]) -> Fleet:
    return Fleet.of(fresh_slug("globex"), "m-1")


Relaying = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def relaying(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, caplog: pytest.LogCaptureFixture
) -> Relaying:
    """`with relaying(broker, acme):` the relay runs in a thread of this process."""
    caplog.set_level("INFO", "projections.relay")
    monkeypatch.setattr(companion, "LONGEST_PAUSE_SECONDS", 0.5)
    monkeypatch.setattr(session, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(session, "STAND_BY_SECONDS", 0.2)

    @contextmanager
    def run(broker: Broker | str, *fleets: Fleet) -> Iterator[None]:
        tenants = [fleet.tenant for fleet in fleets]
        settings.NATS_URLS = (broker if isinstance(broker, str) else broker.url,)
        every = notes.heads
        monkeypatch.setattr(
            notes, "heads", lambda: {name: seq for name, seq in every().items() if name in tenants}
        )
        stop = threading.Event()
        thread = threading.Thread(target=relay.run, args=[Beside(stop, Watchful(tenants))])
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(PATIENCE_SECONDS)
            monkeypatch.setattr(notes, "heads", every)
        assert not thread.is_alive(), "the relay did not end"

    return run


class Relay:
    """The relay in processes of their own."""

    def __init__(self, environment: dict[str, str], fleets: list[Fleet]) -> None:
        self._environment = environment
        self._command = [sys.executable, "-m", "tests.relay.relaying"]
        self._command += [fleet.tenant for fleet in fleets]
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(self._command, cwd=ROOT, env=self._environment)
        self.processes.append(process)
        return process

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


@pytest.fixture
def relay_processes(subprocess_env: dict[str, str]) -> Iterator[Callable[..., Relay]]:
    made: list[Relay] = []

    def make(broker: Broker, *fleets: Fleet) -> Relay:
        environment = subprocess_env | {"AGENTMESH_NATS_URL": broker.url}
        made.append(Relay(environment, list(fleets)))
        return made[-1]

    yield make
    for each in made:
        each.end()
