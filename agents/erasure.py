"""Erasing confidential payloads: of one task, whoever had it, or of all the tasks of one agent."""

from agents import tasks
from agents.current import STREAM, AgentNotFound
from agents.domain import limits
from agents.tasks import TaskNotFound
from events.confidential import erase
from events.confidential.erase import Erasure
from events.idempotency import Receipt
from events.log.proposal import Context
from events.models import Event


def erase_task(
    *, tenant: str, task_id: str, reason: str, by: Context, receipt: Receipt | None = None
) -> Erasure:
    """Destroy the keys of a task's payloads. Raises TaskNotFound, InvalidCommand, and Refused when
    there is nothing confidential."""
    limits.check_reason(reason)
    if tasks.holder(tenant, task_id) is None:
        raise TaskNotFound(task_id)
    return erase.erase(tenant, task_id=task_id, reason=reason, by=by, receipt=receipt)


def erase_agent(
    *, tenant: str, agent_id: str, reason: str, by: Context, receipt: Receipt | None = None
) -> Erasure:
    """Destroy the keys of the payloads of all tasks that the agent has had so far. Raises
    AgentNotFound, InvalidCommand, and Refused when there is nothing confidential."""
    limits.check_reason(reason)
    if not Event.objects.filter(
        tenant=tenant, stream_type=STREAM, stream_id=agent_id, version=1
    ).exists():
        raise AgentNotFound(tenant, agent_id)
    return erase.erase(tenant, agent_id=agent_id, reason=reason, by=by, receipt=receipt)
