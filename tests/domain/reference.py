"""A second telling of DESIGN's rules, as plain dicts and tables, to test the domain against.

It shares no code with the domain and looks at no facts: `expect` says which facts an order must
lead to, by their short names, or which rule refuses it, and updates its own picture of the agent.
"""

from datetime import datetime, timedelta
from typing import Any


class Refused(Exception):
    """The rule that forbids the order."""


# Intents that allow an order, and the rule that is broken by any other.
ALLOWED: dict[str, tuple[str, str]] = {
    "activate": ("registered", "agent_not_registered"),
    "pause": ("active", "agent_not_active"),
    "resume": ("paused", "agent_not_paused"),
    "heartbeat": ("active paused", "agent_not_in_service"),
    "health_failed": ("active paused", "agent_not_in_service"),
    "terminate": ("registered active paused", "agent_terminated"),
    "update": ("registered active paused", "agent_terminated"),
    "add_capability": ("registered active paused", "agent_terminated"),
    "upgrade_capability": ("registered active paused", "agent_terminated"),
}


class ReferenceAgent:
    def __init__(self, created_at: datetime, timeout: int, capabilities: dict[str, int]) -> None:
        self.levels = dict(capabilities)
        self.row: dict[str, Any] = {
            "agent_id": "a-1",
            "tenant_id": "acme",
            "name": "Ada",
            "description": "",
            "agent_type": "",
            "intent": "registered",
            "health": "unknown",
            "tags": (),
            "metadata": {},
            "health_check_timeout_seconds": timeout,
            "current_task_id": None,
            "current_task_assigned_at": None,
            "tasks_assigned": 0,
            "tasks_completed": 0,
            "tasks_failed": 0,
            "last_seen": None,
            "success_rate": None,
            "response_time_ms": None,
            "cpu_usage_percent": None,
            "memory_usage_percent": None,
            "created_at": created_at,
            "activated_at": None,
            "paused_until": None,
            "pause_reason": None,
            "terminated_at": None,
            "last_task_ended_at": None,
        }

    @property
    def status(self) -> str:
        row = self.row
        ladder = {
            "TERMINATED": row["intent"] == "terminated",
            "REGISTERED": row["intent"] == "registered",
            "UNHEALTHY": row["health"] == "unhealthy",
            "BUSY": row["current_task_id"] is not None,
            "PAUSED": row["intent"] == "paused",
            "AVAILABLE": True,
        }
        return next(status for status, fits in ladder.items() if fits)

    def deadlines(self) -> list[datetime]:
        """The moments around which time demands something of an agent in service."""
        row = self.row
        if row["intent"] in ("registered", "terminated"):
            return []
        timeout = timedelta(seconds=row["health_check_timeout_seconds"])
        seen = row["last_seen"] or row["activated_at"]
        ends = [row["paused_until"]] if row["paused_until"] else []
        return [*ends, seen + timeout, seen + 2 * timeout]

    def expect(self, order: str, now: datetime, **values: Any) -> list[str]:
        """The names of the facts that the order must lead to. Raises Refused."""
        intents, rule = ALLOWED.get(order, ("registered active paused terminated", ""))
        if self.row["intent"] not in intents.split():
            raise Refused(rule)
        before = self.status
        facts: list[str] = getattr(self, f"_{order}")(now, **values)
        return facts + ["StatusChanged"] * (self.status != before)

    def _activate(self, now: datetime) -> list[str]:
        self.row |= {"intent": "active", "activated_at": now}
        return ["Activated"]

    def _pause(self, now: datetime, reason: str, until: datetime | None) -> list[str]:
        self.row |= {"intent": "paused", "pause_reason": reason, "paused_until": until}
        return ["Paused"]

    def _resume(self, now: datetime, reason: str | None) -> list[str]:
        self.row |= {"intent": "active", "pause_reason": None, "paused_until": None}
        return ["Resumed"]

    def _assign(self, now: datetime, task_id: str, input: Any) -> list[str]:
        if self.status != "AVAILABLE":
            raise Refused("agent_not_available")
        self.row |= {"current_task_id": task_id, "current_task_assigned_at": now}
        self.row["tasks_assigned"] += 1
        return ["TaskAssigned"]

    def _complete(self, now: datetime, task_id: str, **values: Any) -> list[str]:
        return self._end(now, task_id, "tasks_completed", "TaskCompleted")

    def _fail(self, now: datetime, task_id: str, **values: Any) -> list[str]:
        return self._end(now, task_id, "tasks_failed", "TaskFailed")

    def _end(self, now: datetime, task_id: str | None, counter: str, fact: str) -> list[str]:
        if task_id is None or task_id != self.row["current_task_id"]:
            raise Refused("task_not_current")
        self.row |= {"current_task_id": None, "current_task_assigned_at": None}
        self.row["last_task_ended_at"] = now
        self.row[counter] += 1
        return [fact]

    def _heartbeat(self, now: datetime, **metrics: Any) -> list[str]:
        self.row |= {"health": "healthy", "last_seen": now, **metrics}
        return ["HealthCheckPassed"]

    def _health_failed(self, now: datetime, reason: str) -> list[str]:
        already = self.row["health"] == "unhealthy"
        self.row["health"] = "unhealthy"
        return [] if already else ["HealthCheckFailed"]

    def _terminate(self, now: datetime, reason: str, force: bool) -> list[str]:
        facts = []
        if self.row["current_task_id"] is not None:
            if not force:
                raise Refused("agent_busy")
            facts = self._end(now, self.row["current_task_id"], "tasks_failed", "TaskFailed")
        self.row |= {"intent": "terminated", "terminated_at": now}
        self.row |= {"paused_until": None, "pause_reason": None}
        return [*facts, "Terminated"]

    def _update(self, now: datetime, **details: Any) -> list[str]:
        if "tags" in details:
            details["tags"] = tuple(details["tags"])
        if all(self.row[field] == value for field, value in details.items()):
            return []
        self.row |= details
        return ["DetailsChanged"]

    def _add_capability(self, now: datetime, name: str, level: int) -> list[str]:
        if name in self.levels:
            raise Refused("capability_exists")
        self.levels[name] = level
        return ["CapabilityAdded"]

    def _upgrade_capability(self, now: datetime, name: str, level: int) -> list[str]:
        if name not in self.levels:
            raise Refused("capability_missing")
        if level not in range(self.levels[name] + 1, 6):
            raise Refused("level_not_higher")
        self.levels[name] = level
        return ["CapabilityUpgraded"]

    def _time_passes(self, now: datetime) -> list[str]:
        row, facts = self.row, []
        if row["intent"] in ("registered", "terminated"):
            return []
        if row["paused_until"] and row["paused_until"] <= now:
            facts += self._resume(now, None)
        *_, silent, lost = self.deadlines()
        if silent < now:
            facts += self._health_failed(now, "")
        if row["health"] == "unhealthy" and lost <= now and row["current_task_id"]:
            facts += self._end(now, row["current_task_id"], "tasks_failed", "TaskFailed")
        return facts
