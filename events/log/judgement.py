"""A log before its checkpoints: what somebody signed earlier, and what stands there now."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

from events.log import chain, stored
from events.log.checkpoint import Checkpoint
from events.log.verify import Damaged, Seen, Verified, Walk, verify, walk
from events.moments import rfc3339


@dataclass(frozen=True, slots=True)
class Held:
    """A log that is whole and as its checkpoints say. newest: the seq of the last of them."""

    verified: Verified
    checkpoints: int
    newest: int

    @property
    def seq(self) -> int:
        return self.verified.seq

    def __str__(self) -> str:
        since = self.verified.seq - self.newest
        held = "1 checkpoint holds"
        if self.checkpoints > 1:
            held = f"{self.checkpoints:,} checkpoints hold"
        after = (
            f"{since:,} event{'s' * (since > 1)} came after it" if since else "nothing came after"
        )
        return f"{self.verified}; {held}, the last is at {self.newest} and {after}"


def judge(
    tenant: str,
    checkpoints: Sequence[Checkpoint],
    *,
    walk: Walk = walk,
    seen: Seen = lambda _: None,
) -> Verified | Held:
    """Verify the tenant's log and compare it with every checkpoint of it, in whatever order.

    Raises Damaged: what is wrong first in the log, whether the chain or a checkpoint shows it.
    """
    checkpoints = tuple(dict.fromkeys(checkpoints))  # an idle log gives the same one every time
    _refuse_another_log(tenant, checkpoints)
    try:
        verified = verify(tenant, walk=walk, seen=seen)
    except Damaged as damage:
        # Up to there the chain holds, and so the hash at a checkpoint covers all before it.
        kept = _compare(tenant, [c for c in checkpoints if c.seq < damage.seq], damage)
        if kept is None:
            raise
        raise Damaged(
            tenant, damage.seq, f"{damage.why} The checkpoint at {kept} holds.", damage.last
        ) from None
    there = [c for c in checkpoints if c.seq <= verified.seq]
    kept = _compare(tenant, there)
    beyond = min((c for c in checkpoints if c.seq > verified.seq), key=_seq, default=None)
    if beyond is not None:
        raise Damaged(
            tenant,
            verified.seq + 1,
            f"the log ends at {verified.seq}, before {_told(beyond)}: its tail was cut off, or an "
            f"older backup restored. {_vouched(kept, verified.seq)}",
        )
    if kept is None:
        return verified
    return Held(verified, len(there), kept)


def _seq(checkpoint: Checkpoint) -> int:
    return checkpoint.seq


def _vouched(kept: int | None, last: int) -> str:
    if kept == last:
        return f"The checkpoint at {kept} holds."
    if kept is None:
        return "No checkpoint vouches for what is there."
    return f"The checkpoint at {kept} holds; none vouches for {kept + 1} to {last}."


def _told(checkpoint: Checkpoint) -> str:
    return f"the checkpoint at {checkpoint.seq} (recorded {rfc3339(checkpoint.recorded_at)})"


def _refuse_another_log(tenant: str, checkpoints: Sequence[Checkpoint]) -> None:
    """Raise Damaged when the log is not there any more, or is not the one that was signed."""
    if not checkpoints:
        return
    found = stored.log_ids(tenant)
    if not found:
        newest = max(checkpoints, key=_seq)
        raise Damaged(
            tenant,
            0,
            f"there is no such tenant, but {_told(newest)}: it was deleted, or this is another "
            "database.",
        )
    for checkpoint in sorted(checkpoints, key=_seq):
        if checkpoint.log_id not in found:
            raise Damaged(
                tenant,
                0,
                f"it is not the log of {_told(checkpoint)}, whose id is {checkpoint.log_id}: the "
                "tenant was deleted and made again, or this is another database.",
            )


def _compare(
    tenant: str, checkpoints: Sequence[Checkpoint], damage: Damaged | None = None
) -> int | None:
    """The seq of the last of these checkpoints when all hold, None when there is none.

    The chain is verified up to the last of them. Raises Damaged, with the interval in which the
    first change lies; `damage` is what is known to be wrong behind it.
    """
    hashes = stored.hashes(tenant, (c.seq for c in checkpoints))
    ordered = sorted(checkpoints, key=_seq)
    holds = [c.hash == (hashes.get(c.seq) if c.seq else _genesis(c)) for c in ordered]
    holding = list(compress(ordered, holds))
    if all(holds):
        return holding[-1].seq if holding else None
    bad = ordered[holds.index(False)]
    good = [c for c in holding if c.seq < bad.seq]
    later = [c for c in holding if c.seq >= bad.seq]
    raise _rewritten(tenant, good[-1] if good else None, bad, later[0] if later else None, damage)


def _genesis(checkpoint: Checkpoint) -> bytes:
    return chain.genesis(checkpoint.log_id)


def _rewritten(
    tenant: str,
    good: Checkpoint | None,
    bad: Checkpoint,
    later: Checkpoint | None,
    damage: Damaged | None,
) -> Damaged:
    first = min(bad.seq, good.seq + 1 if good else 1)
    why = (
        "something here was changed, and every hash from there on computed again: "
        f"{_told(bad)} has another hash"
    )
    why += f", that at {good.seq} holds." if good else "."
    if later is not None:
        why += f" Checkpoints from {later.seq} on were made of the changed log."
    if damage is not None:
        why += f" Besides, seq {damage.seq}: {damage.why}"
    return Damaged(tenant, first, why, bad.seq)
