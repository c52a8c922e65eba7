"""What a door asks before it does anything that costs: may this client go on?"""

import ipaddress
import math
from dataclasses import dataclass

from django.http import HttpRequest

from events.origin import address_of
from events.ratelimits.counters import counter
from events.ratelimits.scopes import Policy, Scope, policy_of
from events.ratelimits.windows import Window

NETWORK_OF_ONE = 64  # bits: whoever has one IPv6 address has its whole /64


@dataclass(frozen=True, slots=True)
class Standing:
    """How a client stands with one policy, after what it just asked for."""

    policy: Policy
    is_allowed: bool
    remaining: int
    reset_seconds: int  # until the window now has passed
    retry_after_seconds: int  # until what was refused would be allowed; 0 when it was not refused


def spend(scope: Scope, who: str, cost: int = 1, *, paid: int = 0) -> Standing | None:
    """Take `cost` units of the client's, of which it has `paid` some; None when the scope has no
    limit.

    What costs more than the whole quota takes all of it: else nobody could ever ask for it.
    """
    policy = policy_of(scope)
    if policy is None:
        return None
    quota, seconds = policy.quota, policy.window_seconds
    cost = max(0, min(cost, quota) - paid)
    is_allowed, window = counter().take(f"{scope}:{quota}/{seconds}:{who}", quota, seconds, cost)
    return Standing(
        policy,
        is_allowed,
        window.remaining(quota),
        math.ceil(window.left_seconds),
        0 if is_allowed else _wait(window, quota, cost),
    )


def _wait(window: Window, quota: int, cost: int) -> int:
    return max(1, math.ceil(window.seconds_until(quota, cost)))


def caller_at(request: HttpRequest) -> str:
    """Whoever asks from this address, by which those are counted who are nobody yet."""
    try:
        address = ipaddress.ip_address(address_of(request))
    except ValueError:
        return "address:unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            network = ipaddress.ip_network((int(address), NETWORK_OF_ONE), strict=False)
            return f"address:{network}"
        address = address.ipv4_mapped
    return f"address:{address}"
