"""What a filter asks for: alternatives between commas, a * only at the end of one."""

from dataclasses import dataclass

from django.db.models import F, Q, Value
from django.db.models.functions import Left
from django.db.models.lookups import Exact


class BadPattern(ValueError):
    """The filter's text means nothing; the message says what it must be."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Texts that are asked for: whole ones, or the beginnings that stood before a *."""

    exact: tuple[str, ...]
    beginnings: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Pattern":
        """Raises BadPattern."""
        alternatives = text.split(",")
        if not all(alternatives):
            raise BadPattern("must have something between its commas.")
        if any("*" in each[:-1] for each in alternatives):
            raise BadPattern("may have a * only at the end.")
        return cls(
            tuple(each for each in alternatives if not each.endswith("*")),
            tuple(each[:-1] for each in alternatives if each.endswith("*")),
        )

    @property
    def single(self) -> str | None:
        """The one whole text, when nothing else is asked for."""
        return self.exact[0] if len(self.exact) == 1 and not self.beginnings else None

    def fits(self, text: str) -> bool:
        return text in self.exact or any(text.startswith(each) for each in self.beginnings)

    def condition(self, column: str) -> Q:
        # Not LIKE, to which SQLite's letters have no case.
        found = Q(**{f"{column}__in": self.exact})
        for beginning in self.beginnings:
            if not beginning:
                return Q()
            found |= Q(Exact(Left(F(column), len(beginning)), Value(beginning)))
        return found
