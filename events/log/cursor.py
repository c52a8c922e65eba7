"""Following a log from a place in it: what comes next, and whether it is still the same log.

A place is a seq with that event's hash, so that a log which was replaced or cut (a restored backup)
is noticed at the seam and not read on as if nothing had happened.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from events.log import read
from events.models import Event

MARK_BYTES = 4


@dataclass(frozen=True, slots=True)
class Position:
    """After event `seq`, whose hash is `hash`; after nothing, when seq is 0."""

    seq: int
    hash: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """As it is written on the wire: the seq and the first 8 hex digits of the hash."""
        return f"{self.seq}-{self.hash[:MARK_BYTES].hex()}" if self.seq else "0"


BEGINNING = Position(0, b"")


class NotInTheLog(Exception):
    """The place is not in this log, which was restored from a backup perhaps. `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LogDamaged(RuntimeError):
    """The log has a hole. Whoever reads on would miss an event and never know."""


def head(tenant: str) -> Position:
    """Where the tenant's log ends now. Raises NotInTheLog when there is no such tenant."""
    end = read.head(tenant)
    if end is None:
        raise NotInTheLog(f"There is no tenant {tenant}.")
    return Position(end.seq, end.hash) if end.seq else BEGINNING


def page(tenant: str, position: Position, limit: int) -> list[Event]:
    """The next events after `position`, at most `limit`; none at the end of the log.

    The event at the position is read along, so that a log which was replaced meanwhile is noticed
    at the seam: then this raises NotInTheLog. Raises LogDamaged when a seq is missing.
    """
    return _following(tenant, position, limit, read.after)


def outline(tenant: str, position: Position, limit: int) -> list[read.Outlined]:
    """Of the next events only what they are and where: to pass over many at little cost.

    As `page`: at most `limit`, with the same care, and raising the same.
    """
    return _following(tenant, position, limit, read.outlined)


P = TypeVar("P", Event, read.Outlined)


def _following(
    tenant: str, position: Position, limit: int, after: Callable[[str, int, int], list[P]]
) -> list[P]:
    if not position.seq:
        rows = after(tenant, 0, limit)
    else:
        known, rows = _split(after(tenant, position.seq - 1, limit + 1))
        if known is None or known.seq != position.seq:
            raise NotInTheLog("The log has become shorter.")
        if bytes(known.hash) != position.hash:
            raise NotInTheLog("The log has been replaced.")
    for expected, row in enumerate(rows, position.seq + 1):
        if row.seq != expected:
            raise LogDamaged(f"{tenant}'s log has no event {expected}.")
    return rows


def _split(rows: list[P]) -> tuple[P | None, list[P]]:
    return (rows[0], rows[1:]) if rows else (None, [])
