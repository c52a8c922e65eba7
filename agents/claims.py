"""Claims: a task_id is open on one agent of the tenant at a time, and never again once completed.

A claim is a row written with the append, so that its unique key decides a race between two agents'
assignments. A failed task may be assigned again; the claim then remembers the failed attempts.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any

import msgspec
from django.db.models import OuterRef, QuerySet, Subquery

from agents.current import STREAM
from agents.domain.errors import RuleViolated
from agents.models import TaskClaim
from events.encoding import encode
from events.facts import DomainEvent
from events.log.errors import AppendRefused
from events.log.rows import How, Put
from events.models import Event
from events.vocabulary import (
    AgentTaskAssignedEvent,
    AgentTaskCompletedEvent,
    AgentTaskFailedEvent,
)

Status = TaskClaim.Status
_COLUMNS = ("agent_id", "status", "assigned_version", "assigned_at", "attempts")
ATTEMPTS_KEPT = 20  # the newest; a task that fails more often is not worth a longer row
MESSAGE_KEPT = 1_000  # characters of each attempt's error; the whole one is in its event


class ClaimLost(AppendRefused):
    """The log says that the agent holds the task, and the claims do not."""

    def __init__(self, tenant: str, task_id: str, agent_id: str) -> None:
        super().__init__(
            f"{agent_id} works on {task_id}, but the row that says so is lost or altered. "
            f"Run manage.py rebuild agents --tenant {tenant}, then try again."
        )


class Book:
    """The claims of a tenant as one append meets them: each is read once, when it is asked for.

    An append of many commands reads them all at first, notes what each command makes of them, and
    writes each claim once, as the last of them left it.
    """

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self._standing: dict[str, TaskClaim | None] = {}  # as the database has them
        self._noted: dict[str, TaskClaim] = {}

    def read(self, task_ids: Iterable[str]) -> None:
        """One query for many."""
        wanted = set(task_ids) - self._standing.keys()
        if wanted:
            found = {each.task_id: each for each in _claims(self.tenant, wanted)}
            self._standing |= {task_id: found.get(task_id) for task_id in wanted}

    def find(self, task_id: str) -> TaskClaim | None:
        """With its assigning event: `assigning` is the data, in version `assigning_as`."""
        if task_id in self._noted:
            return self._noted[task_id]
        self.read((task_id,))
        return self._standing[task_id]

    def rows(self, version: int, facts: Sequence[DomainEvent]) -> list[Put]:
        """The claims that must hold for these facts, decided at `version` of their stream, to be
        true. Raises RuleViolated when another agent holds the task or it was completed before.
        """
        return [
            row
            for place, fact in enumerate(facts, version + 1)
            if (row := self._row(place, fact)) is not None
        ]

    def left_by(self, version: int, facts: Sequence[DomainEvent]) -> list[TaskClaim]:
        """The claims as these facts would leave them. Raises RuleViolated as `rows` does; ClaimLost
        where an agent ends a task that it does not hold."""
        return [
            claim
            for place, fact in enumerate(facts, version + 1)
            if (claim := self._left_by(place, fact)) is not None
        ]

    def note(self, claims: Iterable[TaskClaim]) -> None:
        """So they are from now on."""
        self._noted |= {claim.task_id: claim for claim in claims}

    def row(self, task_id: str) -> Put:
        """What is to be written of a claim that was noted."""
        standing, claim = self._standing.get(task_id), self._noted[task_id]
        key = {"tenant_id": self.tenant, "task_id": task_id}
        values = {name: getattr(claim, name) for name in _COLUMNS}
        if standing is None:
            return Put(TaskClaim, How.INSERT, key, values, "seq")
        return Put(TaskClaim, How.UPDATE, key, values, "seq", only_if={"seq": standing.seq})

    def _row(self, version: int, fact: DomainEvent) -> Put | None:
        if isinstance(fact, AgentTaskAssignedEvent):
            return self._assigned(version, fact)
        if isinstance(fact, AgentTaskCompletedEvent):
            return _ended(self.tenant, fact, {"status": Status.COMPLETED.value})
        if isinstance(fact, AgentTaskFailedEvent):
            standing = self.find(fact.task_id)
            attempts = with_attempt(standing, fact) if standing else "[]"
            values = {"status": Status.FAILED.value, "attempts": attempts}
            return _ended(self.tenant, fact, values)
        return None

    def _assigned(self, version: int, fact: AgentTaskAssignedEvent) -> Put:
        standing = self.find(fact.task_id)
        key = {"tenant_id": self.tenant, "task_id": fact.task_id}
        values: dict[str, Any] = {
            "agent_id": fact.agent_id,
            "status": Status.ASSIGNED.value,
            "assigned_version": version,
            "assigned_at": fact.assigned_at,
        }
        if standing is None:
            return Put(TaskClaim, How.INSERT, key, {**values, "attempts": "[]"}, "seq")
        _refuse_taken(standing)
        return Put(TaskClaim, How.UPDATE, key, values, "seq", only_if={"seq": standing.seq})

    def _left_by(self, version: int, fact: DomainEvent) -> TaskClaim | None:
        if isinstance(fact, AgentTaskAssignedEvent):
            standing = self.find(fact.task_id)
            if standing is not None:
                _refuse_taken(standing)
            claim = TaskClaim(
                tenant_id=self.tenant,
                task_id=fact.task_id,
                agent_id=fact.agent_id,
                status=Status.ASSIGNED.value,
                assigned_version=version,
                assigned_at=fact.assigned_at,
                attempts=standing.attempts if standing else "[]",
            )
            claim.assigning = encode(fact)  # type: ignore[attr-defined]  # as `_claims` annotates
            claim.assigning_as = fact.version  # type: ignore[attr-defined]  # the same
            return claim
        if not isinstance(fact, AgentTaskCompletedEvent | AgentTaskFailedEvent):
            return None
        standing = self.find(fact.task_id)
        if standing is None or (standing.agent_id, standing.status) != (
            fact.agent_id,
            Status.ASSIGNED,
        ):
            raise ClaimLost(self.tenant, fact.task_id, fact.agent_id)
        claim = copy(standing)
        if isinstance(fact, AgentTaskCompletedEvent):
            claim.status = Status.COMPLETED.value
        else:
            claim.status, claim.attempts = Status.FAILED.value, with_attempt(standing, fact)
        return claim


def find(tenant: str, task_id: str) -> TaskClaim | None:
    """One claim, as `Book.find` gives it."""
    return Book(tenant).find(task_id)


def _claims(tenant: str, task_ids: Iterable[str]) -> QuerySet[TaskClaim]:
    assigning = Event.objects.filter(
        tenant=OuterRef("tenant_id"),
        stream_type=STREAM,
        stream_id=OuterRef("agent_id"),
        version=OuterRef("assigned_version"),
    )
    return TaskClaim.objects.filter(tenant=tenant, task_id__in=task_ids).annotate(
        assigning=Subquery(assigning.values("data")),
        assigning_as=Subquery(assigning.values("schema_version")),
    )


def refuse_taken(tenant: str, task_id: str) -> None:
    """Raises RuleViolated when an agent holds the task, or it was completed before."""
    standing = find(tenant, task_id)
    if standing is not None:
        _refuse_taken(standing)


def is_held(tenant: str, task_id: str, agent_id: str) -> bool:
    claims = TaskClaim.objects.filter(tenant=tenant, task_id=task_id)
    return claims.filter(agent_id=agent_id, status=Status.ASSIGNED.value).exists()


def _refuse_taken(standing: TaskClaim) -> None:
    if standing.status == Status.COMPLETED:
        raise RuleViolated(
            f"Task {standing.task_id} was completed by {standing.agent_id} and is never assigned "
            f"again. Use a new task_id.",
            rule="task_completed",
        )
    if standing.status == Status.ASSIGNED:
        raise RuleViolated(
            f"Task {standing.task_id} is held by {standing.agent_id}. Wait until it has failed "
            f"there, or use a new task_id.",
            rule="task_held",
        )


def _ended(
    tenant: str, fact: AgentTaskCompletedEvent | AgentTaskFailedEvent, values: dict[str, Any]
) -> Put:
    key = {"tenant_id": tenant, "task_id": fact.task_id}
    held = {"agent_id": fact.agent_id, "status": Status.ASSIGNED.value}
    return Put(TaskClaim, How.UPDATE, key, values, "seq", only_if=held)


def with_attempt(claim: TaskClaim, failed: AgentTaskFailedEvent) -> str:
    """The claim's failed attempts with this one, as JSON; the oldest make room."""
    attempts = msgspec.json.decode(claim.attempts)
    attempts.append(
        {
            "agent_id": failed.agent_id,
            "status": Status.FAILED.value,
            "assigned_at": claim.assigned_at,
            "ended_at": failed.failed_at,
            "error_code": failed.error_code,
            "error_message": failed.error_message[:MESSAGE_KEPT],
        }
    )
    return msgspec.json.encode(attempts[-ATTEMPTS_KEPT:]).decode()
