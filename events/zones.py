"""Time zones by their IANA names, as this machine and the tzdata package know them."""

from functools import cache
from zoneinfo import available_timezones

NOT_A_PLACE = frozenset({"localtime", "Factory"})  # the machine's own, and one that is none


@cache  # to look through the files takes some 20 ms, and they stay as they are
def names() -> tuple[str, ...]:
    """All that can be set, in their order."""
    return tuple(sorted(available_timezones() - NOT_A_PLACE))


def is_zone(name: str) -> bool:
    return name in names()
