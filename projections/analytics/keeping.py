"""For how long statistics are kept: from when on each resolution's buckets count.

A tenant's settings say for how many days. What follows from them is stored with the generation of
the rows, from a midnight of UTC on, and moves before a row is deleted. Longer buckets count from
the same midnight on or from an earlier one, so a range that begins in what counts is whole.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import cast

import msgspec
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from events import generations
from events.generations import FIRST_GENERATION
from events.models import SubscriptionCheckpoint, Tenant
from events.readmodels import Key
from projections.analytics.buckets import RESOLUTIONS, Resolution, floor
from projections.analytics.models import StatisticsKept, TaskStatisticsRow

PROJECTION = "analytics"
KINDS = ("tenant", "type", "agent")
AT_ONCE = 1_000
Since = Mapping[Resolution, datetime]


class CountedSince(msgspec.Struct, frozen=True):
    """Of a resolution that is not named every bucket counts."""

    since: Since

    def condition(self, table: type[msgspec.Struct]) -> Q:
        if not self._is_of_statistics(table):
            return Q()
        forgotten = Q()
        for resolution, since in self.since.items():
            forgotten |= Q(resolution=resolution, bucket__lt=since)
        return ~forgotten if forgotten else Q()

    def counts(self, table: type[msgspec.Struct], key: Key) -> bool:
        if not self._is_of_statistics(table):
            return True
        resolution, _, bucket, _ = key
        since = self.since.get(resolution)
        return since is None or bucket >= since

    @staticmethod
    def _is_of_statistics(table: type[msgspec.Struct]) -> bool:
        return "bucket" in table.__struct_fields__


class StatisticsKeeping:
    """`events.readmodels.Keeping` of the projection "analytics"."""

    def begin(self, tenant: str, generation: int, *, like: int | None) -> None:
        counted = wanted(tenant, timezone.now()) if like is None else since(tenant, like)
        with transaction.atomic():
            StatisticsKept.objects.filter(tenant=tenant, generation=generation).delete()
            StatisticsKept.objects.bulk_create(
                StatisticsKept(
                    tenant_id=tenant, generation=generation, resolution=resolution, since=moment
                )
                for resolution, moment in counted.items()
            )

    def kept(self, tenant: str, generation: int) -> CountedSince:
        return CountedSince(since(tenant, generation))

    def clear(self, tenant: str, *, keep: int) -> None:
        StatisticsKept.objects.filter(tenant=tenant).exclude(generation=keep).delete()


def since(tenant: str, generation: int) -> Since:
    """From when on each resolution's buckets count; those that all count are not named."""
    return _by_resolution(StatisticsKept.objects.filter(tenant=tenant, generation=generation))


def live_since(tenant: str) -> Since:
    """Of the rows that count now."""
    return _by_resolution(generations.live(StatisticsKept, PROJECTION, tenant))


def _by_resolution(rows: QuerySet[StatisticsKept]) -> Since:
    return {
        cast("Resolution", resolution): moment
        for resolution, moment in rows.values_list("resolution", "since")
    }


def wanted(tenant: str, now: datetime) -> Since:
    """What the tenant's settings say."""
    columns = [f"{resolution}_statistics_days" for resolution in RESOLUTIONS]
    days = Tenant.objects.filter(slug=tenant).values_list(*columns).first() or ()
    return {
        resolution: floor(now - timedelta(days=number), "day")
        for resolution, number in zip(RESOLUTIONS, days, strict=False)
        if number is not None
    }


def move(tenant: str, now: datetime) -> None:
    """Let no more count than the settings say. What does not count already never does again, until
    the rows are made anew."""
    generation = _live_generation(tenant)
    standing = since(tenant, generation)
    for resolution, moment in wanted(tenant, now).items():
        if resolution not in standing:
            StatisticsKept.objects.get_or_create(
                tenant_id=tenant,
                generation=generation,
                resolution=resolution,
                defaults={"since": moment},
            )
        elif standing[resolution] < moment:
            StatisticsKept.objects.filter(
                tenant=tenant, generation=generation, resolution=resolution, since__lt=moment
            ).update(since=moment)


def delete(tenant: str, most: int) -> int:
    """Delete rows that do not count, about `most` at the most, in small transactions; how many."""
    generation = _live_generation(tenant)
    deleted = 0
    for resolution, moment in since(tenant, generation).items():
        for kind in KINDS:
            forgotten = TaskStatisticsRow.objects.filter(
                tenant=tenant,
                generation=generation,
                resolution=resolution,
                kind=kind,
                bucket__lt=moment,
            ).order_by("bucket", "name")
            while deleted < most and (
                keys := list(forgotten.values_list("pk", flat=True)[:AT_ONCE])
            ):
                TaskStatisticsRow.objects.filter(tenant=tenant, pk__in=keys).delete()
                deleted += len(keys)
    return deleted


def _live_generation(tenant: str) -> int:
    checkpoints = SubscriptionCheckpoint.objects.filter(tenant=tenant, subscription=PROJECTION)
    return checkpoints.values_list("generation", flat=True).first() or FIRST_GENERATION
