"""Where requests are counted: in Redis, where CACHE_URL names one, so that a limit holds across all
processes; else in this process.

A Redis that is away stops nobody and keeps nobody waiting: this process counts by itself meanwhile,
says so once, and looks every few seconds whether Redis is back.
"""

import logging
import threading
import time
from collections import OrderedDict
from functools import cache
from typing import Any, Protocol

from django.conf import settings

from events.ratelimits.windows import Window

logger = logging.getLogger(__name__)

MOST_CLIENTS = 100_000  # counted in one process; those that were longest quiet are forgotten first
LOOK_AGAIN_SECONDS = 5.0
PREFIX = "agentmesh:limits"


class Counter(Protocol):
    def take(self, key: str, quota: int, seconds: int, cost: int) -> tuple[bool, Window]:
        """Count `cost` under the key, unless that would be more than `quota`; and what stands."""


class Local:
    """Counts in this process."""

    def __init__(self, most: int = MOST_CLIENTS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._counted: OrderedDict[str, tuple[float, int, int]] = (
            OrderedDict()
        )  # start, before, now

    def take(self, key: str, quota: int, seconds: int, cost: int) -> tuple[bool, Window]:
        moment = time.monotonic()
        with self._lock:
            start, before, now = _moved(self._counted.get(key, (moment, 0, 0)), moment, seconds)
            left = seconds - (moment - start)
            is_allowed = Window(seconds, before, now, left).remaining(quota) >= cost
            now += cost if is_allowed else 0
            self._counted[key] = (start, before, now)
            self._counted.move_to_end(key)
            if len(self._counted) > self._most:
                self._counted.popitem(last=False)
        return is_allowed, Window(seconds, before, now, left)

    def forget(self, key: str) -> None:
        with self._lock:
            self._counted.pop(key, None)


def _moved(counted: tuple[float, int, int], moment: float, seconds: int) -> tuple[float, int, int]:
    """The counts, with those that are older than two windows left out."""
    start, before, now = counted
    past = moment - start
    if past >= 2 * seconds:
        return moment, 0, 0
    if past >= seconds:
        return start + seconds, now, 0
    return start, before, now


def away() -> tuple[type[Exception], ...]:
    """What a cache raises that is away: for `except away()`, which asks when something is wrong."""
    # Here, not above: it takes every process 0.1 s, and few installations have a Redis.
    from redis.exceptions import RedisError

    return RedisError, OSError


class Shared:
    """Counts in Redis; each taking is one script there, so no two processes take the same unit."""

    def __init__(self, url: str, **options: Any) -> None:
        from limits.storage import RedisStorage

        self._redis = RedisStorage(url, key_prefix=PREFIX, **options)
        self._meanwhile = Local()
        self._lock = threading.Lock()
        self._is_away = False
        self._look_at = 0.0

    def take(self, key: str, quota: int, seconds: int, cost: int) -> tuple[bool, Window]:
        if not self._is_worth_asking():
            return self._meanwhile.take(key, quota, seconds, cost)
        try:
            is_allowed = self._redis.acquire_sliding_window_entry(key, quota, seconds, cost)
            before, _, now, left = self._redis.get_sliding_window(key, seconds)
        except away() as error:
            self._note_away(error)
            return self._meanwhile.take(key, quota, seconds, cost)
        self._note_back()
        # Redis keeps the count of a window for two of its lengths.
        return is_allowed, Window(seconds, before, now, min(max(0.0, left - seconds), seconds))

    def _is_worth_asking(self) -> bool:
        """Always while Redis answers; else for one request every few seconds."""
        with self._lock:
            now = time.monotonic()
            if now < self._look_at:
                return False
            if self._is_away:
                self._look_at = now + LOOK_AGAIN_SECONDS
            return True

    def _note_away(self, error: Exception) -> None:
        with self._lock:
            is_news, self._is_away = not self._is_away, True
            self._look_at = time.monotonic() + LOOK_AGAIN_SECONDS
        if is_news:
            # Not the error's own words: they may quote the URL, which may hold a password.
            logger.warning(
                "CACHE_URL does not answer (%s): each process counts rate limits by itself now",
                type(error).__name__,
            )

    def _note_back(self) -> None:
        with self._lock:
            is_news, self._is_away, self._look_at = self._is_away, False, 0.0
        if is_news:
            logger.warning("CACHE_URL answers again: rate limits hold across processes")


@cache
def counter() -> Counter:
    """This process's."""
    given = settings.CACHES["default"]
    url = str(given.get("LOCATION", ""))
    if url.startswith(("redis://", "rediss://")):
        return Shared(url, **given.get("OPTIONS", {}))
    return Local()
