"""How fast a replay goes, and what it has done."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Pace:
    """Seconds of the trace in seconds of ours. speed: None is as fast as possible."""

    speed: float | None = None
    sleep: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _began: float | None = None

    def wait_until(self, seconds: float) -> None:
        if self.speed is None:
            return
        if self._began is None:
            self._began = self.clock()
        left = self._began + seconds / self.speed - self.clock()
        if left > 0:
            self.sleep(left)


@dataclass
class Tally:
    """events: facts recorded. tasks: ended ones, of which `failed` failed. lost: those that other
    hands had ended before the replay could."""

    events: int = 0
    tasks: int = 0
    failed: int = 0
    lost: int = 0
    ended: Callable[[], object] = field(default=lambda: None, repr=False)

    def end(self, *, failed: bool, taken: bool) -> None:
        self.tasks += 1
        self.failed += failed and taken
        self.lost += not taken
        self.ended()
