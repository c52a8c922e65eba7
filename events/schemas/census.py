"""Which kinds of events the logs hold that this release cannot read.

They come of a newer release that ran on the database before, or of an import. No index knows types,
since each append would pay for it. So this reads rows, and not without bound: all of a database of
at most MOST_ROWS, and of a larger one NEWEST_ROWS, the newest of the logs that grew last.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection

from events import registry
from events.models import Event, TenantHead
from events.registry import Kind

MOST_ROWS = 1_000_000
NEWEST_ROWS = 100_000
FEWEST_OF_A_LOG = 1_000


@dataclass(frozen=True, slots=True)
class Unknown:
    """A kind that no definition has, how many events of it were met, and a tenant that has some."""

    kind: Kind
    count: int
    tenant: str


def unknown_kinds() -> list[Unknown]:
    """Raises django.db.DatabaseError."""
    known = set(registry.kinds())
    counts: Counter[Kind] = Counter()
    tenants: dict[Kind, str] = {}
    for tenant, condition, values in _stretches():
        for kind, count in _counted(condition, values):
            if kind not in known:
                counts[kind] += count
                tenants.setdefault(kind, tenant or _some_tenant(kind))
    return [Unknown(kind, counts[kind], tenants[kind]) for kind in sorted(counts)]


def _counted(condition: str, values: list[str | int]) -> list[tuple[Kind, int]]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT type, schema_version, count(*) FROM events_event {condition}"
            " GROUP BY type, schema_version",
            values,
        )
        return [(Kind(name, version), count) for name, version, count in cursor.fetchall()]


def _some_tenant(kind: Kind) -> str:
    events = Event.objects.across_tenants().filter(type=kind.type, schema_version=kind.version)
    return events.values_list("tenant_id", flat=True)[0]


def _stretches() -> Iterator[tuple[str, str, list[str | int]]]:
    """Conditions that together select what may be read; of one tenant, or of all ("")."""
    heads = list(TenantHead.objects.across_tenants().order_by("-recorded_at", "tenant"))
    if sum(head.seq for head in heads) <= MOST_ROWS:
        yield "", "", []
        return
    left = NEWEST_ROWS
    share = max(left // len(heads), FEWEST_OF_A_LOG)
    for head in heads:
        if left <= 0:
            return
        values: list[str | int] = [head.tenant_id, head.seq - share]
        yield head.tenant_id, "WHERE tenant_id = %s AND seq > %s", values
        left -= min(head.seq, share)
