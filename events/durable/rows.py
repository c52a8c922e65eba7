"""A read model's rows in the database: read when a batch asks for them, written after it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache, partial
from typing import Any, NamedTuple, TypeVar, cast

import msgspec
from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.models import Q

from events.facts import Fact
from events.generations import FIRST_GENERATION
from events.readmodels import Key, ReadModel

Row = TypeVar("Row", bound=msgspec.Struct)
Table = type[msgspec.Struct]
Address = tuple[Table, Key]

KEPT = 20_000  # rows in memory; those beyond are forgotten once they are written
ASKED_AT_ONCE = 200
WRITTEN_AT_ONCE = 500


class Rows:
    """The rows of one tenant and generation, as they will stand when `write` has been called.

    Good for as long as nobody else writes them: while the lease is held. begins_empty: whether the
    generation has no rows yet; the database is then asked for those alone that were written here
    and forgotten.
    """

    def __init__(
        self, read_model: ReadModel, tenant: str, generation: int, *, begins_empty: bool = False
    ) -> None:
        self._model = read_model
        self._tenant = tenant
        self._generation = generation
        self._rows: dict[Address, msgspec.Struct | None] = {}
        self._changed: dict[Address, None] = {}
        # As hashes, which are smaller than keys; two that are equal cost a needless question.
        self._kept: set[int] | None = set() if begins_empty else None
        # What is made anew makes nothing that does not count. The live one writes what comes late
        # for that: whoever deletes such rows comes again, and is asked for by every batch else.
        self._counting = (
            read_model.keeping.kept(tenant, generation)
            if begins_empty and read_model.keeping
            else None
        )
        self._yielded: dict[Address, msgspec.Struct] = {}  # of the event that is being folded

    def __call__(self, table: type[Row], *key: Any) -> Row | None:
        address = (table, key)
        if address in self._yielded:
            return cast("Row | None", self._yielded[address])
        if address not in self._rows:
            self._load([address])
        return cast("Row | None", self._rows[address])

    def prepare(self, events: Iterable[Fact]) -> None:
        """Read together what these events will surely ask for."""
        touches = self._model.touches
        asked: dict[Address, None] = {}
        for event in events:
            with suppress(Exception):  # a hint; what is wrong with an event shows when it is folded
                asked.update(dict.fromkeys(touches(event)))
        self._load([address for address in asked if address not in self._rows])

    def fold(self, event: Fact) -> None:
        """Take one event in, wholly or, when the projection raises, not at all."""
        key = self._model.key
        yielded = self._yielded
        yielded.clear()
        try:
            for row in self._model.project(event, self):
                yielded[type(row), key(row)] = row
            self._rows.update(yielded)
            self._changed.update(dict.fromkeys(yielded))
        finally:
            yielded.clear()

    def write(self) -> None:
        """Put what has changed into the database, in the caller's transaction."""
        by_table: dict[Table, list[msgspec.Struct]] = defaultdict(list)
        for address in self._changed:
            row = self._rows[address]
            if row is None or (self._counting and not self._counting.counts(*address)):
                continue
            finish = self._model.finish.get(address[0])
            if finish is not None:
                # Kept too: the next batch goes on from what a new worker would read.
                row = self._rows[address] = finish(row)
            by_table[address[0]].append(row)
        for table, rows in by_table.items():
            upsert(self._model, table, self._tenant, self._generation, rows)

    def written(self) -> None:
        """What was written has been committed."""
        if self._kept is not None:
            self._kept.update(map(hash, self._changed))
        self._changed.clear()
        if len(self._rows) > KEPT:
            self._rows.clear()

    def forget(self) -> None:
        """What was to be written is not, and will not be."""
        self._changed.clear()
        self._rows.clear()

    def _load(self, addresses: Sequence[Address]) -> None:
        by_table: dict[Table, list[Key]] = defaultdict(list)
        for address in addresses:
            if self._kept is None or hash(address) in self._kept:
                by_table[address[0]].append(address[1])
            else:
                self._rows[address] = None
        for table, keys in by_table.items():
            for start in range(0, len(keys), ASKED_AT_ONCE):
                part = keys[start : start + ASKED_AT_ONCE]
                found = dict(self._read(table, part))
                # Only now: of what could not be read nobody may believe that it is not there.
                self._rows.update(((table, key), found.get(key)) for key in part)

    def _read(self, table: Table, keys: Sequence[Key]) -> Iterator[tuple[Key, msgspec.Struct]]:
        model = self._model.tables[table]
        rows = model._default_manager.filter(  # noqa: SLF001 -- documented
            _among(self._model.key_fields(table), keys),
            tenant=self._tenant,
            generation=self._generation,
        ).values_list(*table.__struct_fields__)
        make: Callable[..., msgspec.Struct] = _maker(model, table)
        for values in rows:
            row = make(values)
            yield self._model.key(row), row


def fold_alone(read_model: ReadModel, event: Fact) -> None:
    """Fold one event into the first generation, in the caller's transaction: for buses of tests."""
    if event.envelope is None:
        raise ValueError(f"{read_model.name} needs events that have been in a log.")
    rows = Rows(read_model, event.envelope.tenant, FIRST_GENERATION)
    rows.fold(event)
    rows.write()


def _maker(model: type[models.Model], table: Table) -> Callable[[Sequence[Any]], msgspec.Struct]:
    """Structs out of values; binary columns come as memoryviews from one engine."""
    names = table.__struct_fields__
    binary = [name for name in names if isinstance(model._meta.get_field(name), models.BinaryField)]

    def make(values: Sequence[Any]) -> msgspec.Struct:
        whole = dict(zip(names, values, strict=True))
        for each in binary:
            whole[each] = None if whole[each] is None else bytes(whole[each])
        return table(**whole)

    return make


def _among(fields: Sequence[str], keys: Sequence[Key]) -> Q:
    """Any of the keys: of those that differ in their last field alone one condition."""
    if len(fields) == 1:
        return Q(**{f"{fields[0]}__in": [key[0] for key in keys]})
    grouped: dict[Key, list[Any]] = defaultdict(list)
    for key in keys:
        grouped[key[:-1]].append(key[-1])
    conditions = [
        Q(**dict(zip(fields[:-1], begin, strict=True)), **{f"{fields[-1]}__in": last})
        for begin, last in grouped.items()
    ]
    return Q(*conditions, _connector=Q.OR)


class _Upsert(NamedTuple):
    """One statement of an engine, and what turns a row's value into what it takes."""

    sql: str
    adapt: tuple[Callable[[Any], Any] | None, ...]


def upsert(
    read_model: ReadModel,
    table: Table,
    tenant: str,
    generation: int,
    rows: Sequence[msgspec.Struct],
) -> None:
    """Insert the rows, or replace those with the same keys. Keys must not repeat."""
    model = read_model.tables[table]
    statement = _statement(model, table.__struct_fields__, read_model.key_fields(table))
    columns = [
        [value if adapt is None else adapt(value) for value in (getattr(row, name) for row in rows)]
        for name, adapt in zip(table.__struct_fields__, statement.adapt, strict=True)
    ]
    for start in range(0, len(rows), WRITTEN_AT_ONCE):
        part = [column[start : start + WRITTEN_AT_ONCE] for column in columns]
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(statement.sql, [tenant, generation, *part])
            else:
                cursor.executemany(
                    statement.sql,
                    [(tenant, generation, *values) for values in zip(*part, strict=True)],
                )


@cache
def _statement(model: type[models.Model], names: tuple[str, ...], key: tuple[str, ...]) -> _Upsert:
    database = connections[DEFAULT_DB_ALIAS]
    quote = database.ops.quote_name
    fields: list[Any] = [model._meta.get_field(name) for name in names]
    columns = [quote(field.column) for field in fields]
    target = ", ".join(["tenant_id", "generation", *columns[: len(key)]])
    replaced = ", ".join(f"{column} = excluded.{column}" for column in columns[len(key) :])
    then = f"DO UPDATE SET {replaced}" if replaced else "DO NOTHING"
    into = (
        f"INSERT INTO {quote(model._meta.db_table)} (tenant_id, generation, {', '.join(columns)})"
    )
    if database.vendor == "postgresql":
        types = [_type_of(field, database) for field in fields]
        arrays = ", ".join(f"%s::{each}[]" for each in types)
        return _Upsert(
            f"{into} SELECT %s::text, %s::integer, given.* FROM unnest({arrays}) AS given "
            f"ON CONFLICT ({target}) {then}",
            tuple(_array_adapter(field, database) for field in fields),
        )
    marks = ", ".join(["%s"] * (len(fields) + 2))
    return _Upsert(
        f"{into} VALUES ({marks}) ON CONFLICT ({target}) {then}",
        tuple(_adapter(field, database) for field in fields),
    )


def _type_of(field: Any, database: Any) -> str:
    # Without a length: a cast to varchar(9) cuts without a word what an assignment to it refuses.
    return str(field.db_type(database)).partition("(")[0]


def _array_adapter(field: Any, database: Any) -> Callable[[Any], Any] | None:
    """None where psycopg makes an array of such values as they are: all of exactly one type."""
    if isinstance(field, models.FloatField | models.IntegerField):
        prepared: Callable[[Any], Any] = field.get_prep_value  # 7 and 7.5 are of two
        return prepared
    if isinstance(field, models.JSONField):
        return lambda value: field.get_db_prep_save(value, connection=database)
    if isinstance(field, models.CharField | models.TextField):
        return partial(_plain_text, field)
    return None


def _plain_text(field: Any, value: Any) -> str | None:
    """A member of an enumeration is a text, too, but of another type."""
    if value is None or type(value) is str:
        return value
    return str.__str__(field.get_prep_value(value))


def _adapter(field: Any, database: Any) -> Callable[[Any], Any] | None:
    """None where SQLite takes the value as it is."""
    plain = (models.CharField, models.TextField, models.IntegerField, models.FloatField)
    if isinstance(field, plain):
        return None
    return lambda value: field.get_db_prep_save(value, connection=database)
