"""How a door says what is left of a limit, and that nothing is.

Headers as in draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy: "read";q=600;w=60` and
`RateLimit: "read";r=599;t=60`, structured fields of one item for each limit that applied.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from events.api.problem import Problem
from events.ratelimits.limiter import Standing
from events.ratelimits.scopes import PERIODS

POLICY, LEFT = "RateLimit-Policy", "RateLimit"


def headers_of(standings: Sequence[Standing]) -> Mapping[str, str]:
    """None where nothing was counted."""
    if not standings:
        return {}
    newest = {each.policy.scope: each for each in standings}.values()
    return {
        POLICY: ", ".join(
            f'"{each.policy.scope}";q={each.policy.quota};w={each.policy.window_seconds}'
            for each in newest
        ),
        LEFT: ", ".join(
            f'"{each.policy.scope}";r={each.remaining};t={each.reset_seconds}' for each in newest
        ),
    }


def throttled(standing: Standing) -> Problem:
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "throttled",
        words(standing),
        headers={"Retry-After": str(standing.retry_after_seconds)},
    )


def words(standing: Standing) -> str:
    policy, wait = standing.policy, standing.retry_after_seconds
    return (
        f"More than {policy.quota:,} a {PERIODS[policy.window_seconds]} is too much here (limit "
        f'"{policy.scope}"). Try again in {wait} second{"s" * (wait > 1)}.'
    )
