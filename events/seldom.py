"""What happens at most once in a while: across processes where the cache is shared.

A cache that is away stops nothing: this process keeps count by itself meanwhile.
"""

from django.core.cache import cache

from events.ratelimits.counters import Local, away

_meanwhile = Local()


def is_first(key: str, every_seconds: int) -> bool:
    """Whether nobody else was told so under this key within the time. key: free of blanks."""
    try:
        return cache.add(key, value=True, timeout=every_seconds)
    except away():
        is_allowed, _ = _meanwhile.take(key, 1, every_seconds, 1)
        return is_allowed


def take_back(key: str) -> None:
    """It did not happen after all: whoever asks next is the first."""
    _meanwhile.forget(key)
    try:
        cache.delete(key)
    except away():
        pass
