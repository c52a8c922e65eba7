"""One log, many changes one after another, each undone before the next; and the verdicts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random

from django.db import DatabaseError, transaction

from events.log import checkpoint
from events.log.checkpoint import Checkpoint
from events.log.judgement import judge
from events.log.verify import Damaged
from events.models import Tenant
from tests.prove import owner
from tests.prove.mutations import KINDS, World
from tests.prove.oracle import (
    Expected,
    first_broken_rule,
    first_difference,
    first_seen_by_checkpoints,
)

TRIES = 30


class Missed(AssertionError):
    """A change was not found, or not where it is, or something was found where nothing is."""


def verdict(tenant: str, checkpoints: Sequence[Checkpoint] = ()) -> Expected | None:
    """Where the verifier sees the first damage; None for a log that is whole."""
    try:
        judge(tenant, checkpoints)
    except Damaged as damage:
        return Expected(damage.seq, damage.last)
    return None


def some_checkpoints(tenant: str, last: int, random: Random) -> list[Checkpoint]:
    """Those of the beginning, of the end and of places between; shuffled, as files are joined."""
    seqs = {0, last, *(random.randint(0, last) for _ in range(random.randint(0, 4)))}
    taken = [checkpoint.at(tenant, seq) for seq in seqs]
    random.shuffle(taken)
    return taken


def try_all(tenant: str, other: str, kinds: Sequence[str], random: Random) -> Counter[str]:
    """Make one change after another. Returns how many of each kind there were. Raises Missed."""
    rows = owner.load(tenant)
    signed = {slug: some_checkpoints(slug, end(slug), random) for slug in (tenant, other)}
    log_id = Tenant.objects.get(slug=tenant).log_id
    made: Counter[str] = Counter()
    with owner.owning() as cursor:
        before = owner.picture(cursor)
        for kind in kinds:
            world = World(cursor, random, tenant, other, log_id, rows)
            for _ in range(TRIES):
                with _undone():
                    if _try(kind, world, before, signed):
                        made[kind] += 1
                        break
            else:
                raise Missed(f"{kind}: {TRIES} times nothing changed")
        if owner.picture(cursor) != before:
            raise Missed("a change was not undone")
    return made


def end(tenant: str) -> int:
    return checkpoint.at(tenant).seq


@contextmanager
def _undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _try(
    kind: str, world: World, before: owner.Picture, signed: dict[str, list[Checkpoint]]
) -> bool:
    """Make the change and hold the verdicts against what is expected. False: nothing changed."""
    try:
        with transaction.atomic():
            forged = KINDS[kind](world)
    except (DatabaseError, UnicodeError):
        return False  # the database does not take it
    after = owner.picture(world.cursor)
    if sorted(after.rows, key=repr) == sorted(before.rows, key=repr) and after[1:] == before[1:]:
        return False
    for tenant, checkpoints in signed.items():
        for given in ((), checkpoints):
            if forged is not None and tenant == world.tenant:
                changed, rows = forged
                expected = first_seen_by_checkpoints(
                    changed, len(rows), first_broken_rule(rows), [each.seq for each in given]
                )
            else:
                expected = first_difference(tenant, before, after, with_checkpoints=bool(given))
            found = verdict(tenant, given)
            if found != expected:
                seqs = sorted(each.seq for each in given)
                raise Missed(
                    f"{kind} of {tenant} ({world.last} events, checkpoints {seqs}): "
                    f"expected {expected}, found {found}"
                )
    return True
