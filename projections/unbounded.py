"""A column for whole numbers of any size."""

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    _Field = models.Field[int, int]
else:  # which Django's own class cannot be asked when it runs
    _Field = models.Field


class UnboundedIntegerField(_Field):
    """An integer, kept as its digits, since no number of SQLite's holds the sum of two that just
    fit into 64 bits. The database cannot compare or add them: Python does."""

    def get_internal_type(self) -> str:
        return "TextField"

    def get_prep_value(self, value: Any) -> Any:
        return str(value)

    def from_db_value(self, value: str, *_: Any) -> int:
        return int(value)

    def to_python(self, value: Any) -> Any:
        return int(value)
