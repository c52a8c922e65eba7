"""Agents from a CSV file, as spreadsheets and people write them: what each line means, or what is
wrong with it, where, and what to do. Nothing here asks the database.

The whole file is read, however much of it is wrong, so that a person mends it once.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from django.core.exceptions import ValidationError

from agents.domain import limits
from agents.domain.errors import InvalidCommand
from agents.fleet_commands import MOST_AGENTS
from agents.pages.creation import DEFAULT_TIMEOUT_SECONDS
from events.pages.fields import JSONText
from events.transfer import spreadsheet
from events.vocabulary import Capability

MOST_BYTES = 1024 * 1024
REQUIRED = ("name", "capabilities")
DELIMITERS = ",;\t"
SHOWN = 40  # characters of what is wrong
MAX_DIGITS = 9

YES, NO = ("yes", "true", "1", "x"), ("no", "false", "0", "")
# What spreadsheets write where a formula came to nothing.
_BROKEN = re.compile(r"#(REF!|N/A|NAME\?|VALUE!|DIV/0!|NUM!|NULL!|SPILL!|CALC!)")
_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
_BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class Unreadable(ValueError):
    """The file as a whole is none that lines can be told of; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in a line, and what it must be. column: empty for the line as a whole."""

    line: int
    column: str
    detail: str


@dataclass(frozen=True, slots=True)
class Row:
    """One agent. values: as `agents.services.create_agent` takes them, but for the tenant."""

    line: int
    values: Mapping[str, Any]
    activate: bool


@dataclass(slots=True)
class Sheet:
    """A file that was read. notes: what is right, and may not be what was meant."""

    rows: list[Row] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    notes: list[Fault] = field(default_factory=list)


def text_of(raw: bytes) -> str:
    """The file's text, with line feeds alone. Raises Unreadable."""
    if len(raw) > MOST_BYTES:
        raise Unreadable(f"It has more than {MOST_BYTES:,} bytes. Import it in parts.")
    encoding = _BOMS.get(raw[:2], "utf-8-sig")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise Unreadable(
            f"Line {line} is not UTF-8 (byte {raw[error.start]:#04x}). "
            "Save the file as “CSV UTF-8” and import it again."
        ) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise Unreadable(f"Line {line} holds a NUL character. Save the file as “CSV UTF-8”.")
    text = text.removeprefix(_BOM)  # of what was typed, which was a file once
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read(text: str) -> Sheet:
    """What the text means, line by line. Raises Unreadable where that cannot be told."""
    sheet = Sheet()
    lines = _cells(text, sheet)
    header = next(lines, None)
    if header is None:
        raise Unreadable(
            f"The file is empty. Its first line names the columns: {', '.join(COLUMNS)}."
        )
    columns = _columns(*header)
    seen: dict[str, int] = {}
    agents = 0
    for line, cells in lines:
        agents += 1
        if agents > MOST_AGENTS:
            raise Unreadable(
                f"The file has more than {MOST_AGENTS:,} agents, which is the most of one import. "
                f"Line {line} is the first too many."
            )
        row = _row(line, columns, cells, sheet)
        agent_id = row.values.get("agent_id") if row else None
        if row is None:
            continue
        if agent_id in seen:
            detail = f"stands in line {seen[agent_id]} already. Give each agent an id of its own."
            sheet.faults.append(Fault(line, "agent_id", f"{agent_id} {detail}"))
            continue
        if agent_id is not None:
            seen[agent_id] = line
        sheet.rows.append(row)
    if not agents and not sheet.faults:
        raise Unreadable("The file names its columns and no agent. Write a line for each agent.")
    return sheet


def _cells(text: str, sheet: Sheet) -> Iterator[tuple[int, list[str]]]:
    """The lines that hold something, each with the number of the line in which it begins."""
    reader = csv.reader(StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # What follows cannot be told from what stands in the quotes.
            sheet.faults.append(Fault(line, "", f"{_words(error)} Nothing after it was read."))
            return
        if any(cell.strip() for cell in cells):
            yield line, cells
        line = reader.line_num + 1


def _words(error: csv.Error) -> str:
    said = str(error)
    if "field limit" in said:
        return f"has a cell of more than {csv.field_size_limit():,} characters."
    if "unexpected end" in said:
        return "opens a quote that is never closed."
    return 'has a quote inside a quoted cell. Write it twice: "".'


def _delimiter(text: str) -> str:
    """The one that makes most names of columns of the first line."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    return max(
        DELIMITERS, key=lambda each: sum(_name(cell) in COLUMNS for cell in first.split(each))
    )


def _name(cell: str) -> str:
    return cell.strip().strip('"').strip().lower().replace(" ", "_")


def _columns(line: int, cells: Sequence[str]) -> list[str]:
    names = [_name(cell) for cell in cells]
    while names and not names[-1]:
        names.pop()
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        raise Unreadable(
            f"Line {line} must name the columns. {unknown[0][:SHOWN]!a} is none of them; "
            f"there are {', '.join(COLUMNS)}."
        )
    if len(set(names)) != len(names):
        raise Unreadable(f"Line {line} names a column twice. Take one of them out.")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise Unreadable(f"Line {line} names no column {' and no column '.join(missing)}.")
    return names


def _row(line: int, columns: Sequence[str], cells: Sequence[str], sheet: Sheet) -> Row | None:
    if any(cell.strip() for cell in cells[len(columns) :]):
        detail = (
            f"has {len(cells)} cells, and there are {len(columns)} columns. "
            "Put a cell that holds the delimiter into quotes."
        )
        sheet.faults.append(Fault(line, "", detail))
        return None
    given = dict(zip(columns, cells, strict=False))
    values: dict[str, Any] = {}
    faults = []
    for name, column in COLUMNS.items():
        cell = spreadsheet.value_of(given.get(name, "").strip())
        try:
            _refuse_broken(cell, name)
            values[name] = column(cell)
        except InvalidCommand as refused:
            faults.append(Fault(line, name, _detail(refused)))
    if faults:
        sheet.faults += faults
        return None
    sheet.notes += [
        Fault(line, name, "begins with =, and is taken as text as it stands.")
        for name in _TEXTS
        if values[name].startswith("=")
    ]
    return Row(line, values, activate=values.pop("activate"))


def _refuse_broken(cell: str, name: str) -> None:
    if _BROKEN.fullmatch(cell):
        raise InvalidCommand(name, f"is {cell}, a formula's error. Write a value.")


def _detail(refused: InvalidCommand) -> str:
    """With the place inside the cell: tags/1 → "entry 2 must …"."""
    inner = [step for step in refused.field.split("/")[1:] if step != "name"]
    words = [f"entry {int(step) + 1}" if step.isdigit() else "the level" for step in inner]
    return " ".join([*([", ".join(words)] if words else []), refused.detail])


def _text(check: Callable[[str], None]) -> Callable[[str], str]:
    def column(cell: str) -> str:
        check(cell)
        return cell

    return column


def _agent_id(cell: str) -> str | None:
    if not cell:
        return None
    limits.check_agent_id(cell)
    return cell


def _capabilities(cell: str) -> list[Capability]:
    found = []
    for index, part in enumerate(_parts(cell)):
        name, colon, level = part.rpartition(":")
        if not colon or not _is_whole(level.strip()):
            raise InvalidCommand(
                f"capabilities/{index}",
                f"is {part[:SHOWN]!a} and must be a name and a level, such as translation:4.",
            )
        found.append(Capability(name.strip(), int(level)))
    limits.check_capabilities(found)
    return found


def _tags(cell: str) -> list[str]:
    tags = _parts(cell)
    limits.check_tags(tags)
    return tags


def _parts(cell: str) -> list[str]:
    return [part for each in cell.split(";") if (part := each.strip())]


def _metadata(cell: str) -> dict[str, Any]:
    try:
        found = JSONText(label="").clean(cell)
    except ValidationError as error:
        raise InvalidCommand("metadata", " ".join(error.messages)) from None
    metadata: dict[str, Any] = {} if found is None else found
    limits.check_metadata(metadata)
    return metadata


def _timeout(cell: str) -> int:
    if not cell:
        return DEFAULT_TIMEOUT_SECONDS
    if not _is_whole(cell):
        raise InvalidCommand("health_check_timeout_seconds", "must be a whole number.")
    limits.check_timeout(int(cell))
    return int(cell)


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS


def _activate(cell: str) -> bool:
    if cell.lower() not in (*YES, *NO):
        raise InvalidCommand("activate", "must be yes or no.")
    return cell.lower() in YES


COLUMNS: Mapping[str, Callable[[str], Any]] = {
    "agent_id": _agent_id,
    "name": _text(limits.check_name),
    "description": _text(limits.check_description),
    "agent_type": _text(limits.check_agent_type),
    "capabilities": _capabilities,
    "tags": _tags,
    "metadata": _metadata,
    "health_check_timeout_seconds": _timeout,
    "activate": _activate,
}
_TEXTS = ("name", "description", "agent_type")

SAMPLE = (
    ",".join(COLUMNS)
    + "\r\ntranslator-1,Translator,Letters and leaflets,worker,translation:4;search:2,"
    + 'eu-west;team-a,"{""owner"": ""team-a""}",90,yes\r\n'
    + ",Without an id one is made,,,search:3,,,,no\r\n"
)
