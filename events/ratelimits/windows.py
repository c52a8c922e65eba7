"""A sliding window of two counts: that of the window now, and that of the one before, which weighs
as much as of it is still within one window's length from now.

Two numbers per client, however many requests; at no moment twice the quota, as two fixed windows
side by side allow. It is an estimate that takes the earlier requests as spread evenly.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """What was counted. left_seconds: until the window now becomes the one before."""

    length_seconds: float
    before: int
    now: int
    left_seconds: float

    def remaining(self, quota: int) -> int:
        weight = self.before * self.left_seconds / self.length_seconds
        return max(0, quota - math.floor(weight) - self.now)

    def seconds_until(self, quota: int, cost: int) -> float:
        """How long to wait until `cost` is allowed, if nobody asks meanwhile. cost ≤ quota."""
        if self.remaining(quota) >= cost:
            return 0.0
        if self.now + cost <= quota:
            # The earlier count has to weigh less than this; it falls evenly.
            light = (quota - cost - self.now + 1) * self.length_seconds / self.before
            return max(0.0, self.left_seconds - light)
        light = (quota - cost + 1) * self.length_seconds / self.now
        return self.left_seconds + max(0.0, self.length_seconds - light)
