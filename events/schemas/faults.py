"""What is wrong with the definitions, the casters and the lock, in one line each.

Ids are those of Django's system checks: E002 a schema that changed without a new version, E003 a
version without a caster to its neighbour, E004 a version that the lock or the code does not have.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from events import registry
from events.casters import Caster
from events.registry import Kind
from events.schemas import document, lock
from events.schemas.lock import Locked, LockUnreadable

CHANGED, NO_CASTER, NOT_LOCKED = "events.E002", "events.E003", "events.E004"
GUIDE = "docs/schemas.md says how"


@dataclass(frozen=True, slots=True)
class Fault:
    """message: what is wrong; hint: what to do; kind: what it is about, when that is one thing."""

    id: str
    message: str
    hint: str
    kind: Kind | None = None

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"


def faults() -> list[Fault]:
    """All that the system checks report."""
    try:
        locked = lock.read(lock.HERE)
    except LockUnreadable as error:
        hint = "Take the file from version control, then run manage.py schema_lock."
        return [*in_casters(), Fault(NOT_LOCKED, str(error), hint)]
    return [*in_casters(), *against_the_lock(locked)]


def against_the_lock(locked: Locked) -> Iterator[Fault]:
    for kind in registry.kinds():
        entry = locked.get(kind.type, {}).get(kind.version)
        if entry is None:
            yield Fault(
                NOT_LOCKED,
                f"{kind} is not in the schema lock.",
                "Run manage.py schema_lock, and commit what it writes.",
                kind,
            )
        elif entry.shape != document.sha256(document.shape(document.document(*kind))):
            yield Fault(
                CHANGED,
                f"{kind} has another schema than the lock, and the same version.",
                f"Take the change back, or make it a new version: {GUIDE}.",
                kind,
            )
    for kind in without_definition(locked):
        yield Fault(
            NOT_LOCKED,
            f"{kind} is in the schema lock and no definition has it.",
            f"Keep its definition in events/ancestors, where old rows need it: {GUIDE}.",
            kind,
        )


def without_definition(locked: Locked) -> list[Kind]:
    entries = {Kind(name, version) for name in locked for version in locked[name]}
    return sorted(entries - set(registry.kinds()))


def in_casters() -> Iterator[Fault]:
    """Definitions that stand twice, and neighbours that no caster, or more than one, connects."""
    defined = (*registry.DOMAIN_EVENTS, *registry.TENANT_FACTS, *registry.ANCESTORS)
    for kind, times in Counter(Kind(fact.wire_type(), fact.version) for fact in defined).items():
        if times > 1:
            yield Fault(
                NO_CASTER,
                f"{kind} is defined {times} times.",
                f"Raise the version of the newest definition: {GUIDE}.",
                kind,
            )
    ways = Counter((each.type, each.older, each.newer) for each in registry.CASTERS)
    for name in registry.types():
        for older, newer in pairwise(registry.versions(name)):
            found = ways[name, older, newer]
            if found != 1:
                yield _missing(Kind(name, older), newer, found)
    for caster in registry.CASTERS:
        if (caster.older, caster.newer) not in pairwise(registry.versions(caster.type)):
            yield _idle(caster)


def _missing(kind: Kind, newer: str, found: int) -> Fault:
    return Fault(
        NO_CASTER,
        f"{kind} has {found or 'no'} caster{'s' if found else ''} to {newer}.",
        f"Its module in events/ancestors needs one Caster: {GUIDE}.",
        kind,
    )


def _idle(caster: Caster) -> Fault:
    kind = Kind(caster.type, caster.older)
    return Fault(
        NO_CASTER,
        f"{kind} has a caster to {caster.newer}, which is not its neighbour.",
        "Put the version between them back, or let the caster lead to the next one there is.",
        kind,
    )
