"""Rows that are true on return: written by the very statement that appends the events.

The agents' current rows, task claims and idempotency keys are such rows. Each is described as a
value here, and compiled by the engine into an arm of its statement, so that the rows and the events
are one round trip, one transaction and one fate.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from django.db import models


class How(Enum):
    INSERT = "insert"  # a row with this key must not exist
    UPDATE = "update"  # it must exist, and match `only_if`
    UPSERT = "upsert"  # made or replaced; an existing one must match `only_if`


@dataclass(frozen=True, slots=True)
class Put:
    """One row of `model`, to be written with the events.

    key: the columns of a unique constraint (attnames); values: the other columns. `seq_column` gets
    the seq of the proposal's last event, or of the one that `events_after` others come after.
    `only_if` pins columns of the row as it stands. When the row cannot be written so, nothing is,
    and `RowRefused` names this very object.
    """

    model: type[models.Model]
    how: How
    key: Mapping[str, Any]
    values: Mapping[str, Any]
    seq_column: str | None = None
    only_if: Mapping[str, Any] = field(default_factory=dict)
    events_after: int = 0

    @property
    def shape(self) -> "Shape":
        return Shape(
            self.model,
            self.how,
            tuple(self.key),
            tuple(self.values),
            self.seq_column,
            tuple(self.only_if),
        )

    def parameters(self, seq: int) -> list[Any]:
        """The values in the order in which an engine's statement for `shape` takes them; `seq` is
        what it takes for the seq column, when there is one."""
        seqs = (seq,) if self.seq_column else ()
        return [*self.key.values(), *self.values.values(), *seqs, *self.only_if.values()]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a statement for a `Put` looks like, whatever the values: a statement cache's key."""

    model: type[models.Model]
    how: How
    key: tuple[str, ...]
    values: tuple[str, ...]
    seq_column: str | None
    only_if: tuple[str, ...]

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.key, *self.values, *self.only_if)
