"""How many tasks ended in a part of the log, by agent.

What a log holds never changes, so whole chunks are counted once in a process and remembered: a
window that is looked at every few seconds costs its two ends.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from django.db.models import Count, Q

from events.models import Event

COMPLETED, FAILED = "AgentTaskCompletedEvent", "AgentTaskFailedEvent"
CHUNK = 5_000  # seqs
REMEMBERED = 500  # chunks, of all tenants


class Ended(NamedTuple):
    completed: int
    in_all: int


def between(tenant: str, since: int, until: int) -> Mapping[str, Ended]:
    """By agent, of the events after seq `since` up to and including `until`, which are there."""
    first, end = -(-since // CHUNK), until // CHUNK
    if first >= end:
        return _count(tenant, since, until)
    whole = (_remembered(tenant, each * CHUNK, (each + 1) * CHUNK) for each in range(first, end))
    return _sum([_count(tenant, since, first * CHUNK), *whole, _count(tenant, end * CHUNK, until)])


def _sum(parts: Iterable[Mapping[str, Ended]]) -> Mapping[str, Ended]:
    totals: dict[str, Ended] = defaultdict(lambda: Ended(0, 0))
    for part in parts:
        for agent_id, (completed, in_all) in part.items():
            before = totals[agent_id]
            totals[agent_id] = Ended(before.completed + completed, before.in_all + in_all)
    return totals


def _count(tenant: str, since: int, until: int) -> Mapping[str, Ended]:
    if since >= until:
        return {}
    events = Event.objects.filter(
        tenant=tenant, seq__gt=since, seq__lte=until, type__in=(COMPLETED, FAILED)
    )
    counted = events.values_list("stream_id").annotate(
        completed=Count("pk", filter=Q(type=COMPLETED)), in_all=Count("pk")
    )
    return {agent_id: Ended(*numbers) for agent_id, *numbers in counted}


_remembered = lru_cache(maxsize=REMEMBERED)(_count)
