"""Rows that are not as the log tells them: one generation of a read model held against another."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from django.db import models

from events.readmodels import Kept, ReadModel

SHOWN = 60  # characters of a value in a message

Row = tuple[tuple[Any, ...], dict[str, Any]]  # its key and its values


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not as the log tells it; None where there is none, or should be none."""

    table: str
    tenant: str
    key: tuple[Any, ...]
    standing: dict[str, Any] | None
    told: dict[str, Any] | None

    def __str__(self) -> str:
        name = f"{self.tenant}: {self.table} {' '.join(map(str, self.key))}"
        if self.standing is None:
            return f"{name} has no row."
        if self.told is None:
            return f"{name} has a row that the log does not tell of."
        words = ", ".join(
            f"{column} is {_short(value)} instead of {_short(self.told[column])}"
            for column, value in self.standing.items()
            if value != self.told[column]
        )
        return f"{name}: {words}."


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def of_generation(
    model: type[models.Model], tenant: str, generation: int
) -> "models.QuerySet[Any]":
    return model._default_manager.filter(  # noqa: SLF001 -- documented
        tenant=tenant, generation=generation
    )


def differences(read_model: ReadModel, tenant: str, live: int, folded: int) -> Iterator[Difference]:
    """Between the generation that counts and one that was folded from the log just now; of the rows
    that are to be kept."""
    keeping = read_model.keeping
    kept = keeping.kept(tenant, live) if keeping else None
    for table, model in read_model.tables.items():
        standing = dict(_only_in(read_model, table, tenant, live, folded, kept))
        told = dict(_only_in(read_model, table, tenant, folded, live, kept))
        # What counts moves before rows go, so those that went meanwhile do not count any more.
        now = keeping.kept(tenant, live) if keeping else None
        for key in sorted({*standing, *told}, key=str):
            if now is None or now.counts(table, key):
                name = str(model._meta.verbose_name)
                yield Difference(name, tenant, key, standing.get(key), told.get(key))


def _only_in(
    read_model: ReadModel,
    table: type[msgspec.Struct],
    tenant: str,
    one: int,
    other: int,
    kept: Kept | None,
) -> Iterator[Row]:
    """The rows of one generation that the other has not, or not so; of those that count."""
    model = read_model.tables[table]
    names = table.__struct_fields__
    size = len(read_model.key_fields(table))
    counts = kept.condition(table) if kept else models.Q()
    rows = of_generation(model, tenant, one).filter(counts).values_list(*names)
    others = of_generation(model, tenant, other).filter(counts).values_list(*names)
    for row in rows.difference(others):
        values = [bytes(each) if isinstance(each, memoryview) else each for each in row]
        yield tuple(values[:size]), dict(zip(names[size:], values[size:], strict=True))
