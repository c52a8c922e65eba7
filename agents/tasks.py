"""A task as its readers see it: the claim says who holds it, the agents' events the rest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from agents import claims
from agents.claims import Book, ClaimLost
from agents.current import STREAM
from agents.models import TaskClaim
from events.facts import JSON, DomainEvent, Moment, Number
from events.log import read
from events.models import Event
from events.registry import decoder
from events.vocabulary import (
    AgentTaskAssignedEvent,
    AgentTaskCompletedEvent,
    AgentTaskFailedEvent,
    Usage,
)

Status = TaskClaim.Status
Ending = AgentTaskCompletedEvent | AgentTaskFailedEvent


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One agent's try at a task; the decoder of the failed ones that a claim keeps."""

    agent_id: str
    status: str
    assigned_at: Moment
    ended_at: Moment | None = None
    execution_time_ms: Number | None = None
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """attempts: oldest first, the present one last. assigned_version, ended_version: where in the
    agent's stream it was assigned and has ended; None where `find` did not read it there."""

    task_id: str
    agent_id: str
    status: str
    assigned_at: datetime
    ended_at: datetime | None = None
    execution_time_ms: Number | None = None
    input: JSON = None
    result: JSON = None
    usage: Usage | None = None
    error_code: str | None = None
    error_message: str | None = None
    earlier: Sequence[Attempt] = ()
    assigned_version: int | None = None
    ended_version: int | None = None

    @property
    def attempts(self) -> list[Attempt]:
        present = Attempt(
            agent_id=self.agent_id,
            status=self.status,
            assigned_at=self.assigned_at,
            ended_at=self.ended_at,
            execution_time_ms=self.execution_time_ms,
            error_code=self.error_code,
            error_message=self.error_message,
        )
        return [*self.earlier, present]


class TaskNotFound(LookupError):
    """The tenant has no such task."""


_attempts = msgspec.json.Decoder(list[Attempt]).decode


def find(tenant: str, task_id: str) -> Task:
    """The task now. Raises TaskNotFound."""
    claim = claims.find(tenant, task_id)
    if claim is None:
        raise TaskNotFound(task_id)
    task = _assigned(claim)
    if claim.status == Status.ASSIGNED:
        return task
    # An agent has one task at a time, so the first ending after the assignment is this task's.
    ending = (
        Event.objects.filter(
            tenant=tenant,
            stream_type=STREAM,
            stream_id=claim.agent_id,
            version__gt=claim.assigned_version,
            type__in=("AgentTaskCompletedEvent", "AgentTaskFailedEvent"),
        )
        .order_by("version")
        .first()
    )
    fact = read.fact(ending) if ending else None
    if ending is None or not isinstance(fact, AgentTaskCompletedEvent | AgentTaskFailedEvent):
        raise TaskNotFound(task_id)
    if claim.status == Status.FAILED:
        # The claim keeps this attempt with the failed ones already.
        task = replace(task, earlier=task.earlier[:-1])
    return replace(_ended(task, fact), ended_version=ending.version)


def holder(tenant: str, task_id: str) -> str | None:
    """Whose task it is or was last; None when there is no such task."""
    held = TaskClaim.objects.filter(tenant=tenant, task_id=task_id)
    return held.values_list("agent_id", flat=True).first()


def after(book: Book, facts: Sequence[DomainEvent]) -> Task:
    """The task that these facts, about to be appended, assign or end, by the claims before them.

    Raises ClaimLost.
    """
    for fact in facts:
        if isinstance(fact, AgentTaskAssignedEvent):
            standing = book.find(fact.task_id)
            return Task(
                task_id=fact.task_id,
                agent_id=fact.agent_id,
                status=Status.ASSIGNED.value,
                assigned_at=fact.assigned_at,
                input=fact.input,
                earlier=_attempts(standing.attempts) if standing else (),
            )
        if isinstance(fact, AgentTaskCompletedEvent | AgentTaskFailedEvent):
            claim = book.find(fact.task_id)
            if claim is None:
                raise ClaimLost(book.tenant, fact.task_id, fact.agent_id)
            return _ended(_assigned(claim), fact)
    raise ValueError("None of these facts is about a task.")


def _assigned(claim: TaskClaim) -> Task:
    data: str | None = claim.assigning  # type: ignore[attr-defined]  # annotated by the book
    version: str = claim.assigning_as  # type: ignore[attr-defined]  # the same
    assigned = decoder(AgentTaskAssignedEvent.wire_type(), version)(data) if data else None
    return Task(
        task_id=claim.task_id,
        agent_id=claim.agent_id,
        status=Status.ASSIGNED.value,
        assigned_at=claim.assigned_at,
        input=assigned.input if isinstance(assigned, AgentTaskAssignedEvent) else None,
        earlier=_attempts(claim.attempts),
        assigned_version=claim.assigned_version,
    )


def _ended(task: Task, fact: Ending) -> Task:
    if isinstance(fact, AgentTaskCompletedEvent):
        return replace(
            task,
            status=Status.COMPLETED.value,
            ended_at=fact.completed_at,
            execution_time_ms=fact.execution_time_ms,
            result=fact.result,
            usage=fact.usage,
        )
    return replace(
        task,
        status=Status.FAILED.value,
        ended_at=fact.failed_at,
        error_code=fact.error_code,
        error_message=fact.error_message,
    )
