"""Claims: a task_id is open on one agent of the tenant at a time, and never again once completed.

A claim is a row written with the append, so that its unique key decides a race between two agents'
assignments. A failed task may be assigned again; the claim then remembers the failed attempts.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from agents.domain.errors import RuleViolated
from agents.models import TaskClaim
from events.facts import DomainEvent
from events.log.errors import AppendRefused
from events.log.rows import How, Put
from events.vocabulary import (
    AgentTaskAssignedEvent,
    AgentTaskCompletedEvent,
    AgentTaskFailedEvent,
)

Status = TaskClaim.Status
ATTEMPTS_KEPT = 20  # the newest; a task that fails more often is not worth a longer row
MESSAGE_KEPT = 1_000  # characters of each attempt's error; the whole one is in its event


class ClaimLost(AppendRefused):
    """The log says that the agent holds the task, and the claims do not."""

    def __init__(self, tenant: str, task_id: str, agent_id: str) -> None:
        super().__init__(
            f"{agent_id} works on {task_id}, but the row that says so is lost or altered. "
            f"Run manage.py rebuild agents --tenant {tenant}, then try again."
        )


def find(tenant: str, task_id: str) -> TaskClaim | None:
    return TaskClaim.objects.filter(tenant=tenant, task_id=task_id).first()


def rows(tenant: str, version: int, facts: Sequence[DomainEvent]) -> list[Put]:
    """The claims that must hold for these facts, decided at `version` of their stream, to be true.

    Raises RuleViolated when another agent holds the task or it was completed before.
    """
    return [
        row
        for place, fact in enumerate(facts, version + 1)
        if (row := _row(tenant, place, fact)) is not None
    ]


def refuse_taken(tenant: str, task_id: str) -> None:
    """Raises RuleViolated when an agent holds the task, or it was completed before."""
    standing = find(tenant, task_id)
    if standing is not None:
        _refuse_taken(standing)


def is_held(tenant: str, task_id: str, agent_id: str) -> bool:
    claims = TaskClaim.objects.filter(tenant=tenant, task_id=task_id)
    return claims.filter(agent_id=agent_id, status=Status.ASSIGNED.value).exists()


def _row(tenant: str, version: int, fact: DomainEvent) -> Put | None:
    if isinstance(fact, AgentTaskAssignedEvent):
        return _assigned(tenant, version, fact)
    if isinstance(fact, AgentTaskCompletedEvent):
        return _ended(tenant, fact, {"status": Status.COMPLETED.value})
    if isinstance(fact, AgentTaskFailedEvent):
        standing = find(tenant, fact.task_id)
        attempts = with_attempt(standing, fact) if standing else "[]"
        return _ended(tenant, fact, {"status": Status.FAILED.value, "attempts": attempts})
    return None


def _assigned(tenant: str, version: int, fact: AgentTaskAssignedEvent) -> Put:
    standing = find(tenant, fact.task_id)
    key = {"tenant_id": tenant, "task_id": fact.task_id}
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
