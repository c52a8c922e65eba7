"""The vocabulary: the thirteen domain events, and AgentDetailsChangedEvent.

Class names are the `type` on the wire and in the log. The order of the fields is the order in which
the decision record builds the events, so it stays. Every moment defaults to now, so that an event
can be built from the record's fields alone; the aggregate always passes them. Moments are aware.
"""

from typing import Annotated, ClassVar, TypedDict

import msgspec
from msgspec import Meta

from events.facts import JSON, DomainEvent, Level, Moment, utc_now

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
TimeoutSeconds = Annotated[int, Meta(ge=5, le=86400)]

# Whole numbers stay whole: a float alone would turn 12 into 12.0 on the way through the log.
NonNegative = Annotated[int, Meta(ge=0)] | Annotated[float, Meta(ge=0)]
Ratio = Annotated[int, Meta(ge=0, le=1)] | Annotated[float, Meta(ge=0, le=1)]
Percent = Annotated[int, Meta(ge=0, le=100)] | Annotated[float, Meta(ge=0, le=100)]


class Capability(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an agent can do, and how well: 1 (novice) to 5 (expert)."""

    name: str
    proficiency_level: Level


class Usage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tokens that a task read and wrote."""

    input_tokens: Count
    output_tokens: Count


class ChangedDetails(TypedDict, total=False):
    """The new values of those details that changed, and no others."""

    name: str
    description: str
    tags: list[str]
    metadata: dict[str, JSON]
    health_check_timeout_seconds: TimeoutSeconds


class AgentCreatedEvent(DomainEvent, frozen=True):
    """The first fact of every agent, which is registered from here on."""

    tenant_id: str
    capabilities: tuple[Capability, ...]
    name: str = ""
    description: str = ""
    agent_type: str = ""
    tags: tuple[str, ...] = ()
    metadata: dict[str, JSON] = msgspec.field(default_factory=dict)
    health_check_timeout_seconds: TimeoutSeconds = 90


class AgentActivatedEvent(DomainEvent, frozen=True):
    """The agent went into service; until its first heartbeat its timeout counts from here."""

    activated_at: Moment = msgspec.field(default_factory=utc_now)


class AgentCapabilityAddedEvent(DomainEvent, frozen=True):
    """The agent has learnt something new."""

    capability_name: str
    proficiency_level: Level


class AgentCapabilityUpgradedEvent(DomainEvent, frozen=True):
    """The agent does better what it could do already; `to_level` is above `from_level`."""

    capability_name: str
    from_level: Level
    to_level: Level


class AgentTaskAssignedEvent(DomainEvent, frozen=True):
    """The agent was given a task. `input` is the task's business: any JSON, or null."""

    task_id: str
    assigned_at: Moment = msgspec.field(default_factory=utc_now)
    input: JSON = None


class AgentTaskCompletedEvent(DomainEvent, frozen=True):
    """The agent completed its task. `usage` is null where nothing was counted."""

    version: ClassVar[str] = "2.0"

    task_id: str
    result: JSON = None
    execution_time_ms: NonNegative = 0
    completed_at: Moment = msgspec.field(default_factory=utc_now)
    usage: Usage | None = None


class AgentTaskFailedEvent(DomainEvent, frozen=True):
    """The task failed: by the agent's word, or with AGENT_LOST or AGENT_TERMINATED by ours."""

    task_id: str
    error_message: str
    error_code: str | None = None
    failed_at: Moment = msgspec.field(default_factory=utc_now)


class AgentStatusChangedEvent(DomainEvent, frozen=True):
    """The derived status differs from before: the last fact of the command that changed it."""

    from_status: str
    to_status: str
    reason: str | None = None
    changed_at: Moment = msgspec.field(default_factory=utc_now)


class AgentHealthCheckPassedEvent(DomainEvent, frozen=True):
    """A heartbeat: the agent was seen at `checked_at`. `success_rate` is a ratio, 0 to 1."""

    success_rate: Ratio = 1
    response_time_ms: NonNegative = 0
    cpu_usage_percent: Percent = 0
    memory_usage_percent: Percent = 0
    checked_at: Moment = msgspec.field(default_factory=utc_now)


class AgentHealthCheckFailedEvent(DomainEvent, frozen=True):
    """An outage began. `last_seen` is null for an agent that was never seen."""

    reason: str
    last_seen: Moment | None = None
    timeout_seconds: int | None = None
    checked_at: Moment = msgspec.field(default_factory=utc_now)


class AgentPausedEvent(DomainEvent, frozen=True):
    """The agent takes no new task; it resumes by itself at `until`, when there is one."""

    reason: str
    until: Moment | None = None
    paused_at: Moment = msgspec.field(default_factory=utc_now)


class AgentResumedEvent(DomainEvent, frozen=True):
    """The agent takes tasks again."""

    reason: str | None = None
    resumed_at: Moment = msgspec.field(default_factory=utc_now)


class AgentTerminatedEvent(DomainEvent, frozen=True):
    """The agent is gone for good; the counts are its life's totals."""

    reason: str
    tasks_completed: Count = 0
    tasks_failed: Count = 0
    terminated_at: Moment = msgspec.field(default_factory=utc_now)


class AgentDetailsChangedEvent(DomainEvent, frozen=True):
    """Beyond the decision record: the new values of what a person changed in an agent's details."""

    changed: ChangedDetails
