"""Where a log goes on: decided from the stream, and from what was noted where that has forgotten.

The last of a tenant's messages in the stream is the truth. There is none when the operator's limits
have removed all of them, when the server has lost its newest messages (power failed between two
syncs), and when the stream was made anew: the first is no reason to begin again, the others are.
"""

from dataclasses import dataclass

from events.log.cursor import BEGINNING, Position


@dataclass(frozen=True, slots=True)
class Look:
    """A stream at one moment. created: tells it from another of the same name."""

    created: str
    last_seq: int


@dataclass(frozen=True, slots=True)
class Found:
    """A tenant's last message: its place in the stream, and the event; None: it is not ours."""

    stream_seq: int
    position: Position | None


@dataclass(frozen=True, slots=True)
class Noted:
    """That the event at `position` stands, or stood, at `stream_seq` of a stream."""

    position: Position
    created: str
    stream_seq: int
    stopped_reason: str | None = None


def is_asked_for(noted: Noted | None, found: Found | None, look: Look) -> bool:
    """Whether `where` needs to know if another message stands in the noted place."""
    return found is None and noted is not None and _still_counts(noted, look)


def where(
    noted: Noted | None, found: Found | None, look: Look, *, replaced: bool
) -> Position | None:
    """After which event the log goes on; None when what the stream holds is not of the relay.

    `replaced`: another message stands in the noted place (see `is_asked_for`).
    """
    if noted is None or not _still_counts(noted, look):
        return found.position if found else BEGINNING
    if found is None:
        return BEGINNING if replaced else noted.position
    # In the very place that was noted the note counts: a person may have moved it (resume_relay).
    return noted.position if found.stream_seq == noted.stream_seq else found.position


def _still_counts(noted: Noted, look: Look) -> bool:
    """Not of another stream, and not beyond the end of one that has lost its newest messages."""
    return noted.created == look.created and noted.stream_seq <= look.last_seq
