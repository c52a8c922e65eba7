"""Which kinds of events the logs hold that this release cannot read.

They come of a newer release that ran on the database before, or of an import. No index knows types,
since each append would pay for it, so this reads rows, and not without bound: all of them up to
MOST_ROWS, and in larger databases as many of the newest of each log.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection

from events import registry
from events.models import TenantHead
from events.registry import Kind

MOST_ROWS = 1_000_000  # a third of a second on PostgreSQL, a second on SQLite
FEWEST_OF_A_LOG = 1_000

_ALL = "SELECT type, schema_version, count(*), min(tenant_id) FROM events_event"
_BY_KIND = " GROUP BY type, schema_version"


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
    for kind, count, tenant in _counted():
        if kind not in known:
            counts[kind] += count
            tenants.setdefault(kind, tenant)
    return [Unknown(kind, counts[kind], tenants[kind]) for kind in sorted(counts)]


def _counted() -> Iterator[tuple[Kind, int, str]]:
    """Kinds with the number of their events and one of the tenants; a kind may come repeatedly."""
    with connection.cursor() as cursor:
        for condition, values in _stretches():
            cursor.execute(_ALL + condition + _BY_KIND, values)
            for name, version, count, tenant in cursor.fetchall():
                yield Kind(name, version), count, tenant


def _stretches() -> Iterator[tuple[str, list[str | int]]]:
    """Conditions that together select what may be read, the logs that grew last before others."""
    heads = list(TenantHead.objects.across_tenants().order_by("-recorded_at", "tenant"))
    left = MOST_ROWS
    if sum(head.seq for head in heads) <= left:
        yield "", []
        return
    share = max(left // len(heads), FEWEST_OF_A_LOG)
    for head in heads:
        if left <= 0:
            return
        yield " WHERE tenant_id = %s AND seq > %s", [head.tenant_id, head.seq - share]
        left -= min(head.seq, share)
