"""Events as CSV (RFC 4180) for spreadsheets: UTF-8 with a byte order mark, a row of column names,
a row for each event.

A spreadsheet takes a cell that begins like a formula for one, quoted or not, and a payload may be
anybody's. So such a cell gets an apostrophe before it, and so does one that begins with an
apostrophe already: whoever takes one leading apostrophe away has what was stored.
"""

import csv
import re
from collections.abc import Iterable
from io import StringIO

from events.transfer.format import COLUMNS, Line

_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"  # without it Excel reads UTF-8 as something else
# What begins a formula, also in East Asian width and after blanks, which some programs cut off.
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n']")


def beginning() -> bytes:
    return (_BOM + _written([COLUMNS])).encode()


def rows(lines: Iterable[Line]) -> bytes:
    return _written([cell(getattr(line, column)) for column in COLUMNS] for line in lines).encode()


def cell(value: object) -> str:
    """A value as its cell; null is an empty one."""
    text = "" if value is None else str(value)
    return f"'{text}" if _FORMULA.match(text) else text


def value_of(text: str) -> str:
    """The text of which `cell` made this one; what has no apostrophe before a formula's beginning
    stays as it is."""
    bare = text.removeprefix("'")
    return bare if bare != text and _FORMULA.match(bare) else text


def _written(table: Iterable[Iterable[str]]) -> str:
    buffer = StringIO()
    csv.writer(buffer).writerows(table)
    return buffer.getvalue()
