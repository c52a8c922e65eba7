"""From rows to numbers: what is added up, and what is then said of it."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import msgspec

from events.facts import Number
from projections.analytics import sketch

MINUTE = timedelta(minutes=1)


class ExecutionTime(msgspec.Struct, frozen=True, kw_only=True):
    """Of completed tasks, in milliseconds; null where there were none. min and max are exact, mean
    to a float, the percentiles (nearest rank) within `sketch.RELATIVE_ERROR`."""

    p50: Number | None = None
    p95: Number | None = None
    p99: Number | None = None
    min: Number | None = None
    max: Number | None = None
    mean: float | None = None


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """Of completed tasks, those that said nothing as 0. Exact, however many."""

    input_tokens: int = 0
    output_tokens: int = 0


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """completion_rate: of those that ended, 0 to 1, null where none did. throughput_per_minute: of
    completed ones, over the whole time, also where that is not over yet."""

    completed: int
    failed: int
    completion_rate: float | None
    throughput_per_minute: float
    execution_time_ms: ExecutionTime
    tokens: Tokens


class Tally:
    """Rows added up, in any order."""

    # Of a row, in the order in which `add` takes them.
    COLUMNS = (
        "completed",
        "failed",
        "input_tokens",
        "output_tokens",
        "execution_total_us",
        "execution_min_us",
        "execution_max_us",
        "execution_times",
    )

    def __init__(self) -> None:
        self.completed = self.failed = 0
        self.input_tokens = self.output_tokens = self.total_us = 0
        self._extremes: list[int] = []
        self._sketches: list[bytes] = []

    def add(self, row: Iterable[Any]) -> None:
        completed, failed, input_tokens, output_tokens, total_us, min_us, max_us, times = row
        self.completed += completed
        self.failed += failed
        if completed:
            self.input_tokens += input_tokens
            self.output_tokens += output_tokens
            self.total_us += total_us
            self._extremes += (min_us, max_us)
            self._sketches.append(bytes(times))

    def fields(self, over: timedelta) -> dict[str, Any]:
        """The fields of a Measured. over: how long the time is that the rows are of."""
        ended = self.completed + self.failed
        return {
            "completed": self.completed,
            "failed": self.failed,
            "completion_rate": self.completed / ended if ended else None,
            "throughput_per_minute": self.completed * MINUTE / over,
            "execution_time_ms": self._execution_time(),
            "tokens": Tokens(input_tokens=self.input_tokens, output_tokens=self.output_tokens),
        }

    def _execution_time(self) -> ExecutionTime:
        if not self.completed:
            return ExecutionTime()
        bins = sketch.merged(self._sketches)
        shortest, longest = min(self._extremes), max(self._extremes)

        def percentile(percent: int) -> Number:
            # No time is outside of these, so that of equal times the percentile is exact.
            return _ms(max(shortest, min(longest, sketch.percentile(bins, percent))))

        return ExecutionTime(
            p50=percentile(50),
            p95=percentile(95),
            p99=percentile(99),
            min=_ms(shortest),
            max=_ms(longest),
            mean=self.total_us / (1000 * self.completed),
        )


def _ms(us: Number) -> Number:
    """Whole milliseconds stay whole, and so exact beyond what a float holds."""
    whole, rest = divmod(us, 1000)
    return us / 1000 if rest else int(whole)
