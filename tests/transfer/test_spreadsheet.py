"""CSV that a spreadsheet shows and does not carry out."""

import csv
from io import StringIO
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.transfer import spreadsheet
from events.transfer.format import COLUMNS, Line
from tests.transfer.draft import story

TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"))


def lines() -> list[Line]:
    return [
        Line(**{**event, "event_id": UUID(event["event_id"])}) for event in story("acme").events
    ]


def read(raw: bytes) -> list[list[str]]:
    return list(csv.reader(StringIO(raw.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "\nx",
        " =1",
        "\u3000=1",
        "\uff1d1",
        "\uff0b1",
        "\uff0d1",
        "\uff20x",
        "'x",
    ],
)
def test_what_begins_like_a_formula_becomes_text(text: str) -> None:
    assert spreadsheet.cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a=1", "1", "user:alice", '{"a":"=1"}', '"=1"', "é", " x"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert spreadsheet.cell(text) == text


@given(TEXT)
@settings(max_examples=50, deadline=None)
def test_one_leading_apostrophe_less_is_what_was_stored(text: str) -> None:
    assert spreadsheet.cell(text).removeprefix("'") == text


def test_null_is_an_empty_cell() -> None:
    assert spreadsheet.cell(None) == ""


def test_a_reader_of_csv_gets_the_columns_and_the_rows() -> None:
    events = lines()

    raw = spreadsheet.beginning() + spreadsheet.rows(events[:5]) + spreadsheet.rows(events[5:])

    assert raw.startswith(b"\xef\xbb\xbfseq,event_id,")
    assert raw.count(b"\xef\xbb\xbf") == 1
    assert raw.endswith(b"\r\n")
    names, *rows = read(raw)
    assert tuple(names) == COLUMNS
    assert [row[names.index("data")] for row in rows] == [event.data for event in events]
    assert [row[0] for row in rows] == [str(event.seq) for event in events]
