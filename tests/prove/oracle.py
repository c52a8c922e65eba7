"""Which seq is the first that is wrong: by comparing every row with what it was, not by hashes."""

from collections.abc import Sequence
from math import ceil
from typing import Any, NamedTuple

from tests.prove.owner import Picture


class Expected(NamedTuple):
    """The first seq that is wrong; last: where only an interval can be known, its end."""

    seq: int
    last: int | None = None


def first_difference(
    tenant: str, before: Picture, after: Picture, *, with_checkpoints: bool
) -> Expected | None:
    """What the change did to this tenant's log; None when it did nothing.

    0 stands for the log as such. A head that lies is wrong at the first event that it denies or
    promises, else at the last event.
    """
    if tenant not in after.tenants or tenant not in after.heads:
        return Expected(0) if tenant in before.tenants else None
    found = []
    if before.tenants[tenant] != after.tenants[tenant]:
        found.append(0 if with_checkpoints or not _is_uuid(after.tenants[tenant]) else 1)
    last, now = before.heads[tenant][0], after.heads[tenant][0]
    if before.heads[tenant] != after.heads[tenant]:
        if not isinstance(now, int):
            found.append(0)
        else:
            found.append(last if now == last else min(last, max(now, 0)) + 1)
    there = now if isinstance(now, int) else last
    found += _wrong_rows(tenant, before, after, there)
    return Expected(min(found)) if found else None


def _is_uuid(spelt: str) -> bool:
    """Whether it can still be read as a log's id; SQLite's picture has it as type and hex."""
    if not spelt.startswith("text"):
        return "-" in spelt
    digits = bytes.fromhex(spelt.removeprefix("text"))
    return len(digits) == 32 and all(digit in b"0123456789abcdef" for digit in digits)


def _wrong_rows(tenant: str, before: Picture, after: Picture, head: int) -> list[int]:
    was = {seq: row for name, seq, row in before.rows if name == tenant}
    found, left = [], dict(was)
    for name, seq, row in after.rows:
        if name != tenant:
            continue
        if left.get(seq) == row:
            del left[seq]
            continue
        found.append(_place(seq, head))
    return found + list(left)


def _place(seq: Any, head: int) -> int:
    """Where a row that was not there is met by whoever reads in the order of seq."""
    if seq is None:
        return 1
    if not isinstance(seq, int | float):
        return head + 1
    return max(1, ceil(seq))


def first_broken_rule(rows: Sequence[dict[str, Any]]) -> int | None:
    """The first event of a log, however well its hashes fit, that no append could have written."""
    versions: dict[tuple[str, str], int] = {}
    previous = None
    for row in rows:
        stream = (row["stream_type"], row["stream_id"])
        versions[stream] = versions.get(stream, 0) + 1
        if row["version"] != versions[stream]:
            return int(row["seq"])
        if previous is not None and row["recorded_at"] < previous:
            return int(row["seq"])
        previous = row["recorded_at"]
    return None


def first_seen_by_checkpoints(
    changed: int, end: int, broken: int | None, checkpoints: Sequence[int]
) -> Expected | None:
    """What a log shows whose hashes all fit: changed first at `changed`, ends at `end`, and breaks
    a rule at `broken`. None when no checkpoint at or after the change was taken."""
    witnesses = [seq for seq in checkpoints if seq >= changed]
    bad = min(witnesses, default=None)
    if bad is not None and bad <= end and (broken is None or bad < broken):
        return Expected(max((seq for seq in checkpoints if seq < changed), default=0) + 1, bad)
    if broken is not None:
        return Expected(broken)
    return None if bad is None else Expected(end + 1)
