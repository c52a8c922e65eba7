"""AgentTaskCompletedEvent 1.0: before tokens were counted."""

from typing import ClassVar

import msgspec

from events.casters import Caster, Payload
from events.facts import JSON, DomainEvent, Moment, utc_now
from events.vocabulary import NonNegative


class AgentTaskCompletedEventV1(DomainEvent, frozen=True):
    """The agent completed its task."""

    version: ClassVar[str] = "1.0"

    task_id: str
    result: JSON = None
    execution_time_ms: NonNegative = 0
    completed_at: Moment = msgspec.field(default_factory=utc_now)

    @classmethod
    def wire_type(cls) -> str:
        return "AgentTaskCompletedEvent"


def _up(payload: Payload) -> Payload:
    return {**payload, "usage": None}


def _down(payload: Payload) -> Payload:
    return {field: value for field, value in payload.items() if field != "usage"}


CASTER = Caster(AgentTaskCompletedEventV1, "2.0", up=_up, down=_down)
