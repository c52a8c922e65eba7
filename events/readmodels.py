"""Read models: tables that a projection keeps, as pure functions from an event to rows.

    class Task(msgspec.Struct):  a row as a value: its fields are the columns, the key first
    tasks = ReadModel("tasks", {Task: TaskRow}, project)

`project(event, known)` yields the rows that the event makes or changes, and touches nothing else:
`known(Task, "t-1")` is the row as it stands, or None. What the worker, a rebuild and a test do with
the rows is not its business. Rows of different streams must not depend on each other's order.

The table's model has the columns of the struct, and `tenant` and `generation`: a rebuild fills
another generation beside the live one, and readers ask `events.generations.live` for the one that
counts.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter
from typing import Any, Protocol, TypeVar

import msgspec
from django.db import models

Row = TypeVar("Row", bound=msgspec.Struct)
Key = tuple[Any, ...]


class Known(Protocol):
    """The rows as they stand while a batch is folded."""

    def __call__(self, table: type[Row], *key: Any) -> Row | None:
        """The row with this key, None when there is none."""


Project = Callable[[Any, Known], Iterable[msgspec.Struct]]
Touches = Callable[[Any], Iterable[tuple[type[msgspec.Struct], Key]]]
Finish = Callable[[Any], msgspec.Struct]


def _touches_nothing_known(event: Any) -> Iterable[tuple[type[msgspec.Struct], Key]]:
    return ()


class Kept(Protocol):
    """Which rows of one generation count; those that do not may be gone, or not yet."""

    def condition(self, table: type[msgspec.Struct]) -> models.Q:
        """Of a kind of row, for the database."""

    def counts(self, table: type[msgspec.Struct], key: Key) -> bool:
        """The same of one row, by its key."""


class Keeping(Protocol):
    """For how long a read model's rows are kept, where that is not for ever.

    From when on rows count is stored with the generation that they are of, and moves before a row
    is deleted: so no reader takes for complete what is not, a rebuild makes no row that does not
    count, and live rows are compared with rebuilt ones where both have them.
    """

    def begin(self, tenant: str, generation: int, *, like: int | None) -> None:
        """Of a new generation counts what counts of the one it is `like`, or, where that is None,
        what the tenant's settings say now."""

    def kept(self, tenant: str, generation: int) -> Kept:
        """As it is now."""

    def clear(self, tenant: str, *, keep: int) -> None:
        """Forget what was stored of other generations."""


@dataclass(frozen=True, slots=True)
class ReadModel:
    """name: of the projection that keeps it. tables: for each kind of row its Django model.

    key_size: how many fields at the beginning of each kind of row are its key (1 unless named).
    touches: the rows that an event will surely ask for, which are then read together; only a hint.
    finish: of a kind of row, what makes it fit for its table when a batch is written, so that in
    between it may be in a form that is cheap to change. It changes no key, leaves a finished row as
    it is, and never raises; what it makes must not depend on where a batch ends.
    keeping: where rows are not kept for ever.
    """

    name: str
    tables: Mapping[type[msgspec.Struct], type[models.Model]]
    project: Project
    key_sizes: Mapping[type[msgspec.Struct], int] | None = None
    touches: Touches = _touches_nothing_known
    finish: Mapping[type[msgspec.Struct], Finish] = field(default_factory=dict)
    keeping: Keeping | None = None

    def key_fields(self, table: type[msgspec.Struct]) -> tuple[str, ...]:
        size = (self.key_sizes or {}).get(table, 1)
        return table.__struct_fields__[:size]

    def key(self, row: msgspec.Struct) -> Key:
        table = type(row)
        return _key_getter(table, (self.key_sizes or {}).get(table, 1))(row)


@cache  # asked for each row that an event changes, so what can be known before is
def _key_getter(table: type[msgspec.Struct], size: int) -> Callable[[msgspec.Struct], Key]:
    first, *others = table.__struct_fields__[:size]
    if others:
        return attrgetter(first, *others)
    return lambda row: (getattr(row, first),)
