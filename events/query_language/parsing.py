"""From the text of a query to its value, or to all that is wrong with it."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from events.query_language.faults import BadQuery, Fault, meant, nearest
from events.query_language.query import MAX_SEQ, NAMES, Hours, Name, Names, Query, Seqs, quoted
from events.query_language.terms import Piece, Term, Unreadable, terms
from events.query_language.when import When

LONGEST = 1_000  # characters; what an address and a saved view hold
FIELDS = (*NAMES, "since", "until", "seq", "hours")

_SEQ = re.compile(r"[0-9]{1,19}")


def parse(text: str, types: Sequence[str]) -> Query:
    """types: those that exist; a type that none of them fits is a fault. Raises BadQuery."""
    if len(text) > LONGEST:
        raise BadQuery(
            [Fault(LONGEST, len(text), f"A query has {LONGEST:,} characters at most. Shorten it.")]
        )
    if (nul := text.find("\0")) >= 0:
        raise BadQuery([Fault(nul, nul + 1, "No event holds a NUL character. Take it out.")])
    reading = _Reading(types)
    try:
        for term in terms(text):
            reading.take(term)
    except Unreadable as unreadable:
        reading.faults.append(unreadable.fault)
    if reading.faults:
        raise BadQuery(reading.faults)
    return Query(**reading.values)


class _Reading:
    """What the terms up to here have said."""

    def __init__(self, types: Sequence[str]) -> None:
        self.types = types
        self.values: dict[str, Any] = {}
        self.faults: list[Fault] = []
        self._seen: set[str] = set()

    def take(self, term: Term) -> None:
        if term.field is None:
            self._text(term)
        elif term.field not in FIELDS:
            self._unknown(term)
        elif self._stands_alone(term):
            if term.field in NAMES:
                self._names(term)
            else:
                self._one(term)

    def _fault(self, start: int, end: int, message: str) -> None:
        self.faults.append(Fault(start, end, message))

    def _add(self, key: str, more: tuple[Any, ...]) -> None:
        there = self.values.get(key, ())
        self.values[key] = (*there, *(each for each in dict.fromkeys(more) if each not in there))

    def _text(self, term: Term) -> None:
        (piece,) = term.pieces
        if "*" in piece.text and not piece.was_quoted:
            self._fault(
                piece.start,
                piece.end,
                "Text is found wherever it stands, so it needs no `*`. "
                f"{quoted(piece.text)} is that very text.",
            )
        self._add("not_text" if term.negated else "text", (piece.text,))

    def _unknown(self, term: Term) -> None:
        field = term.field or ""
        offers = [f"{each}:" for each in nearest(field, FIELDS)]
        if not offers and field in ("user", "token", "system"):
            offers = [f"actor:{field}:"]
        instead = meant(offers) or f" The fields are {', '.join(FIELDS)}."
        begin = term.start + term.negated
        self._fault(
            begin,
            begin + len(field) + 1,
            f"`{field}:` is no field.{instead} To find it as text, put it between quotation marks.",
        )

    def _stands_alone(self, term: Term) -> bool:
        """Whether no other term says something of the field; what it must not be adds up."""
        field = term.field or ""
        if term.negated and field in NAMES:
            return True
        if field not in self._seen:
            self._seen.add(field)
            return True
        example = "" if field not in NAMES else f" Put alternatives behind commas: `{field}:a,b`."
        self._fault(term.start, term.end, f"`{field}:` stands twice.{example or ' Keep one.'}")
        return False

    def _names(self, term: Term) -> None:
        field, found = term.field or "", []
        for piece in term.pieces:
            if not piece.was_quoted and "*" in piece.text:
                place = piece.start + piece.text.index("*")
                whole = quoted(piece.text + "*" * piece.starred)
                self._fault(
                    place,
                    place + 1,
                    f"`*` may stand only at the end of a value; {whole} is that very text.",
                )
            elif not piece.text and not piece.starred:
                self._fault(piece.start, piece.end, f"A value is missing in `{field}:`.")
            elif field != "type" or self._is_a_type(piece):
                found.append(Name(piece.text, piece.starred))
        names: Names = tuple(found)
        self._add(f"not_{field}" if term.negated else field, names)

    def _is_a_type(self, piece: Piece) -> bool:
        text = piece.text
        if piece.starred:
            if any(each.startswith(text) for each in self.types):
                return True
            cut = list(dict.fromkeys(each[: len(text)] for each in self.types))
            offers = [f"{each}*" for each in nearest(text, cut)]
        else:
            if text in self.types:
                return True
            beginning = [each for each in self.types if each.startswith(text)]
            offers = [f"{text}*"] if beginning else nearest(text, self.types)
        shown = f"{text}*" if piece.starred else text
        instead = meant(offers) or " The list under `type:` has those there are."
        self._fault(piece.start, piece.end, f"`{shown}` fits no type of event.{instead}")
        return False

    def _one(self, term: Term) -> None:
        field = term.field or ""
        if len(term.pieces) > 1:
            self._fault(term.start, term.end, f"`{field}:` takes one value, and no comma.")
            return
        (piece,) = term.pieces
        if term.negated and field != "hours":
            instead = {"since": " Write `until:`.", "until": " Write `since:`."}.get(field, "")
            self._fault(term.start, term.start + 1, f"`{field}:` cannot be turned round.{instead}")
            return
        text = piece.text + "*" * piece.starred
        try:
            self.values[field] = _READ[field](text)
        except ValueError as error:
            self._fault(piece.start, piece.end, f"`{field}:` {error}")
            return
        if field == "hours" and term.negated:
            self.values[field] = Hours.WORK if self.values[field] is Hours.OFF else Hours.OFF


def _hours(text: str) -> Hours:
    if text not in list(Hours):
        raise ValueError("must be `off` (outside working hours) or `work` (within them).")
    return Hours(text)


def _seqs(text: str) -> Seqs:
    first, dots, last = text.partition("..")
    low, high = _seq(first), _seq(last) if dots else _seq(first)
    if low is None and high is None:
        raise ValueError("must be a number or a range: `42`, `42..99`, `42..`, `..99`.")
    if low is not None and high is not None and low > high:
        raise ValueError(f"ends before it begins. Swap the two: `{high}..{low}`.")
    return Seqs(low, high)


def _seq(text: str) -> int | None:
    if not text:
        return None
    if not _SEQ.fullmatch(text) or not 1 <= int(text) <= MAX_SEQ:
        raise ValueError("must be a number or a range: `42`, `42..99`, `42..`, `..99`.")
    return int(text)


_READ: Mapping[str, Callable[[str], Any]] = {
    "since": When.of,
    "until": When.of,
    "seq": _seqs,
    "hours": _hours,
}
