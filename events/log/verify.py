"""Checking a log against itself: every hash computed again from the stored columns.

    verify("acme")   → Verified, or raises Damaged with the first seq that is wrong and why

One pass in seq order, and one query for the streams' versions; neither keeps more than a row in
this process, however long the log. Appends may go on meanwhile: what is verified is the log up to
the head that stood at the beginning. `events.log.crew` has several processes walk a long log.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

from events.log import chain, stored

PAGE = 50_000  # rows per statement: no snapshot is held for as long as a whole log takes


class Damaged(Exception):
    """The log is not what was appended.

    seq: of the first event that shows it; 0 for what is wrong with the log as such. last: where it
    is only known to lie between two, the second.
    """

    def __init__(self, tenant: str, seq: int, why: str, last: int | None = None) -> None:
        super().__init__(tenant, seq, why, last)
        self.tenant = tenant
        self.seq = seq
        self.why = why
        self.last = last

    def __str__(self) -> str:
        until = f" to {self.last}" if self.last is not None and self.last != self.seq else ""
        return f"{self.tenant}: seq {self.seq}{until}: {self.why}"


@dataclass(frozen=True, slots=True)
class Verified:
    """A log that is whole, up to and including `seq`. hash: 32 bytes."""

    tenant: str
    seq: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.tenant}: {self.seq:,} events verified, head {self.seq}-{self.hash.hex()[:8]}"


class Place(NamedTuple):
    """A place in a chain, from which it goes on. recorded_at: µs since 1970, None before the first
    event. met: whether the hash that was looked for is one of those on the way here."""

    seq: int
    hash: bytes
    recorded_at: int | None = None
    met: bool = False


Seen = Callable[[int], object]
# (tenant, start, last seq, hash to look for, told how many rows were seen) → the place of `last`
Walk = Callable[[str, Place, int, bytes, Seen], Place]


def logs() -> Iterator[str]:
    """The tenants, and whatever else the log's rows take for one; in order."""
    return stored.names()


def walk(tenant: str, start: Place, last: int, wanted: bytes, seen: Seen) -> Place:
    """Follow the chain from `start` to the seq `last`. Raises Damaged."""
    seq, tip, recorded_at, met = start
    for after in range(seq, last, PAGE):
        upto = min(after + PAGE, last)
        with closing(stored.rows(tenant, after, upto)) as page:
            for row in page:
                if row.seq != seq + 1:
                    raise _out_of_place(tenant, seq + 1, row.seq)
                seq += 1
                if recorded_at is not None and row.leaf and row.recorded_at < recorded_at:
                    raise Damaged(tenant, seq, "it was recorded before the event that it follows.")
                recorded_at = row.recorded_at
                tip = chain.link_encoded(tip, seq, recorded_at, row.leaf)
                if row.hash != tip:
                    raise _not_following(tenant, seq, row)
                met = met or tip == wanted
        if seq < upto:
            raise _out_of_place(tenant, seq + 1, stored.next_seq(tenant, seq))
        seen(upto - after)
    return Place(seq, tip, recorded_at, met)


def verify(tenant: str, *, walk: Walk = walk, seen: Seen = lambda _: None) -> Verified:
    """Check the tenant's whole log. Raises Damaged.

    walk: who follows the chain; seen: told of every page how many events it had.
    """
    head, last = _head(tenant)
    try:
        tip = _verify_chain(tenant, head, last, _origin(tenant, head), walk, seen)
    except Damaged as damage:
        # A forger may have chained what comes before it again, and left a stream's order wrong.
        if damage.seq:
            _verify_streams(tenant, damage.seq - 1)
        raise
    _verify_streams(tenant, last)
    return Verified(tenant, last, tip)


def verify_since(tenant: str, place: Place | None) -> Verified:
    """Check what follows a place of the log that is known to be right; None for its beginning.

    Not the versions in the streams. Raises Damaged.
    """
    head, last = _head(tenant)
    start = place or _origin(tenant, head)
    if last < start.seq:
        raise Damaged(tenant, last + 1, f"it is missing; the log had come to {start.seq} before.")
    return Verified(tenant, last, _verify_chain(tenant, head, last, start, walk, lambda _: None))


def follows(tenant: str, seq: int) -> bool:
    """Whether the hash of one event follows from the one before it, both as they are stored."""
    try:
        walk(tenant, _before(tenant, seq), seq, b"", lambda _: None)
    except Damaged:
        return False
    return True


def _before(tenant: str, seq: int) -> Place:
    """Where the chain stood before an event, by the rows alone. Raises Damaged."""
    if seq == 1:
        return _origin(tenant, _head(tenant)[0])
    place = stored.place(tenant, seq - 1)
    if place is None:
        raise Damaged(tenant, seq - 1, "it is missing.")
    return Place(seq - 1, *place)


def _head(tenant: str) -> tuple[stored.Head, int]:
    heads = stored.heads(tenant)
    if not heads:
        raise Damaged(tenant, 0, "it has no head; its tenant or its end is lost.")
    if len(heads) > 1:
        raise Damaged(tenant, 0, "it has more than one head or tenant of this name.")
    (head,) = heads
    if head.seq is None:
        raise Damaged(tenant, 0, "its head does not say which event is the last.")
    return head, head.seq


def _origin(tenant: str, head: stored.Head) -> Place:
    if head.log_id is None:
        raise Damaged(tenant, 0, "the log's own id is none.")
    origin = chain.genesis(head.log_id)
    return Place(0, origin, met=head.prior_hash == origin)


def _verify_chain(
    tenant: str, head: stored.Head, last: int, start: Place, walk: Walk, seen: Seen
) -> bytes:
    if head.early:
        raise Damaged(tenant, 1, "an event lies before it.")
    end = walk(tenant, start, last, head.prior_hash, seen)
    if head.beyond is not None:
        raise Damaged(tenant, head.beyond, f"it lies beyond the head, which is at {last}.")
    if last < 0:
        raise Damaged(tenant, 0, f"the head is at {last}, before any event.")
    if head.hash != end.hash:
        raise Damaged(tenant, last, "the head has another hash than the last event.")
    if end.recorded_at is not None and head.recorded_at != end.recorded_at:
        raise Damaged(tenant, last, "the head has another time than the last event.")
    if not end.met:
        raise Damaged(tenant, last, "the head's prior hash is none of this log.")
    return end.hash


def _verify_streams(tenant: str, last: int) -> None:
    seq = stored.out_of_order(tenant, last)
    if seq is not None:
        raise Damaged(tenant, seq, "its version does not follow in its stream.")


def _out_of_place(tenant: str, expected: int, found: int | None) -> Damaged:
    if found is None:
        return Damaged(tenant, expected, "it is missing, and so are all up to the head.")
    if found < expected:
        return Damaged(tenant, found, "it is there more than once.")
    return Damaged(tenant, expected, f"it is missing; the next event is {found}.")


def _not_following(tenant: str, seq: int, row: stored.Row) -> Damaged:
    if not row.leaf:
        return Damaged(tenant, seq, "it holds what no append writes.")
    where = "the log's own id or this event was" if seq == 1 else "it or its place was"
    return Damaged(tenant, seq, f"its hash does not follow: {where} changed.")
