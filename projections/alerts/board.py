"""Alerts as a person goes through them: what is wrong now first, then what is over."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from events.patterns import Pattern
from projections.alerts.models import UNRESOLVED, Alert, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """None means any. rule and agent: whole names, or beginnings before a *."""

    state: State | None = None
    rule: Pattern | None = None
    agent: Pattern | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """next: the last alert's id, None when there is no more."""

    alerts: Sequence[Alert]
    next: uuid.UUID | None


def page(tenant: str, wanted: Wanted, *, after: uuid.UUID | None = None, limit: int) -> Page:
    """Open ones, then acknowledged ones, then those that are over, each the newest first; those
    that follow the alert `after`, where there is one."""
    last = Alert.objects.filter(tenant=tenant, pk=after).first() if after else None
    found: list[Alert] = []
    # Two questions, each of which an index answers: what stands is few, what is over is in the
    # order of ids.
    if last is None or last.state != State.RESOLVED:
        standing = _fitting(tenant, wanted).filter(UNRESOLVED).order_by("-state", "-id")
        if last is not None:
            follows = Q(state__lt=last.state) | Q(state=last.state, id__lt=last.id)
            standing = standing.filter(follows)
        found += standing[: limit + 1]
    if len(found) <= limit:
        over = _fitting(tenant, wanted).filter(state=State.RESOLVED).order_by("-id")
        if last is not None and last.state == State.RESOLVED:
            over = over.filter(id__lt=last.id)
        found += over[: limit + 1 - len(found)]
    return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)


def _fitting(tenant: str, wanted: Wanted) -> QuerySet[Alert]:
    rows = Alert.objects.filter(tenant=tenant)
    if wanted.state is not None:
        rows = rows.filter(state=wanted.state)
    if wanted.rule is not None:
        rows = rows.filter(wanted.rule.condition("rule"))
    if wanted.agent is not None:
        rows = rows.filter(wanted.agent.condition("subject")).exclude(subject="")
    return rows
