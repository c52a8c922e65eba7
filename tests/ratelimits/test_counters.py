"""Counting, in this process and in Redis; and what happens while Redis is away."""

import logging
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from django.core.cache.backends.redis import RedisCache
from pytest_django.fixtures import Settings
from redis.exceptions import RedisError

from agentmesh_site.cache_and_email import django_cache
from events.ratelimits import counters
from events.ratelimits.counters import Counter, Local, Shared, counter
from tests.ratelimits.redis_server import RedisServer
from tests.stream.server import free_port

PATIENCE_SECONDS = 20.0


def shared(url: str) -> Shared:
    """As in a process of its own."""
    return Shared(url, **django_cache(url)["OPTIONS"])


@pytest.fixture(params=["local", "shared"])
def any_counter(request: pytest.FixtureRequest) -> Counter:
    if request.param == "local":
        return Local()
    server: RedisServer = request.getfixturevalue("redis_server")
    return shared(server.url)


@pytest.fixture
def somebody() -> str:
    return f"read:test:{uuid.uuid4()}"


def taken(counted: Counter, key: str, *, of: int, quota: int, seconds: int = 60) -> int:
    """How many of so many takings are allowed."""
    return sum(counted.take(key, quota, seconds, 1)[0] for _ in range(of))


def test_as_many_as_the_quota_are_let_through(any_counter: Counter, somebody: str) -> None:
    assert taken(any_counter, somebody, of=8, quota=5) == 5
    is_allowed, window = any_counter.take(somebody, 5, 60, 1)
    assert (is_allowed, window.remaining(5), window.now) == (False, 0, 5)
    assert 50 < window.left_seconds <= 60


def test_others_are_counted_apart(any_counter: Counter, somebody: str) -> None:
    assert taken(any_counter, somebody, of=3, quota=2) == 2
    assert taken(any_counter, f"{somebody}-else", of=3, quota=2) == 2


def test_what_costs_more_takes_more_or_nothing(any_counter: Counter, somebody: str) -> None:
    assert any_counter.take(somebody, 10, 60, 7)[0]
    assert not any_counter.take(somebody, 10, 60, 4)[0]
    assert any_counter.take(somebody, 10, 60, 3)[1].remaining(10) == 0


def test_after_the_time_that_was_told_there_is_more(any_counter: Counter, somebody: str) -> None:
    assert taken(any_counter, somebody, of=4, quota=3, seconds=1) == 3
    _, window = any_counter.take(somebody, 3, 1, 1)
    assert 0 < window.seconds_until(3, 1) <= 2
    time.sleep(window.seconds_until(3, 1) + 0.05)
    is_allowed, window = any_counter.take(somebody, 3, 1, 1)
    assert is_allowed
    assert window.before == 3  # two windows side by side would have let three more through
    assert taken(any_counter, somebody, of=3, quota=3, seconds=1) < 3


def test_nobody_slips_through_between_many_at_once(any_counter: Counter, somebody: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        many = pool.map(lambda _: any_counter.take(somebody, 25, 60, 1)[0], range(200))
        assert sum(many) == 25


def test_two_processes_share_one_count_in_redis(redis_server: RedisServer, somebody: str) -> None:
    one, other = shared(redis_server.url), shared(redis_server.url)
    assert taken(one, somebody, of=3, quota=5) + taken(other, somebody, of=4, quota=5) == 5


def test_the_memory_of_a_process_is_bounded_and_forgets_the_quiet() -> None:
    counted = Local(most=100)
    for number in range(1_000):
        counted.take(f"read:{number}", 5, 60, 1)
        counted.take("read:busy", 5_000, 60, 1)
    assert len(counted._counted) == 100
    assert counted.take("read:busy", 5_000, 60, 1)[1].now == 1_001


def test_the_cache_in_the_settings_is_where_is_counted(settings: Settings) -> None:
    counter.cache_clear()
    assert isinstance(counter(), Local)
    counter.cache_clear()
    settings.CACHES = {"default": django_cache(f"redis://127.0.0.1:{free_port()}/0")}
    assert isinstance(counter(), Shared)
    counter.cache_clear()


def test_djangos_cache_takes_the_same_settings(redis_server: RedisServer) -> None:
    config = django_cache(redis_server.url)
    cached = RedisCache(config["LOCATION"], config)
    assert cached.add("seen", True, timeout=60)
    assert not cached.add("seen", True, timeout=60)
    redis_server.signal(signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(RedisError):
        cached.get("seen")
    assert time.monotonic() - began < 0.8


class TestAway:
    @pytest.fixture(autouse=True)
    def _look_again_soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(counters, "LOOK_AGAIN_SECONDS", 0.3)

    def test_nobody_is_stopped_and_the_limit_holds_in_this_process(
        self, somebody: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        nowhere = shared(f"redis://:hunter2@127.0.0.1:{free_port()}/0")
        with caplog.at_level(logging.INFO, "events.ratelimits"):
            assert taken(nowhere, somebody, of=8, quota=5) == 5
        (line,) = caplog.messages
        assert line.startswith("CACHE_URL does not answer (ConnectionError)")

    def test_one_that_hangs_is_waited_for_once_and_briefly(
        self, hanging: str, somebody: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(counters, "LOOK_AGAIN_SECONDS", 60.0)
        counted, began = shared(hanging), time.monotonic()
        assert taken(counted, somebody, of=100, quota=100) == 100
        assert time.monotonic() - began < 0.8

    @pytest.fixture
    def hanging(self) -> Iterator[str]:
        """Somebody who listens and never says a word."""
        with closing(socket.create_server(("127.0.0.1", 0))) as listener:
            yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"

    def test_when_it_is_back_it_counts_again(
        self, redis_server: RedisServer, somebody: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        counted = shared(redis_server.url)
        with caplog.at_level(logging.INFO, "events.ratelimits"):
            assert taken(counted, somebody, of=3, quota=5) == 3
            redis_server.signal(signal.SIGSTOP)
            assert taken(counted, somebody, of=9, quota=5) == 5  # this process had seen none
            redis_server.signal(signal.SIGCONT)
            until(lambda: not counted.take(somebody, 5, 60, 1)[0] and len(caplog.messages) == 2)
        assert [line.split("(")[0].strip() for line in caplog.messages] == [
            "CACHE_URL does not answer",
            "CACHE_URL answers again: rate limits hold across processes",
        ]

    def test_a_restart_between_two_requests_is_not_noticed(
        self, redis_server: RedisServer, somebody: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        counted = shared(redis_server.url)
        assert taken(counted, somebody, of=1, quota=5) == 1
        redis_server.kill()
        redis_server.start()
        assert taken(counted, somebody, of=9, quota=5) == 5
        assert not caplog.messages


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
