from collections.abc import Iterator

import pytest

from tests.ratelimits.redis_server import ABSENT, REDIS_SERVER, RedisServer


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A server that is running, and empty."""
    if REDIS_SERVER is None:
        pytest.skip(ABSENT)
    running = RedisServer()
    running.start()
    yield running
    running.kill()
