"""An agent's health as its row holds it."""

from datetime import datetime

import msgspec

REGISTERED, TERMINATED = "REGISTERED", "TERMINATED"
UNKNOWN, HEALTHY, UNHEALTHY = "unknown", "healthy", "unhealthy"


class FleetAgent(msgspec.Struct, frozen=True):
    """One agent, as its newest event left it; version and seq are that event's.

    tags: a JSON list. status: what the last change of status said. success_rate …
    memory_usage_percent: the last heartbeat's, as floats. unhealthy_since: when the present outage
    was found; None when there is none, or the agent is terminated. downtime_ms: of the outages that
    are over. consecutive_failures: tasks that failed since one was completed.
    """

    agent_id: str
    name: str
    agent_type: str
    tags: str
    version: int
    seq: int
    status: str = REGISTERED
    health: str = UNKNOWN
    last_seen: datetime | None = None
    success_rate: float | None = None
    response_time_ms: float | None = None
    cpu_usage_percent: float | None = None
    memory_usage_percent: float | None = None
    unhealthy_since: datetime | None = None
    outages: int = 0
    last_outage_reason: str | None = None
    downtime_ms: int = 0
    current_task_id: str | None = None
    tasks_completed: int = 0
    tasks_failed: int = 0
    consecutive_failures: int = 0
    paused_until: datetime | None = None

    @property
    def tag_names(self) -> list[str]:
        return msgspec.json.decode(self.tags, type=list[str])
