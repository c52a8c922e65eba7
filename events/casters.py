"""How a payload becomes the same fact in a neighbouring version: the one place that declares it.

Casters work on payload dicts, as decoded from the log's JSON, and return a new dict. A new version
of a fact adds one entry here and moves the old definition to `ancestors`; longer ways are walked
one neighbour at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass

from events.facts import JSON

Payload = dict[str, JSON]
Cast = Callable[[Payload], Payload]


@dataclass(frozen=True, kw_only=True)
class Caster:
    """The way between two neighbouring versions of one type, up and down."""

    type: str
    older: str
    newer: str
    up: Cast
    down: Cast


def _completed_with_usage(payload: Payload) -> Payload:
    return {**payload, "usage": None}


def _completed_without_usage(payload: Payload) -> Payload:
    return {field: value for field, value in payload.items() if field != "usage"}


CASTERS = (
    Caster(
        type="AgentTaskCompletedEvent",
        older="1.0",
        newer="2.0",
        up=_completed_with_usage,
        down=_completed_without_usage,
    ),
)
