"""Cutting the text of a query into terms, each with its place."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from events.query_language.faults import Fault
from events.query_language.query import QUOTE

# What stands before the colon of a field; anything else that holds one is text.
_FIELD = re.compile(r"([A-Za-z_]+):")


@dataclass(frozen=True, slots=True)
class Piece:
    """An alternative of a value, or a text: what it says, unquoted, and where it stands.

    starred: a * stands behind it. was_quoted: between quotation marks, where * and - are letters.
    """

    text: str
    start: int
    end: int
    was_quoted: bool
    starred: bool = False


@dataclass(frozen=True, slots=True)
class Term:
    """`-field:a,b*`, or a text, whose field is None. start … end: in the query's text."""

    field: str | None
    negated: bool
    pieces: tuple[Piece, ...]
    start: int
    end: int


class Unreadable(Exception):
    """The text cannot be cut here; nothing behind it is looked at."""

    def __init__(self, start: int, end: int, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(start, end, message)


def terms(text: str) -> Iterator[Term]:
    """Raises Unreadable."""
    place = 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        term = _term(text, place)
        yield term
        place = term.end


def _term(text: str, start: int) -> Term:
    negated = text[start] == "-"
    place = start + negated
    if place == len(text) or text[place].isspace():
        raise Unreadable(
            start, place, "`-` leaves out what follows it without a blank, such as `-type:…`."
        )
    if (name := _FIELD.match(text, place)) is None:
        piece = _text(text, place)
        return Term(None, negated, (piece,), start, piece.end)
    pieces = []
    place = name.end()
    while True:
        piece = _alternative(text, place, name[1])
        pieces.append(piece)
        place = piece.end
        if text[place : place + 1] != ",":
            break
        place += 1
    return Term(name[1], negated, tuple(pieces), start, place)


def _text(text: str, start: int) -> Piece:
    if text[start] == QUOTE:
        piece = _quoted(text, start)
        _end_of_word(text, piece.end)
        if not piece.text:
            raise Unreadable(start, piece.end, "There is no text between the quotation marks.")
        return piece
    end = start
    while end < len(text) and not text[end].isspace():
        _no_quote_inside(text, end)
        end += 1
    return Piece(text[start:end], start, end, was_quoted=False)


def _alternative(text: str, start: int, field: str) -> Piece:
    if text[start : start + 1] == QUOTE:
        piece = _quoted(text, start)
        starred = text[piece.end : piece.end + 1] == "*"
        end = piece.end + starred
        if text[end : end + 1] != ",":
            _end_of_word(text, end)
        return Piece(piece.text, start, end, was_quoted=True, starred=starred)
    end = start
    while end < len(text) and not text[end].isspace() and text[end] != ",":
        _no_quote_inside(text, end)
        end += 1
    if end == start:
        raise Unreadable(
            start, end, f"A value is missing in `{field}:`. Write one, such as `{field}:a`."
        )
    found = text[start:end]
    starred = found.endswith("*")
    return Piece(found[:-1] if starred else found, start, end, was_quoted=False, starred=starred)


def _quoted(text: str, start: int) -> Piece:
    """The words from the mark at `start` to the one that ends them. \\ makes a mark a letter."""
    said: list[str] = []
    place = start + 1
    while place < len(text):
        letter = text[place]
        if letter == QUOTE:
            return Piece("".join(said), start, place + 1, was_quoted=True)
        if letter == "\\" and text[place + 1 : place + 2] in (QUOTE, "\\"):
            place += 1
            letter = text[place]
        said.append(letter)
        place += 1
    raise Unreadable(
        start, len(text), f"The quotation mark is never closed. Put a second {QUOTE} where it ends."
    )


def _no_quote_inside(text: str, place: int) -> None:
    if text[place] == QUOTE:
        raise Unreadable(
            place,
            place + 1,
            "A quotation mark may not stand within a word. Put the whole of it between two, and "
            f"write \\{QUOTE} for the mark itself.",
        )


def _end_of_word(text: str, place: int) -> None:
    if place < len(text) and not text[place].isspace():
        raise Unreadable(
            place, place + 1, "After the closing quotation mark a blank must follow, or the end."
        )
