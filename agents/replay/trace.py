"""A trace file: CSV in UTF-8 with the columns TIMESTAMP, ContextTokens and GeneratedTokens.

Further columns are ignored; a byte order mark, CRLF and a last line without a newline are normal.
Times are kept as they are written; for the gaps between arrivals they count to the microsecond.
"""

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
MAX_TOKENS = 10_000_000  # many times what any model takes
MAX_LINE_BYTES = 64 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
_WHOLE = re.compile(r"\d+", re.ASCII)


class BadTrace(Exception):
    """The file is no trace; the message is one line that names the file and the line."""

    def __init__(self, path: Path, wrong: str, line: int | None = None) -> None:
        place = f"{path}, line {line}" if line else str(path)
        super().__init__(f"{place}: {wrong}")


class Request(NamedTuple):
    """One row. arrived_at: aware, without an offset UTC; timestamp: the same as it is written."""

    line: int
    timestamp: str
    arrived_at: datetime
    context_tokens: int
    generated_tokens: int


def check(path: Path) -> int:
    """Read the whole file and return how many requests it has. Raises BadTrace."""
    count = sum(1 for _ in requests(path))
    if not count:
        raise BadTrace(path, "it has no rows below its header.")
    return count


def requests(path: Path) -> Iterator[Request]:
    """The requests in the file's order, a line at a time. Raises BadTrace at the first bad row."""
    places: tuple[int, ...] = ()
    fields = 0
    for line, text in _lines(path):
        values = _values(path, line, text)
        if not fields:
            places, fields = _places(path, line, values), len(values)
            continue
        if len(values) != fields:
            raise BadTrace(path, f"it has {len(values)} fields instead of {fields}.", line)
        timestamp, context, generated = (values[place] for place in places)
        yield Request(
            line,
            timestamp,
            _moment(path, line, timestamp),
            _tokens(path, line, COLUMNS[1], context),
            _tokens(path, line, COLUMNS[2], generated),
        )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that hold something, with their numbers; blank ones may only stand at the end."""
    if not path.exists():
        raise BadTrace(path, "there is no such file.")
    if not path.is_file():
        raise BadTrace(path, "it is no regular file.")
    blank = None
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                text = _text(path, number, line)
                if not text:
                    blank = blank or number
                    continue
                if blank:
                    raise BadTrace(path, "it is blank.", blank)
                yield number, text
    except OSError as error:
        raise BadTrace(path, f"it cannot be read: {error.strerror}.") from error
    if not number or blank == 1:
        raise BadTrace(path, "it is empty.")


def _text(path: Path, number: int, line: bytes) -> str:
    if number == 1:
        line = line.removeprefix(_BYTE_ORDER_MARK)
    if len(line) > MAX_LINE_BYTES:
        raise BadTrace(path, f"it is longer than {MAX_LINE_BYTES} bytes; this is no trace.", number)
    if b"\0" in line:
        raise BadTrace(path, "it holds a NUL byte; this is no text.", number)
    try:
        return line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise BadTrace(path, "it is not UTF-8.", number) from None


def _values(path: Path, line: int, text: str) -> list[str]:
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise BadTrace(path, f"it is no CSV: {error}.", line) from None


def _places(path: Path, line: int, header: list[str]) -> tuple[int, ...]:
    names = [name.strip() for name in header]
    for column in COLUMNS:
        if names.count(column) != 1:
            how_often = "twice" if column in names else "missing"
            raise BadTrace(
                path,
                f"the column {column} is {how_often}; the header is {','.join(COLUMNS)}.",
                line,
            )
    return tuple(names.index(column) for column in COLUMNS)


def _moment(path: Path, line: int, text: str) -> datetime:
    if _MOMENT.fullmatch(text):
        try:
            moment = datetime.fromisoformat(text)
            return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise BadTrace(
        path, f"TIMESTAMP is {_quoted(text)}, not a time like 2023-11-16 18:17:03.9799600.", line
    )


def _tokens(path: Path, line: int, column: str, text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise BadTrace(path, f"{column} is {_quoted(text)}, not a whole number from 0.", line)
    if len(text) > len(str(MAX_TOKENS)) or int(text) > MAX_TOKENS:
        raise BadTrace(path, f"{column} is {_quoted(text)}, more than {MAX_TOKENS:,}.", line)
    return int(text)


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")  # noqa: PLR2004 -- one line
