"""A read model's rows in the database: read when a batch asks for them, written after it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache
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

    Good for as long as nobody else writes them: while the lease is held.
    """

    def __init__(self, read_model: ReadModel, tenant: str, generation: int) -> None:
        self._model = read_model
        self._tenant = tenant
        self._generation = generation
        self._rows: dict[Address, msgspec.Struct | None] = {}
        self._changed: dict[Address, None] = {}

    def __call__(self, table: type[Row], *key: Any) -> Row | None:
        address = (table, key)
        try:
            return cast("Row | None", self._rows[address])
        except KeyError:
            self._load([address])
        return cast("Row | None", self._rows[address])

    def prepare(self, events: Iterable[Fact]) -> None:
        """Read together what these events will surely ask for."""
        touches = self._model.touches
        asked: dict[Address, None] = {}
        for event in events:
            for address in touches(event):
                if address not in self._rows:
                    asked[address] = None
        self._load(list(asked))

    def fold(self, event: Fact) -> None:
        """Take one event in, wholly or, when the projection raises, not at all."""
        key = self._model.key
        for row in list(self._model.project(event, self)):
            address = (type(row), key(row))
            self._rows[address] = row
            self._changed[address] = None

    def write(self) -> None:
        """Put what has changed into the database, in the caller's transaction."""
        by_table: dict[Table, list[msgspec.Struct]] = defaultdict(list)
        for address in self._changed:
            row = self._rows[address]
            if row is None:
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
        self._changed.clear()
        if len(self._rows) > KEPT:
            self._rows.clear()

    def _load(self, addresses: Sequence[Address]) -> None:
        by_table: dict[Table, list[Key]] = defaultdict(list)
        for table, key in addresses:
            by_table[table].append(key)
            self._rows[table, key] = None
        for table, keys in by_table.items():
            for start in range(0, len(keys), ASKED_AT_ONCE):
                self._read(table, keys[start : start + ASKED_AT_ONCE])

    def _read(self, table: Table, keys: Sequence[Key]) -> None:
        model = self._model.tables[table]
        rows = model._default_manager.filter(  # noqa: SLF001 -- documented
            _among(self._model.key_fields(table), keys),
            tenant=self._tenant,
            generation=self._generation,
        ).values_list(*table.__struct_fields__)
        make: Callable[..., msgspec.Struct] = _maker(model, table)
        for values in rows:
            row = make(values)
            self._rows[table, self._model.key(row)] = row


def fold_alone(read_model: ReadModel, event: Fact) -> None:
    """Fold one event into the first generation, in the caller's transaction: for buses of tests."""
    if event.envelope is None:
        raise ValueError(f"{read_model.name} needs events that have been in a log.")
    rows = Rows(read_model, event.envelope.tenant, FIRST_GENERATION)
    rows.fold(event)
    rows.write()


def _maker(model: type[models.Model], table: Table) -> Callable[[Sequence[Any]], msgspec.Struct]:
    """Structs out of values; binary columns come as memoryviews from one engine."""
    fields = [model._meta.get_field(name) for name in table.__struct_fields__]
    binary = [place for place, each in enumerate(fields) if isinstance(each, models.BinaryField)]

    def make(values: Sequence[Any]) -> msgspec.Struct:
        if not binary:
            return table(*values)
        whole = list(values)
        for place in binary:
            whole[place] = None if whole[place] is None else bytes(whole[place])
        return table(*whole)

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
            (None,) * len(fields),
        )
    marks = ", ".join(["%s"] * (len(fields) + 2))
    return _Upsert(
        f"{into} VALUES ({marks}) ON CONFLICT ({target}) {then}",
        tuple(_adapter(field, database) for field in fields),
    )


def _type_of(field: Any, database: Any) -> str:
    return str(field.db_type(database)).partition(" CHECK")[0]


def _adapter(field: Any, database: Any) -> Callable[[Any], Any] | None:
    """None where SQLite takes the value as it is."""
    plain = (models.CharField, models.TextField, models.IntegerField, models.FloatField)
    if isinstance(field, plain):
        return None
    return lambda value: field.get_db_prep_save(value, connection=database)
