"""Earlier forms of facts that have changed since: what old rows hold and old subscribers expect.

An ancestor bears the wire type of its descendant and its own version. Nothing records one any more;
`casters` turns one into its neighbour. A class that stands here is never edited.
"""

from typing import ClassVar

import msgspec

from events.facts import JSON, DomainEvent, Moment, utc_now
from events.vocabulary import NonNegative


class AgentTaskCompletedEventV1(DomainEvent, frozen=True):
    """AgentTaskCompletedEvent before tokens were counted."""

    version: ClassVar[str] = "1.0"

    task_id: str
    result: JSON = None
    execution_time_ms: NonNegative = 0
    completed_at: Moment = msgspec.field(default_factory=utc_now)

    @classmethod
    def wire_type(cls) -> str:
        return "AgentTaskCompletedEvent"
