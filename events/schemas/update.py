"""Bringing the lock up to date: what would be written, or why it must not be."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from events import registry
from events.registry import Kind
from events.schemas import faults, lock
from events.schemas.lock import Entry, Locked


@dataclass
class Update:
    """The lock as it would be. news: a line for each change. refusals: why nothing may be written.

    payloads: golden files to be written; stray: golden files of no version, to be deleted.
    """

    folder: Path
    locked: Locked = field(default_factory=dict)
    payloads: dict[Path, bytes] = field(default_factory=dict)
    stray: list[Path] = field(default_factory=list)
    news: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def write(self) -> None:
        for file, raw in self.payloads.items():
            file.write_bytes(raw)
        for file in self.stray:
            file.unlink()
        raw = msgspec.json.format(msgspec.json.encode(self.locked, order="sorted"), indent=2)
        (self.folder / "lock.json").write_bytes(raw + b"\n")


def planned(folder: Path, unreleased: Collection[Kind] = ()) -> Update:
    """What an update would do. `unreleased`: versions that no release has recorded, and whose
    entries may therefore change or go. Raises lock.LockUnreadable."""
    update = Update(folder)
    before = lock.read(folder)
    gone = faults.without_definition(before)
    update.refusals += [
        f"There is no {kind}." for kind in unreleased if kind not in {*registry.kinds(), *gone}
    ]
    update.refusals += [str(fault) for fault in faults.in_casters()]
    update.refusals += [
        str(fault)
        for fault in faults.against_the_lock(before)
        if (fault.id == faults.CHANGED or fault.kind in gone) and fault.kind not in unreleased
    ]
    if update.refusals:
        return update
    update.news += [f"{kind} is dropped." for kind in gone]
    for kind in registry.kinds():
        entry = before.get(kind.type, {}).get(kind.version)
        _take(update, kind, entry, may_change=kind in unreleased)
    wanted = {lock.golden_file(kind, folder) for kind in registry.kinds()}
    update.stray += sorted(set((folder / "golden").glob("*.jsonl")) - wanted)
    update.news += [f"{file.name} is of no version, and goes." for file in update.stray]
    return update


def _take(update: Update, kind: Kind, before: Entry | None, *, may_change: bool) -> None:
    """Take one version into the lock."""
    file = lock.golden_file(kind, update.folder)
    try:
        payloads = file.read_bytes() if file.exists() else _from_neighbour(update, kind)
    except (LookupError, msgspec.MsgspecError) as error:
        update.refusals.append(
            f"{kind} has no golden payload ({error}). Write one, as it would be stored, as a line"
            f" of events/schemas/golden/{file.name}."
        )
        return
    if may_change:
        payloads = _stored_again(kind, payloads)
    fault = lock.fault_of_payloads(kind, payloads)
    if fault is not None:
        update.refusals.append(f"events/schemas/golden/{file.name}: {fault}.")
        return
    entry = lock.entry_of(kind, payloads)
    update.locked.setdefault(kind.type, {})[kind.version] = entry
    if not file.exists() or file.read_bytes() != payloads:
        update.payloads[file] = payloads
    if before is None:
        update.news.append(f"{kind} is new.")
    elif before.golden != entry.golden and not may_change:
        update.refusals.append(
            f"events/schemas/golden/{file.name} is not what was locked. Take it from version"
            " control: it stands for rows that were stored."
        )
    elif before.shape != entry.shape or before.golden != entry.golden:
        update.news.append(f"{kind} is changed.")
    elif before.sha256 != entry.sha256:
        update.news.append(f"{kind} has other words.")


def _stored_again(kind: Kind, payloads: bytes) -> bytes:
    """The payloads as the definition would store them now, where it can read them at all."""
    definition = registry.fact_type(*kind)
    try:
        facts = [msgspec.json.decode(line, type=definition) for line in payloads.splitlines()]
    except msgspec.DecodeError:
        return payloads
    return b"".join(msgspec.json.encode(fact) + b"\n" for fact in facts)


def _from_neighbour(update: Update, kind: Kind) -> bytes:
    """The golden payloads of the version before, as this one. Raises LookupError without one."""
    versions = registry.versions(kind.type)
    place = versions.index(kind.version)
    if place == 0:
        raise LookupError("and no version before it to take one from")
    older = Kind(kind.type, versions[place - 1])
    file = lock.golden_file(older, update.folder)
    if file not in update.payloads and not file.exists():
        raise LookupError(f"and neither has {older}")
    known = update.payloads[file] if file in update.payloads else file.read_bytes()
    return b"".join(_recast(known.splitlines(), older, kind))


def _recast(lines: list[bytes], older: Kind, kind: Kind) -> Iterator[bytes]:
    definition = registry.fact_type(*kind)
    for line in lines:
        newer = registry.recast(line, *older, kind.version)
        yield msgspec.json.encode(msgspec.json.decode(newer, type=definition)) + b"\n"
