"""What the statistics say: how tasks ended in a range of time, in whole buckets.

    task_statistics("acme", since, until, "hour")   a series, and what agents and types did
    task_series("acme", since, until, "day", kind="agent", name="a-1")
    failing_agents("acme", since, until, most=5)    whose tasks failed
    completion_rate("acme", minutes=15)             of the last minutes

Definitions and errors: docs/analytics.md.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from django.db.models import QuerySet, Sum
from django.utils import timezone

from events.durable.status import read_up_to
from events.generations import live
from events.moments import rfc3339
from events.tenant_settings import LEAST_DAYS
from projections.analytics import keeping
from projections.analytics.buckets import (
    LENGTH,
    RESOLUTIONS,
    Piece,
    Resolution,
    ceil,
    edges,
    floor,
    pieces,
)
from projections.analytics.measure import Measured, Tally
from projections.analytics.readmodel import KEPT, NAME, Kind
from projections.models import TaskStatisticsRow

MOST_BUCKETS = 1_500
MOST_NAMED = 100
MOST_MINUTES = 366 * 24 * 60
_SUMS = {"completed_sum": Sum("completed"), "failed_sum": Sum("failed")}


class Ends(NamedTuple):
    """How many tasks ended, and how."""

    completed: int
    failed: int


class BadRange(ValueError):
    """The range of time cannot be told: which parameter is to blame, and what it has to be."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(f"{parameter} {detail}")
        self.parameter = parameter
        self.detail = detail


class Bucket(Measured, frozen=True, kw_only=True):
    """since: where the bucket begins."""

    since: datetime


class Named(Measured, frozen=True, kw_only=True):
    """Of one agent or type."""

    name: str


class Rest(msgspec.Struct, frozen=True, kw_only=True):
    """Those that are not named, together."""

    number: int
    completed: int
    failed: int


class Breakdown(msgspec.Struct, frozen=True, kw_only=True):
    """items: of those of which tasks ended, with the most first, then by name. since, until: when;
    of agents in whole hours."""

    since: datetime
    until: datetime
    items: tuple[Named, ...]
    rest: Rest


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """since, until: the range in whole buckets. buckets: all of them, in order, empty ones too."""

    bucket: Resolution
    since: datetime
    until: datetime
    total: Measured
    buckets: tuple[Bucket, ...]


class TaskStatistics(Series, frozen=True, kw_only=True):
    """seq: the log has been counted at least up to it. agents, types: of the range, but that of
    agents begins and ends with an hour."""

    seq: int
    agents: Breakdown
    types: Breakdown


class Failing(msgspec.Struct, frozen=True, kw_only=True):
    """An agent with tasks that failed."""

    agent_id: str
    completed: int
    failed: int


class Failures(msgspec.Struct, frozen=True, kw_only=True):
    """items: those of which the most tasks failed, then by id. number: how many there are in all.
    since, until: when, in whole hours."""

    since: datetime
    until: datetime
    items: tuple[Failing, ...]
    number: int


class CompletionRate(msgspec.Struct, frozen=True, kw_only=True):
    """rate: of the tasks that ended, 0 to 1; None when none did."""

    since: datetime
    completed: int
    failed: int
    rate: float | None


def task_statistics(
    tenant: str, since: datetime, until: datetime, bucket: Resolution, *, most: int = MOST_NAMED
) -> TaskStatistics:
    """Everything of one range: since is rounded down to an edge of the buckets, until up. Where the
    tenant keeps such buckets for a time only, the range begins no earlier than that.

    most: how many agents, and types, are named; the rest is said in sum. Raises BadRange for a
    range that is empty, or has more than MOST_BUCKETS.
    """
    seq = read_up_to(tenant, NAME)  # first: what is read after it is at least as new
    series = task_series(tenant, since, until, bucket)
    return TaskStatistics(
        **msgspec.structs.asdict(series),
        seq=seq,
        agents=_breakdown(tenant, "agent", series, most),
        types=_breakdown(tenant, "type", series, most),
    )


def task_series(
    tenant: str,
    since: datetime,
    until: datetime,
    bucket: Resolution,
    *,
    kind: Kind = "tenant",
    name: str = "",
) -> Series:
    """The buckets of a range, of the tenant or of one agent or type. As `task_statistics`; raises
    BadRange too for an agent's minutes."""
    since, until = _whole_buckets(since, until, bucket)
    if bucket not in KEPT[kind]:
        raise BadRange(
            "bucket", f"must be {' or '.join(KEPT[kind])}: no {bucket}s of {kind}s are kept."
        )
    since = _counted_since(tenant, since, bucket)
    if since >= until:
        raise BadRange(
            "until", f"must be after {rfc3339(since)}: older statistics by {bucket} are not kept."
        )
    total, tallies = Tally(), defaultdict[datetime, Tally](Tally)
    rows = _rows(tenant, kind, Piece(bucket, since, until)).filter(name=name)
    for begin, *row in rows.values_list("bucket", *Tally.COLUMNS):
        tallies[begin].add(row)
        total.add(row)
    return Series(
        bucket=bucket,
        since=since,
        until=until,
        total=Measured(**total.fields(until - since)),
        buckets=tuple(
            Bucket(since=edge, **tallies[edge].fields(LENGTH[bucket]))
            for edge in edges(since, until, bucket)
        ),
    )


def failing_agents(tenant: str, since: datetime, until: datetime, *, most: int) -> Failures:
    """Whose tasks failed in a range that ends after it begins, rounded to whole hours. One query,
    at most three where whole days are in it."""
    finest, *_ = KEPT["agent"]
    since, until = floor(since, finest), ceil(until, finest)
    ended = _ended(tenant, "agent", pieces(since, until, KEPT["agent"][::-1]))
    failing = {name: ends for name, ends in ended.items() if ends.failed}
    ranked = sorted(failing, key=lambda name: (-failing[name].failed, name))
    return Failures(
        since=since,
        until=until,
        items=tuple(
            Failing(agent_id=name, completed=ended[name].completed, failed=ended[name].failed)
            for name in ranked[:most]
        ),
        number=len(ranked),
    )


def completion_rate(
    tenant: str,
    minutes: int,
    *,
    now: datetime | None = None,
) -> CompletionRate:
    """Of the last minutes, and of the one that has begun; of fewer where fewer are kept.

    One small query, at most five where whole hours and days are among them. Raises BadRange for no
    minutes, or more than a year of them.
    """
    if not 1 <= minutes <= MOST_MINUTES:
        raise BadRange("minutes", f"must be 1 to {MOST_MINUTES}.")
    now = now or timezone.now()
    since = _counted_since(tenant, floor(now - timedelta(minutes=minutes), "minute"), "minute")
    completed = failed = 0
    for piece in pieces(since, ceil(now, "minute")):
        found = _rows(tenant, "tenant", piece).aggregate(**_SUMS)
        completed += found["completed_sum"] or 0
        failed += found["failed_sum"] or 0
    ended = completed + failed
    return CompletionRate(
        since=since,
        completed=completed,
        failed=failed,
        rate=completed / ended if ended else None,
    )


def _whole_buckets(
    since: datetime, until: datetime, bucket: Resolution
) -> tuple[datetime, datetime]:
    if bucket not in RESOLUTIONS:
        raise BadRange("bucket", f"must be one of {', '.join(RESOLUTIONS)}.")
    if since >= until:
        raise BadRange("since", "must be before until.")
    try:
        since, until = floor(since, bucket), ceil(until, bucket)
        ceil(until, "hour")  # the range of agents
    except OverflowError:
        raise BadRange("until", "must be a day before the end of the year 9999.") from None
    number = (until - since) // LENGTH[bucket]
    if number > MOST_BUCKETS:
        raise BadRange(
            "since",
            f"is {number} {bucket}s before until, and at most {MOST_BUCKETS} buckets are given. "
            f"Ask for less time{'' if bucket == 'day' else ' or for longer buckets'}.",
        )
    return since, until


def _counted_since(tenant: str, since: datetime, bucket: Resolution) -> datetime:
    """`since`, or the later moment from which on such buckets count, with all that are longer."""
    if since >= timezone.now() - timedelta(days=LEAST_DAYS):
        return since  # nobody keeps them for less
    return max(since, keeping.live_since(tenant).get(bucket, since))


def _breakdown(tenant: str, kind: Kind, series: Series, most: int) -> Breakdown:
    finest, *_ = kept = KEPT[kind]
    since, until = floor(series.since, finest), ceil(series.until, finest)
    range_ = pieces(since, until, kept[::-1])
    ended = _ended(tenant, kind, range_)
    # Here and not in the database, whose collation would order names differently on each engine.
    ranked = sorted(ended, key=lambda name: (-sum(ended[name]), name))
    tallies = {name: Tally() for name in ranked[:most]}
    for piece in range_:
        named = _rows(tenant, kind, piece).filter(name__in=tallies)
        for name, *row in named.values_list("name", *Tally.COLUMNS).iterator():
            tallies[name].add(row)
    rest = [ended[name] for name in ranked[most:]]
    return Breakdown(
        since=since,
        until=until,
        items=tuple(
            Named(name=name, **tally.fields(until - since)) for name, tally in tallies.items()
        ),
        rest=Rest(
            number=len(rest),
            completed=sum(completed for completed, _ in rest),
            failed=sum(failed for _, failed in rest),
        ),
    )


def _ended(tenant: str, kind: Kind, range_: Iterable[Piece]) -> Mapping[str, Ends]:
    """How many tasks of each ended, by name."""
    ended = defaultdict[str, Ends](lambda: Ends(0, 0))
    for piece in range_:
        sums = _rows(tenant, kind, piece).values("name").annotate(**_SUMS)
        for name, completed, failed in sums.values_list("name", *_SUMS):
            before = ended[name]
            ended[name] = Ends(before.completed + completed, before.failed + failed)
    return ended


def _rows(tenant: str, kind: Kind, piece: Piece) -> QuerySet[TaskStatisticsRow]:
    # One piece is one stretch of the index; for several at once PostgreSQL reads the whole table.
    return live(TaskStatisticsRow, NAME, tenant).filter(
        kind=kind,
        resolution=piece.resolution,
        bucket__gte=piece.since,
        bucket__lt=piece.until,
    )
