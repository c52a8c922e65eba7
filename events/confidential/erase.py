"""Erasing: the keys of a task's payloads, or of all of an agent's, are destroyed for good.

The rows stay without their keys, so that a destroyed key is told from a missing one. Nothing in the
log changes, so its chain still verifies.
"""

from dataclasses import dataclass
from functools import partial

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from events import tenants
from events.idempotency import Receipt
from events.log import read
from events.log.proposal import Context
from events.models import Event, PayloadKey, TenantHead
from events.tenant_facts import PayloadErased
from events.tenants import STREAM, TRIES, Refused

Keys = QuerySet[PayloadKey]


@dataclass(frozen=True, slots=True)
class Erasure:
    """Whose payloads: one task's, whoever had it, or one agent's, whatever the task. erased: how
    many keys this destroyed."""

    agent_id: str | None
    task_id: str | None
    erased: int


@dataclass(frozen=True, slots=True)
class Reapplied:
    """erasures: how many the log tells of; destroyed: how many keys had come back."""

    erasures: int
    destroyed: int


class _CountedWrong(Exception):
    """A key was made, or destroyed, since they were counted."""


def erase(
    tenant: str,
    *,
    agent_id: str | None = None,
    task_id: str | None = None,
    reason: str,
    by: Context,
    receipt: Receipt | None = None,
) -> Erasure:
    """Destroy the keys of every payload recorded so far, and record that, all or nothing.

    `receipt` gets the Erasure. What was erased before is not erased again: no key, no fact. Raises
    Refused (rule_violated) when there never was a key.
    """
    covered = _covered(tenant, agent_id, task_id)
    for _ in range(TRIES):
        erasure = Erasure(agent_id, task_id, covered.filter(wrapped__isnull=False).count())
        if not erasure.erased:
            return _nothing_left(tenant, covered, erasure, receipt)
        fact = PayloadErased(agent_id=agent_id, task_id=task_id, reason=reason)
        try:
            tenants.record(
                tenant,
                fact,
                by=by,
                within=partial(_destroy_all, tenant, covered, erasure),
                receipt=receipt,
                thing=erasure,
            )
        except _CountedWrong:
            continue
        return erasure
    raise Refused("New payloads came in faster than they were counted. Try again.", "conflict")


def is_anything_left(tenant: str, task_id: str) -> bool:
    """Whether a payload of the task is confidential and can still be erased."""
    return _covered(tenant, None, task_id).filter(wrapped__isnull=False).exists()


def _nothing_left(tenant: str, covered: Keys, erasure: Erasure, receipt: Receipt | None) -> Erasure:
    if not covered.exists():
        what = f"task {erasure.task_id}" if erasure.task_id else f"agent {erasure.agent_id}"
        raise Refused(
            f"There is nothing confidential to erase: {what} has no key here, and had none.",
            "rule_violated",
            rule="nothing_confidential",
        )
    if receipt:
        head = read.head(tenant)
        receipt.unchanged(erasure, head.seq if head else 0)
    return erasure


def _destroy_all(tenant: str, covered: Keys, erasure: Erasure) -> None:
    # The head first: then no append is under way, and none that comes before this fact in the log
    # can bring a key that the UPDATE did not see.
    _hold_head(tenant)
    if _destroy(covered) != erasure.erased:
        raise _CountedWrong


def reapply(tenant: str) -> Reapplied:
    """Destroy every key that is older than an erasure in the log which covers it.

    For a table of keys that was restored from before the erasure. What was recorded after an
    erasure keeps its key.
    """
    facts = Event.objects.filter(
        tenant=tenant, stream_type=STREAM, stream_id=tenant, type=PayloadErased.wire_type()
    )
    erasures = destroyed = 0
    for row in facts.order_by("version").iterator():
        fact = read.fact(row)
        if not isinstance(fact, PayloadErased):
            continue
        erasures += 1
        older = _covered(tenant, fact.agent_id, fact.task_id).filter(seq__lt=row.seq)
        with transaction.atomic():
            _hold_head(tenant)
            destroyed += _destroy(older)
    return Reapplied(erasures, destroyed)


def _covered(tenant: str, agent_id: str | None, task_id: str | None) -> Keys:
    covered = PayloadKey.objects.filter(tenant=tenant)
    if agent_id is not None:
        covered = covered.filter(agent_id=agent_id)
    if task_id is not None:
        covered = covered.filter(task_id=task_id)
    return covered


def _destroy(covered: Keys) -> int:
    standing = covered.filter(wrapped__isnull=False)
    return standing.update(wrapped=None, destroyed_at=timezone.now())


def _hold_head(tenant: str) -> None:
    TenantHead.objects.select_for_update().filter(tenant=tenant).first()
