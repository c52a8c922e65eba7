"""What each line of a file of agents means, or what is wrong with it, where, and what to do."""

import pytest

from agents.pages import csv_agents
from agents.pages.csv_agents import SAMPLE, Unreadable, read, text_of
from events.transfer import spreadsheet
from events.vocabulary import Capability

HEADER = "agent_id,name,capabilities\n"
QUOTED = "Put a cell that holds the delimiter into quotes."


def faults(text: str) -> list[tuple[int, str, str]]:
    return [(each.line, each.column, each.detail) for each in read(text).faults]


def test_the_sample_can_be_imported() -> None:
    sheet = read(text_of(SAMPLE.encode("utf-8-sig")))

    first, second = sheet.rows
    assert sheet.faults == []
    assert first.values == {
        "agent_id": "translator-1",
        "name": "Translator",
        "description": "Letters and leaflets",
        "agent_type": "worker",
        "capabilities": [Capability("translation", 4), Capability("search", 2)],
        "tags": ["eu-west", "team-a"],
        "metadata": {"owner": "team-a"},
        "health_check_timeout_seconds": 90,
    }
    assert (first.line, first.activate, second.line, second.activate) == (2, True, 3, False)
    assert second.values["agent_id"] is None


@pytest.mark.parametrize(
    "text",
    [
        "agent_id,name,capabilities\na-1,Ada,ocr:1\n",
        "\ufeffagent_id;name;capabilities\r\na-1;Ada;ocr:1\r\n\r\n",
        "Agent ID\tName\tCapabilities\ra-1\tAda\tocr:1",
        '"agent_id","name","capabilities",\n\n"a-1"," Ada ","ocr:1",\n,,,\n',
        "capabilities,name,agent_id,tags\nocr:1;,Ada,a-1\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_what_spreadsheets_make_of_one_agent_is_one_agent(text: str, encoding: str) -> None:
    (row,) = read(text_of(text.encode(encoding))).rows

    assert (row.values["agent_id"], row.values["name"]) == ("a-1", "Ada")
    assert row.values["capabilities"] == [Capability("ocr", 1)]


def test_a_quoted_cell_may_hold_what_else_has_a_meaning() -> None:
    (row, after) = read(
        'name,capabilities,description\n"A, ""the"" one",ocr:1,"two\nlines"\nB,ocr:1,\n'
    ).rows

    assert (row.values["name"], row.values["description"]) == ('A, "the" one', "two\nlines")
    assert (row.line, after.line) == (2, 4)


def test_every_fault_of_every_line_is_named_with_its_line_and_column() -> None:
    text = (
        "agent_id,name,capabilities,tags,metadata,health_check_timeout_seconds,activate\n"
        "a-1,Ada,ocr:1,,,,\n"
        "a,,ocr,a;a,[1],3,perhaps\n"
        "a-1,Bert,ocr:1,,,,\n"
        "a-2,Carl,ocr:9,x*,{,soon,no\n"
        "a-3,Dora,ocr:1;ocr:2,,,,\n"
        "a-4,Emil,ocr:1,one,two,three,no,more\n"
        "a-5,#REF!,,,,,\n"
    )

    assert faults(text) == [
        (3, "agent_id", "must be 3 to 256 of A-Z, a-z, 0-9, _ and -."),
        (3, "name", "must be 1 to 256 characters, and not only blanks."),
        (
            3,
            "capabilities",
            "entry 1 is 'ocr' and must be a name and a level, such as translation:4.",
        ),
        (3, "tags", "entry 2 must be given once; this tag stands before already."),
        (3, "metadata", "must be an object."),
        (3, "health_check_timeout_seconds", "must be 5 to 86400."),
        (3, "activate", "must be yes or no."),
        (4, "agent_id", "a-1 stands in line 2 already. Give each agent an id of its own."),
        (5, "capabilities", "entry 1, the level must be 1 to 5."),
        (5, "tags", "entry 1 must not contain a comma, a * or a control character."),
        (5, "metadata", faults(text)[10][2]),
        (5, "health_check_timeout_seconds", "must be a whole number."),
        (6, "capabilities", "entry 2 must be given once; this capability stands before already."),
        (7, "", f"has 8 cells, and there are 7 columns. {QUOTED}"),
        (8, "name", "is #REF!, a formula's error. Write a value."),
        (8, "capabilities", "must name at least one capability."),
    ]
    assert faults(text)[10][2].startswith("must be JSON")
    assert [row.line for row in read(text).rows] == [2]


def test_a_capability_may_have_a_colon_in_its_name() -> None:
    (row,) = read("name,capabilities\nA,gpu:a100:3\n").rows

    assert row.values["capabilities"] == [Capability("gpu:a100", 3)]


@pytest.mark.parametrize(
    ("rest", "why"),
    [
        ('a-1,"Ada,ocr:1\na-2,B,ocr:1\n', "opens a quote that is never closed."),
        ('a-1,"Ada"x,ocr:1\n', 'has a quote inside a quoted cell. Write it twice: "".'),
        (f"a-1,{'x' * 140_000},ocr:1\n", "has a cell of more than 131,072 characters."),
    ],
)
def test_where_no_line_can_be_told_from_the_next_that_is_said_and_what_came_before_stays(
    rest: str, why: str
) -> None:
    sheet = read(HEADER + "a-0,Zero,ocr:1\n" + rest)

    assert [(each.line, each.detail) for each in sheet.faults] == [
        (3, f"{why} Nothing after it was read.")
    ]
    assert [row.line for row in sheet.rows] == [2]


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "The file is empty. Its first line names the columns: agent_id, name"),
        (b"\xef\xbb\xbf\r\n \r\n", "The file is empty."),
        (HEADER.encode(), "names its columns and no agent."),
        (b"name,capabilities\nGr\xfc\xdfe,ocr:1\n", r"Line 2 is not UTF-8 \(byte 0xfc\)."),
        (b"name,capabilities\nA\0,ocr:1\n", "Line 2 holds a NUL character."),
        ("name,capabilities\nA,b:1".encode("utf-16-le"), "Line 1 holds a NUL"),
        (b"\xff\xfea", "is not UTF-8"),
        (b"name,capability\nA,ocr:1\n", "'capability' is none of them; there are agent_id"),
        (b"A,ocr:1\n", "Line 1 must name the columns. 'a' is none of them"),
        (b"name,capabilities,name\n", "names a column twice"),
        (b"agent_id\n", "names no column name and no column capabilities"),
        (b"name,capabilities\n" + b"A,ocr:1\n" * 1_001, "Line 1002 is the first too many."),
        (b"x" * (csv_agents.MOST_BYTES + 1), "has more than 1,048,576 bytes"),
    ],
)
def test_a_file_that_is_none_says_why_and_what_to_do(raw: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read(text_of(raw))


def test_formulas_are_text_and_are_pointed_at() -> None:
    sheet = read("name,capabilities,description\n=1+1,ocr:1,-x\n'=1+1,ocr:1,'x\n")

    assert [(row.values["name"], row.values["description"]) for row in sheet.rows] == [
        ("=1+1", "-x"),
        ("=1+1", "'x"),
    ]
    assert [(note.line, note.column) for note in sheet.notes] == [(2, "name"), (3, "name")]


@pytest.mark.parametrize("text", ["", "a", "=1", "'", "''", "'=1", " =1", "'a", "\t1", "\uff1d1"])
def test_a_cell_of_an_export_is_read_as_what_it_was_made_of(text: str) -> None:
    assert spreadsheet.value_of(spreadsheet.cell(text)) == text
