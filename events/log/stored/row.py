"""What the checker gets of a row, and a name as people can read it."""

import uuid
from typing import Any, NamedTuple

ON_NO_CLOCK = -(2**62)  # stands for a moment that is none


class Row(NamedTuple):
    """recorded_at: µs since 1970; leaf: computed from the stored columns, empty when they cannot be
    an event's; hash: as stored."""

    seq: int
    recorded_at: int
    leaf: bytes
    hash: bytes


class Head(NamedTuple):
    """A tenant's id and head. recorded_at: µs since 1970, ON_NO_CLOCK for what is no moment.

    early: whether an event lies before the first; beyond: the first that lies after the head.
    Both are of the same moment as the head.
    """

    log_id: uuid.UUID | None
    seq: int | None
    recorded_at: int
    hash: bytes
    prior_hash: bytes
    early: bool
    beyond: int | None


def readable(name: Any) -> str:
    """A stored tenant's name on one line: itself, if a tenant can be called so."""
    if name is None:
        return "(no tenant)"
    return name if isinstance(name, str) and name.isprintable() else ascii(name)
