"""Agents and tasks as outsiders see them: JSON-ready dicts, moments with six digits, in UTC."""

from datetime import datetime
from typing import Any

from agents.domain.state import Agent
from agents.tasks import Task
from events.api import tasks
from events.moments import rfc3339


def agent_json(agent: Agent, version: int, seq: int | None) -> dict[str, Any]:
    """seq: of the event that made this version; None while it is not yet appended."""
    return {
        "agent_id": agent.agent_id,
        "name": agent.name,
        "description": agent.description,
        "agent_type": agent.agent_type,
        "status": agent.status.value,
        "intent": agent.intent.value,
        "health": agent.health.value,
        "capabilities": [
            {"name": each.name, "proficiency_level": each.proficiency_level}
            for each in agent.capabilities
        ],
        "tags": list(agent.tags),
        "metadata": agent.metadata,
        "current_task_id": agent.current_task_id,
        "tasks_assigned": agent.tasks_assigned,
        "tasks_completed": agent.tasks_completed,
        "tasks_failed": agent.tasks_failed,
        "last_seen": _moment(agent.last_seen),
        "health_check_timeout_seconds": agent.health_check_timeout_seconds,
        "created_at": _moment(agent.created_at),
        "activated_at": _moment(agent.activated_at),
        "paused_until": _moment(agent.paused_until),
        "pause_reason": agent.pause_reason,
        "terminated_at": _moment(agent.terminated_at),
        "version": version,
        "seq": seq,
    }


def task_json(task: Task) -> dict[str, Any]:
    return tasks.task_json(task, given=task.input, result=task.result)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
