"""What a limit costs each request: `python -m tests.bench.limits`. Needs no database.

Counting in this process with few clients and with all that it can hold, in a Redis on this machine,
and while one hangs.
"""

import socket
import statistics
import time
from collections.abc import Callable
from contextlib import closing

import django

TIMES = 2_000


def measure(what: str, act: Callable[[int], object], times: int = TIMES) -> None:
    spent = []
    for number in range(times):
        start = time.perf_counter()
        act(number)
        spent.append((time.perf_counter() - start) * 1_000_000)
    spent.sort()
    median, late = statistics.median(spent), spent[int(times * 0.99)]
    print(f"| {what} | {median:,.1f} µs | {late:,.1f} µs | {spent[-1]:,.0f} µs |")


def main() -> None:
    from django.conf import settings

    from agentmesh_site.cache_and_email import django_cache
    from events.ratelimits import limiter
    from events.ratelimits.counters import MOST_CLIENTS, Local, Shared
    from events.ratelimits.scopes import Scope
    from tests.ratelimits.redis_server import ABSENT, REDIS_SERVER, RedisServer

    def shared(url: str) -> Shared:
        return Shared(url, **django_cache(url)["OPTIONS"])

    def one(counted: Local | Shared) -> Callable[[int], object]:
        return lambda _: counted.take("read:one", 10**6, 60, 1)

    print("| one request | median | 99 % | worst |\n|---|---|---|---|")
    settings.RATE_LIMITS = {}
    measure("no limit is set", lambda _: limiter.spend(Scope.READ, "one"))
    settings.RATE_LIMITS = {"read": "1000000/minute"}
    measure("counted in this process", lambda _: limiter.spend(Scope.READ, "one"))
    full = Local()
    for number in range(MOST_CLIENTS):
        full.take(f"read:{number}", 5, 60, 1)
    measure("the same, always somebody new", lambda n: full.take(f"read:new-{n}", 5, 60, 1))
    with closing(socket.create_server(("127.0.0.1", 0))) as hanging:
        hung = shared(f"redis://127.0.0.1:{hanging.getsockname()[1]}/0")
        measure("counted in a Redis that hangs", one(hung))
    if REDIS_SERVER is None:
        print(ABSENT)
        return
    server = RedisServer()
    server.start()
    try:
        measure("counted in a Redis on this machine", one(shared(server.url)))
    finally:
        server.kill()


if __name__ == "__main__":
    django.setup()
    main()
