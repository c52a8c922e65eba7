"""What is trouble, and what ends it. Pure: an event in, names of types out.

Types are named here, and nowhere else in this room, so that a fact of a newer release may stand
among them: what no log holds ends nothing.
"""

from collections.abc import Mapping
from datetime import timedelta

from events.facts import Fact

AGENT_STREAM = "agent"
UNHEALTHY = "UNHEALTHY"
QUIET = timedelta(hours=24)
WORDS_LENGTH = 200

# Heartbeats are not here, though they end outages: the heartbeat that does is recorded together
# with the change of status away from UNHEALTHY, and the thousands that do not need no look.
_ENDS: Mapping[str, frozenset[str]] = {
    "AgentStatusChangedEvent": frozenset(
        {"AgentHealthCheckFailedEvent", "AgentStatusChangedEvent"}
    ),
    "AgentTaskCompletedEvent": frozenset({"AgentTaskFailedEvent"}),
    "AgentResumedEvent": frozenset({"AgentPausedEvent"}),
    "AgentTerminatedEvent": frozenset(
        {
            "AgentHealthCheckFailedEvent",
            "AgentStatusChangedEvent",
            "AgentTaskFailedEvent",
            "AgentPausedEvent",
        }
    ),
    "MassLossResolved": frozenset({"MassLossSuspected", "MassLossConfirmed"}),
    # A person has decided that the agents are lost: each is an outage of its own from here on.
    "MassLossConfirmed": frozenset({"MassLossSuspected"}),
}
_ENDED = frozenset().union(*_ENDS.values())

_ENDED_IN_WORDS: Mapping[str, str] = {
    "AgentStatusChangedEvent": "The agent is no longer unhealthy.",
    "AgentTaskCompletedEvent": "The agent completed a task.",
    "AgentResumedEvent": "The agent was resumed.",
    "AgentTerminatedEvent": "The agent was terminated.",
    "MassLossResolved": "The agents were heard of again.",
    "MassLossConfirmed": "The loss was confirmed.",
}


def subject_of(event: Fact) -> str:
    """The agent's id, or "" for the tenant as a whole. The event is one of a log."""
    place = event.envelope
    assert place is not None  # noqa: S101 -- for the type checker; what is heard has one
    return place.stream_id if place.stream_type == AGENT_STREAM else ""


def is_trouble(event: Fact) -> bool:
    """Whether an event that a rule names counts. Of changes of status only those to UNHEALTHY do:
    an agent changes it with every task."""
    return event.type != "AgentStatusChangedEvent" or getattr(event, "to_status", None) == UNHEALTHY


def ended_by(event: Fact) -> frozenset[str]:
    """The types of trouble of the same subject that are over with this event."""
    if event.type == "AgentStatusChangedEvent" and getattr(event, "from_status", None) != UNHEALTHY:
        return frozenset()
    return _ENDS.get(event.type, frozenset())


def ending_types(troubles: frozenset[str]) -> frozenset[str]:
    """The types of event that can end any of these troubles."""
    return frozenset(ending for ending, ended in _ENDS.items() if ended & troubles)


def after(troubles: frozenset[str], event: Fact, *, counts: bool) -> frozenset[str]:
    """What is still trouble after the event. counts: whether the event is trouble itself."""
    return (troubles - ended_by(event)) | (frozenset({event.type}) if counts else frozenset())


def lapse(troubles: frozenset[str]) -> timedelta | None:
    """After how long without more the trouble counts as over; None when an event ends it."""
    return None if troubles & _ENDED else QUIET


def why_over(event: Fact) -> str:
    return _ENDED_IN_WORDS[event.type]


def in_words(event: Fact) -> str:
    """What happened, on one line: agents word some of it, so nothing in it is a line break."""
    said = [
        str(value)
        for name in ("task_id", "name", "username", "principal", "error_message", "reason")
        if (value := getattr(event, name, None))
    ]
    return one_line(f"{event.type}: {', '.join(said)}" if said else event.type)


def one_line(text: str) -> str:
    plain = "".join(character if character.isprintable() else " " for character in text)
    words = " ".join(plain.split())
    return words if len(words) <= WORDS_LENGTH else words[: WORDS_LENGTH - 1] + "…"
