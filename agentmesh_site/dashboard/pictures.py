"""The dashboard's charts, from the statistics of tasks."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from events.pages.charts import charts
from events.pages.charts.charts import Chart, Series
from events.pages.charts.times import Times
from events.pages.charts.units import COUNT, MILLISECONDS, PERCENT
from projections.analytics import queries
from projections.analytics.buckets import LENGTH
from projections.analytics.measure import Measured


@dataclass(frozen=True, slots=True)
class Pictures:
    """Of one range. total: all of it."""

    total: Measured
    throughput: Chart
    completion: Chart
    execution: Chart


def of_tasks(series: queries.Series, now: datetime) -> Pictures:
    """Where nothing ended there is neither a rate nor a time: a gap, not a zero."""
    times = Times(
        series.since,
        series.until,
        [each.since for each in series.buckets],
        LENGTH[series.bucket],
        now=now,
    )

    def line(name: str, look: str, value: Callable[[Measured], float | None]) -> Series:
        return Series(name, look, [value(each) for each in series.buckets])

    return Pictures(
        total=series.total,
        throughput=charts.stacked(
            "throughput",
            f"Tasks that ended, per {series.bucket}",
            times,
            COUNT,
            [
                line("completed", "completed", lambda each: each.completed),
                line("failed", "failed", lambda each: each.failed),
            ],
        ),
        completion=charts.lines(
            "completion",
            "Completion rate",
            times,
            PERCENT,
            [line("completed, of those that ended", "rate", lambda each: each.completion_rate)],
        ),
        execution=charts.lines(
            "execution",
            "Execution time",
            times,
            MILLISECONDS,
            [
                line("p50", "p50", lambda each: each.execution_time_ms.p50),
                line("p95", "p95", lambda each: each.execution_time_ms.p95),
            ],
        ),
    )
