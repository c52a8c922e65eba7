"""Changes that somebody makes who owns the database. Each is made on one tenant's log.

What leaves hashes that do not fit is judged by what differs; a forger's, whose hashes all fit, say
themselves where they begin.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

from django.db.backends.utils import CursorWrapper

from tests.prove import owner
from tests.prove.owner import ON_POSTGRESQL

TEXTS = (
    "tenant_id", "stream_type", "stream_id", "type", "schema_version", "actor", "reason",
    "correlation_id", "causation_id", "traceparent", "origin", "data",
)  # fmt: skip
MOMENTS = ("occurred_at", "recorded_at")
NUMBERS = ("seq", "version")
DATABLE = 57  # bits of a number of microseconds that PostgreSQL still takes for a moment


@dataclass
class World:
    """Two tenants in one database; `tenant` is the one that is meant."""

    cursor: CursorWrapper
    random: Random
    tenant: str
    other: str
    log_id: uuid.UUID
    rows: list[dict[str, Any]] = field(repr=False)

    @property
    def last(self) -> int:
        return len(self.rows)

    def some_seq(self) -> int:
        """The first and the last more often than their share."""
        return self.random.choice([1, self.last, *[self.random.randint(1, self.last)] * 6])

    def change(self, seq: int, assignment: str, *values: Any) -> None:
        self.cursor.execute(
            f"UPDATE events_event SET {assignment} WHERE tenant_id = %s AND seq = %s",
            [*values, self.tenant, seq],
        )

    def stored(self, seq: int, expression: str) -> Any:
        self.cursor.execute(
            f"SELECT {expression} FROM events_event WHERE tenant_id = %s AND seq = %s",
            [self.tenant, seq],
        )
        return self.cursor.fetchone()[0]


Forged = tuple[int, list[dict[str, Any]]]  # the first seq that is another, and the log as it is now
Mutation = Callable[[World], Forged | None]


def flipped(raw: bytes, random: Random, bits: int = 8) -> bytes:
    place = random.randrange(len(raw))
    return raw[:place] + bytes([raw[place] ^ (1 << random.randrange(bits))]) + raw[place + 1 :]


def text_bit(column: str) -> Mutation:
    def mutate(world: World) -> None:
        with_text = [row["seq"] for row in world.rows if row[column]]
        seq = world.random.choice(with_text or [world.some_seq()])
        if ON_POSTGRESQL:
            # A server keeps UTF-8 alone: what is none is refused, and another bit is tried.
            text = (world.stored(seq, column) or "x").encode()
            world.change(seq, f"{column} = %s", flipped(text, world.random).decode())
        else:
            raw = world.stored(seq, f"CAST({column} AS BLOB)") or b"x"
            world.change(seq, f"{column} = CAST(%s AS TEXT)", flipped(raw, world.random))

    return mutate


def number_bit(column: str) -> Mutation:
    def mutate(world: World) -> None:
        seq = world.some_seq()
        number = world.stored(seq, column).to_bytes(8, "big", signed=True)
        new = int.from_bytes(flipped(number, world.random), "big", signed=True)
        world.change(seq, f"{column} = %s", new)

    return mutate


def moment_bit(table: str, column: str) -> Mutation:
    def mutate(world: World) -> None:
        seq = world.some_seq()
        where = "seq = %s AND" if table == "events_event" else "%s >= 0 AND"
        if ON_POSTGRESQL:
            # The bits of the number that PostgreSQL stores: microseconds since 2000.
            since = f"(extract(epoch FROM {column}) * 1000000)::bigint - 946684800000000"
            flip = 1 << world.random.randrange(DATABLE)
            new = f"'2000-01-01 00:00+00'::timestamptz + (({since}) # {flip}) * interval '1 us'"
            if world.random.random() < 0.1:
                new = world.random.choice(["'infinity'", "'-infinity'", "'200000-01-01'"])
        else:
            expression = f"SELECT CAST({column} AS BLOB) FROM {table} WHERE {where} tenant_id = %s"
            world.cursor.execute(expression, [seq, world.tenant])
            raw = flipped(world.cursor.fetchone()[0], world.random)
            new = f"CAST(x'{raw.hex()}' AS TEXT)"
        world.cursor.execute(
            f"UPDATE {table} SET {column} = {new} WHERE {where} tenant_id = %s",
            [seq, world.tenant],
        )

    return mutate


def _flipped_id(world: World, raw: Any) -> Any:
    if ON_POSTGRESQL:
        return uuid.UUID(bytes=flipped(raw.bytes, world.random))
    return flipped(raw, world.random)


def event_id_bit(world: World) -> None:
    seq = world.some_seq()
    raw = world.stored(seq, "event_id" if ON_POSTGRESQL else "CAST(event_id AS BLOB)")
    value = "%s" if ON_POSTGRESQL else "CAST(%s AS TEXT)"
    world.change(seq, f"event_id = {value}", _flipped_id(world, raw))


def hash_bit(world: World) -> None:
    seq = world.some_seq()
    world.change(seq, "hash = %s", flipped(bytes(world.stored(seq, "hash")), world.random))


def hash_of_other_length(world: World) -> None:
    seq = world.some_seq()
    digest = bytes(world.stored(seq, "hash"))
    world.change(seq, "hash = %s", world.random.choice([b"", digest[:-1], digest + b"\0"]))


def nothing(world: World) -> None:
    """NULL where something was, or an empty text where nothing was."""
    seq, column = world.some_seq(), world.random.choice([*owner.EVENT_COLUMNS])
    if world.stored(seq, column) is None:
        world.change(seq, f"{column} = ''")
    else:
        world.change(seq, f"{column} = NULL")


def another_type(world: World) -> None:
    """The same value as something else: only SQLite lets that happen."""
    column = world.random.choice([*TEXTS, *NUMBERS, "event_id", "hash", *MOMENTS])
    new = world.random.choice(
        [f"CAST({column} AS BLOB)", f"{column} || ''", "0.5", "'text'", "x'ff'", "9e99"]
    )
    if not ON_POSTGRESQL:
        world.change(world.some_seq(), f"{column} = {new}")


def huge(world: World) -> None:
    column = world.random.choice(["data", "actor", "origin"])
    if ON_POSTGRESQL and column == "actor":
        column = "reason"
    world.change(world.some_seq(), f"{column} = %s", "x" * 2_000_000)


def delete_one(world: World) -> None:
    _delete(world, "seq = %s", world.some_seq())


def delete_some(world: World) -> None:
    first = world.some_seq()
    _delete(world, "seq BETWEEN %s AND %s", first, first + world.random.randint(0, 5))


def delete_all(world: World) -> None:
    _delete(world, "seq >= %s", 1)


def cut_tail(world: World) -> None:
    _delete(world, "seq > %s", world.random.randint(0, world.last - 1))


def _delete(world: World, condition: str, *values: Any) -> None:
    world.cursor.execute(
        f"DELETE FROM events_event WHERE tenant_id = %s AND {condition}", [world.tenant, *values]
    )


def swap(world: World) -> None:
    """Two events change places: by their seq alone, or all but their seq and hash."""
    one = world.some_seq()
    two = world.random.choice([seq for seq in range(1, world.last + 1) if seq != one])
    columns = world.random.choice([("seq",), ("seq", "hash"), ("seq", "hash", "recorded_at")])
    first = [world.stored(one, name) for name in columns]
    second = [world.stored(two, name) for name in columns]
    sets = ", ".join(f"{name} = %s" for name in columns)
    world.change(one, sets, -1, *second[1:])
    world.change(two, sets, *first)
    world.change(-1, "seq = %s", two)


def _copy(world: World, source: int, **others: Any) -> None:
    names = ", ".join(owner.EVENT_COLUMNS)
    values = ", ".join("%s" if name in others else name for name in owner.EVENT_COLUMNS)
    given = [others[name] for name in owner.EVENT_COLUMNS if name in others]
    world.cursor.execute(
        f"INSERT INTO events_event ({names}) SELECT {values} FROM events_event "
        "WHERE tenant_id = %s AND seq = %s",
        [*given, world.tenant, source],
    )


def duplicate(world: World) -> None:
    _copy(world, world.some_seq())


def duplicate_elsewhere(world: World) -> None:
    seqs = [-(2**40), -1, 0, world.some_seq(), world.last + 1, world.last + 7, 2**62]
    _copy(world, world.some_seq(), seq=world.random.choice(seqs), event_id=_fresh_id())


def insert_old(world: World) -> None:
    """An event of long ago, after the last or in between, where the others make room for it."""
    seq = world.random.randint(1, world.last + 1)
    if seq <= world.last:
        world.cursor.execute(
            "UPDATE events_event SET seq = seq + 1 WHERE tenant_id = %s AND seq >= %s",
            [world.tenant, seq],
        )
    source = seq + 1 if seq <= world.last else world.last
    _copy(
        world,
        source,
        seq=seq,
        event_id=_fresh_id(),
        recorded_at="2020-01-01 00:00:00",
        occurred_at="2020-01-01 00:00:00",
    )


def _fresh_id() -> Any:
    fresh = uuid.uuid4()
    return fresh if ON_POSTGRESQL else fresh.hex


def move_to_other(world: World) -> None:
    """An event goes to the other tenant: to its own seq there, to the end, or in between."""
    world.cursor.execute("SELECT seq FROM events_tenanthead WHERE tenant_id = %s", [world.other])
    end = world.cursor.fetchone()[0]
    seq = world.some_seq()
    goes_to = world.random.choice([seq, end + 1, world.random.randint(1, end)])
    world.change(seq, "tenant_id = %s, seq = %s", world.other, goes_to)


def head_bit(column: str) -> Mutation:
    def mutate(world: World) -> None:
        world.cursor.execute(
            f"SELECT {column} FROM events_tenanthead WHERE tenant_id = %s", [world.tenant]
        )
        value = world.cursor.fetchone()[0]
        if column == "seq":
            raw = flipped(value.to_bytes(8, "big", signed=True), world.random)
            new: Any = int.from_bytes(raw, "big", signed=True)
        elif column == "tenant_id":
            new = flipped(value.encode(), world.random, bits=7).decode("ascii", "replace")
        else:
            new = flipped(bytes(value), world.random)
        _set_head(world, column, new)

    return mutate


def head_nothing(world: World) -> None:
    _set_head(world, world.random.choice(["seq", "hash", "prior_hash", "recorded_at"]), None)


def head_gone(world: World) -> None:
    world.cursor.execute("DELETE FROM events_tenanthead WHERE tenant_id = %s", [world.tenant])


def head_of_other(world: World) -> None:
    """The head of one is put over that of the other."""
    world.cursor.execute(
        "UPDATE events_tenanthead SET (seq, hash, prior_hash, recorded_at) = (SELECT o.seq, o.hash,"
        " o.prior_hash, o.recorded_at FROM events_tenanthead o WHERE o.tenant_id = %s) "
        "WHERE tenant_id = %s",
        [world.other, world.tenant],
    )


def _set_head(world: World, column: str, value: Any) -> None:
    world.cursor.execute(
        f"UPDATE events_tenanthead SET {column} = %s WHERE tenant_id = %s", [value, world.tenant]
    )


def log_id_bit(world: World) -> None:
    form, value = (
        ("log_id", "%s") if ON_POSTGRESQL else ("CAST(log_id AS BLOB)", "CAST(%s AS TEXT)")
    )
    world.cursor.execute(f"SELECT {form} FROM events_tenant WHERE slug = %s", [world.tenant])
    new = _flipped_id(world, world.cursor.fetchone()[0])
    world.cursor.execute(
        f"UPDATE events_tenant SET log_id = {value} WHERE slug = %s", [new, world.tenant]
    )


def slug_bit(world: World) -> None:
    new = flipped(world.tenant.encode(), world.random, bits=7).decode("ascii", "replace")
    world.cursor.execute("UPDATE events_tenant SET slug = %s WHERE slug = %s", [new, world.tenant])


# A forger's, who computes every later hash again and sets the head right.


def _forge(world: World, changed: int, rows: list[dict[str, Any]]) -> Forged:
    owner.chain_again(world.log_id, rows)
    owner.replace(world.cursor, world.tenant, world.log_id, rows)
    return changed, rows


def forge_content(world: World) -> Forged:
    rows, seq = [dict(row) for row in world.rows], world.some_seq()
    column = world.random.choice(
        [*(name for name in TEXTS if name != "tenant_id"), "occurred_at", "event_id", "version"]
    )
    row = rows[seq - 1]
    if column == "occurred_at":
        row[column] += timedelta(microseconds=1)
    elif column == "event_id":
        row[column] = uuid.uuid4()
    elif column == "version":
        row[column] += world.random.choice([-1, 1, 40])
    else:
        row[column] = (row[column] or "") + "!"
    return _forge(world, seq, rows)


def forge_time(world: World) -> Forged:
    rows, seq = [dict(row) for row in world.rows], world.some_seq()
    step = timedelta(microseconds=world.random.choice([-1, 1, 10**6, -(10**6), 10**9]))
    rows[seq - 1]["recorded_at"] += step
    return _forge(world, seq, rows)


def forge_deletion(world: World) -> Forged:
    """One event is taken out; half the time its stream's versions close up behind it."""
    rows, seq = [dict(row) for row in world.rows], world.some_seq()
    gone = rows.pop(seq - 1)
    if world.random.random() < 0.5:
        for row in rows[seq - 1 :]:
            if (row["stream_type"], row["stream_id"]) == (gone["stream_type"], gone["stream_id"]):
                row["version"] -= 1
    return _forge(world, seq, rows)


def forge_insertion(world: World) -> Forged:
    """An event that never was, in a stream of its own, at the time of the one that it pushes on."""
    rows, seq = [dict(row) for row in world.rows], world.some_seq()
    new = dict(rows[seq - 1], event_id=uuid.uuid4(), stream_id="never-was", version=1)
    rows.insert(seq - 1, new)
    return _forge(world, seq, rows)


def forge_swap(world: World) -> Forged:
    """Two neighbours of different streams, with their times left in place."""
    rows = [dict(row) for row in world.rows]
    seq = world.random.randint(1, world.last - 1)
    one, two = rows[seq - 1], rows[seq]
    one["recorded_at"], two["recorded_at"] = two["recorded_at"], one["recorded_at"]
    rows[seq - 1], rows[seq] = two, one
    return _forge(world, seq, rows)


def forge_end(world: World) -> Forged:
    """The tail is cut off, and the head set back as if it had never been."""
    last = world.random.randint(0, world.last - 1)
    return _forge(world, last + 1, [dict(row) for row in world.rows[:last]])


PLAIN: dict[str, Mutation] = {
    **{f"a bit of {name}": text_bit(name) for name in TEXTS},
    **{f"a bit of {name}": number_bit(name) for name in NUMBERS},
    **{f"a bit of {name}": moment_bit("events_event", name) for name in MOMENTS},
    "a bit of event_id": event_id_bit,
    "a bit of hash": hash_bit,
    "a hash of another length": hash_of_other_length,
    "nothing instead of something": nothing,
    "a value of two million characters": huge,
    "one event deleted": delete_one,
    "some events deleted": delete_some,
    "all events deleted": delete_all,
    "the tail cut off": cut_tail,
    "two events swapped": swap,
    "an event doubled": duplicate,
    "an event copied elsewhere": duplicate_elsewhere,
    "an old event inserted": insert_old,
    "an event moved to another tenant": move_to_other,
    **{f"a bit of the head's {name}": head_bit(name) for name in ("seq", "hash", "prior_hash")},
    "a bit of the head's tenant": head_bit("tenant_id"),
    "a bit of the head's time": moment_bit("events_tenanthead", "recorded_at"),
    "nothing in the head": head_nothing,
    "the head deleted": head_gone,
    "another tenant's head": head_of_other,
    "a bit of the log's id": log_id_bit,
    "a bit of the slug": slug_bit,
    **({} if ON_POSTGRESQL else {"a value of another type": another_type}),
}
FORGED: dict[str, Mutation] = {
    "content forged": forge_content,
    "time forged": forge_time,
    "a deletion forged": forge_deletion,
    "an insertion forged": forge_insertion,
    "a swap forged": forge_swap,
    "the end forged": forge_end,
}
KINDS = PLAIN | FORGED
