"""An agent as its facts leave it: what people want of it, what is observed, and what follows."""

from datetime import datetime
from enum import StrEnum

import msgspec

from events.facts import JSON, Moment, Number
from events.vocabulary import Capability


class Intent(StrEnum):
    """What people want of an agent."""

    REGISTERED = "registered"
    ACTIVE = "active"
    PAUSED = "paused"
    TERMINATED = "terminated"


class Health(StrEnum):
    """What was last observed of an agent."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class Status(StrEnum):
    """What intent, health and work add up to."""

    REGISTERED = "REGISTERED"
    AVAILABLE = "AVAILABLE"
    BUSY = "BUSY"
    PAUSED = "PAUSED"
    UNHEALTHY = "UNHEALTHY"
    TERMINATED = "TERMINATED"


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """One agent. Its JSON form is lossless and is what the current row stores.

    `success_rate`, `response_time_ms` and the percentages are those of the last heartbeat.
    """

    agent_id: str
    tenant_id: str
    name: str
    description: str
    agent_type: str
    intent: Intent = Intent.REGISTERED
    health: Health = Health.UNKNOWN
    capabilities: tuple[Capability, ...]
    tags: tuple[str, ...]
    metadata: dict[str, JSON]
    health_check_timeout_seconds: int
    current_task_id: str | None = None
    current_task_assigned_at: Moment | None = None
    tasks_assigned: int = 0
    tasks_completed: int = 0
    tasks_failed: int = 0
    last_seen: Moment | None = None
    success_rate: Number | None = None
    response_time_ms: Number | None = None
    cpu_usage_percent: Number | None = None
    memory_usage_percent: Number | None = None
    created_at: Moment
    activated_at: Moment | None = None
    paused_until: Moment | None = None
    pause_reason: str | None = None
    terminated_at: Moment | None = None
    last_task_ended_at: Moment | None = None

    @property
    def status(self) -> Status:
        """Derived, never stored; the first that fits."""
        if self.intent is Intent.TERMINATED:
            return Status.TERMINATED
        if self.intent is Intent.REGISTERED:
            return Status.REGISTERED
        if self.health is Health.UNHEALTHY:
            return Status.UNHEALTHY
        if self.current_task_id is not None:
            return Status.BUSY
        if self.intent is Intent.PAUSED:
            return Status.PAUSED
        return Status.AVAILABLE

    @property
    def is_in_service(self) -> bool:
        """Whether its health is watched."""
        return self.intent in (Intent.ACTIVE, Intent.PAUSED)

    @property
    def seen_or_activated_at(self) -> datetime:
        """Where the health timeout counts from."""
        return self.last_seen or self.activated_at or self.created_at

    @property
    def idle_since(self) -> datetime | None:
        """Since when it has had no task, were it idle now; None before its activation."""
        return self.last_task_ended_at or self.activated_at

    def level_of(self, capability_name: str) -> int | None:
        """The proficiency level, 1 to 5; None when the agent cannot do it."""
        for capability in self.capabilities:
            if capability.name == capability_name:
                return capability.proficiency_level
        return None
