"""A query as a value, and as the text that means it."""

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from events.query_language.when import When

NAMES = ("type", "agent", "actor", "correlation", "causation")  # the fields that hold names
MAX_SEQ = 2**63 - 1
QUOTE = '"'


class Hours(StrEnum):
    """When on the clock of the tenant: outside working hours, or within them."""

    OFF = "off"
    WORK = "work"


@dataclass(frozen=True, slots=True)
class Name:
    """One alternative: a whole name, or with `begins` whatever begins so."""

    text: str
    begins: bool = False

    def fits(self, text: str) -> bool:
        return text.startswith(self.text) if self.begins else text == self.text

    def __str__(self) -> str:
        plain = self.text and not any(each in ',"*' or each.isspace() for each in self.text)
        shown = self.text if plain or (self.begins and not self.text) else quoted(self.text)
        return f"{shown}*" if self.begins else shown


@dataclass(frozen=True, slots=True)
class Seqs:
    """Places of the log, both bounds included; None is open."""

    first: int | None
    last: int | None

    def __str__(self) -> str:
        if self.first == self.last:
            return str(self.first)
        return (
            f"{'' if self.first is None else self.first}..{'' if self.last is None else self.last}"
        )


Names = tuple[Name, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked for; empty means any. not_…: what it must not be. text: each must be found."""

    type: Names = ()
    agent: Names = ()
    actor: Names = ()
    correlation: Names = ()
    causation: Names = ()
    not_type: Names = ()
    not_agent: Names = ()
    not_actor: Names = ()
    not_correlation: Names = ()
    not_causation: Names = ()
    since: When | None = None
    until: When | None = None
    seq: Seqs | None = None
    hours: Hours | None = None
    text: tuple[str, ...] = ()
    not_text: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(getattr(self, each.name) for each in fields(self))

    def __str__(self) -> str:
        terms = []
        for name in NAMES:
            for sign, names in (("", self.only(name)), ("-", self.without(name))):
                if names:
                    terms.append(f"{sign}{name}:{','.join(map(str, names))}")
        if self.since:
            terms.append(f"since:{self.since.text}")
        if self.until:
            terms.append(f"until:{self.until.text}")
        if self.seq:
            terms.append(f"seq:{self.seq}")
        if self.hours:
            terms.append(f"hours:{self.hours}")
        terms += map(_word, self.text)
        terms += (f"-{_word(text)}" for text in self.not_text)
        return " ".join(terms)

    def only(self, name: str) -> Names:
        """What the field of this name (one of NAMES) must be."""
        found: Names = getattr(self, name)
        return found

    def without(self, name: str) -> Names:
        """What the field of this name (one of NAMES) must not be."""
        found: Names = getattr(self, f"not_{name}")
        return found

    def narrowed_to(self, name: str, value: str) -> "Query":
        """The query that wants this one value of the field, beside all else it wants."""
        changed: dict[str, Any] = {name: (Name(value),)}
        return replace(self, **changed)

    def excluding(self, name: str, value: str) -> "Query":
        """The query that wants all that this one does but events with this value of the field."""
        out = Name(value)
        left = tuple(each for each in self.only(name) if each != out)
        kept = tuple(each for each in self.without(name) if each != out)
        changed: dict[str, Any] = {name: left, f"not_{name}": (*kept, out)}
        return replace(self, **changed)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace(QUOTE, f"\\{QUOTE}")
    return f"{QUOTE}{escaped}{QUOTE}"


def _word(text: str) -> str:
    """Text as it is typed: in quotes where it would mean something else without."""
    special = any(each in ':"*' or each.isspace() for each in text) or text.startswith("-")
    return quoted(text) if special else text
