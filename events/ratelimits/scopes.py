"""What is limited, each apart from the others; and the limit of each."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from django.conf import settings

SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
PERIODS = {seconds: name for name, seconds in SECONDS.items()}


class Scope(StrEnum):
    """Requests by what they cost. A scope without a limit in the settings is not counted."""

    READ = "read"  # GET and HEAD
    WRITE = "write"  # POST, PATCH and DELETE
    BULK = "bulk"  # the items of POST /commands
    STREAM = "stream"  # streams that are opened, not what flows in them
    EXPORT = "export"  # copies of a log
    LOGIN = "login"  # attempts to sign in, and tokens that open nothing; by address


@dataclass(frozen=True, slots=True)
class Policy:
    """At most `quota` units of a scope in any `window_seconds`."""

    scope: Scope
    quota: int
    window_seconds: int


def policy_of(scope: Scope) -> Policy | None:
    """The limit in the settings; None when there is none."""
    rate = settings.RATE_LIMITS.get(scope)
    return None if rate is None else _policy(scope, rate)


@cache
def _policy(scope: Scope, rate: str) -> Policy:
    quota, _, period = rate.partition("/")
    return Policy(scope, int(quota), SECONDS[period])
