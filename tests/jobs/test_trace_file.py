import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.replay import cost
from agents.replay.trace import BadTrace, Request, check, requests
from tests.jobs.conftest import ROOT

HEADER = b"TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
ROW = b"2023-11-16 18:17:03.9799600,4808,10"
REAL = Path(
    os.environ.get("AGENTMESH_TEST_TRACE")
    or ROOT.parent / "shared" / "data" / "AzureLLMInferenceTrace_code.csv"
)
needs_the_real_trace = pytest.mark.skipif(
    not REAL.is_file(), reason="the real trace is not here; AGENTMESH_TEST_TRACE can name it"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "trace.csv"


def wrong(file: Path) -> str:
    with pytest.raises(BadTrace) as caught:
        check(file)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(file))
    return text.removeprefix(str(file))


def test_seven_decimals_and_a_last_line_without_its_end_are_normal(file: Path) -> None:
    file.write_bytes(HEADER + ROW)

    (request,) = requests(file)

    assert request == Request(
        2,
        "2023-11-16 18:17:03.9799600",
        datetime(2023, 11, 16, 18, 17, 3, 979960, tzinfo=UTC),
        4808,
        10,
    )


@pytest.mark.parametrize(
    "content",
    [
        HEADER + ROW + b"\r\n",
        (HEADER + ROW + b"\r\n").replace(b"\r", b""),
        b"\xef\xbb\xbf" + HEADER + ROW,
        HEADER + ROW + b"\r\n\r\n\n",
        b"GeneratedTokens,Model,ContextTokens,TIMESTAMP\n10,m,4808,2023-11-16 18:17:03.97996",
        HEADER + b'"2023-11-16T19:17:03.97996+01:00","4808","10"',
    ],
)
def test_what_other_programs_write_is_read(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    (request,) = requests(file)

    assert request.arrived_at == datetime(2023, 11, 16, 18, 17, 3, 979960, tzinfo=UTC)
    assert (request.context_tokens, request.generated_tokens) == (4808, 10)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (b"2023-11-16 18:17:03,4808", "it has 2 fields instead of 3"),
        (b"2023-11-16 18:17:03,4808,10,", "it has 4 fields instead of 3"),
        (b"yesterday,4808,10", "TIMESTAMP is 'yesterday'"),
        (b"2023-02-30 18:17:03,4808,10", "TIMESTAMP is"),
        (b"2023-11-16,4808,10", "TIMESTAMP is"),
        (b"0001-01-01 00:00:00+23:00,4808,10", "TIMESTAMP is"),
        (b",4808,10", "TIMESTAMP is ''"),
        (b"2023-11-16 18:17:03,-1,10", "ContextTokens is '-1', not a whole number"),
        (b"2023-11-16 18:17:03,1.5,10", "ContextTokens is '1.5', not"),
        (b"2023-11-16 18:17:03,,10", "ContextTokens is '', not"),
        (b"2023-11-16 18:17:03,1,nan", "GeneratedTokens is 'nan', not"),
        ("2023-11-16 18:17:03,1,٣".encode(), "GeneratedTokens is '٣', not"),
        (b"2023-11-16 18:17:03,1,10000001", "more than 10,000,000"),
        (b"2023-11-16 18:17:03,1," + b"9" * 5000, "more than 10,000,000"),
        (b"2023-11-16 18:17:03,1,1\0", "NUL"),
        (b"2023-11-16 18:17:03,1,\xff", "not UTF-8"),
        (b'2023-11-16 18:17:03,1,"1', "no CSV"),
        (b"2023-11-16 18:17:03,1,\r1", "no CSV"),
        (b"x" * 70_000, "longer than 65536 bytes"),
    ],
)
def test_a_bad_row_is_named_with_its_line_and_what_is_wrong(
    file: Path, row: bytes, words: str
) -> None:
    file.write_bytes(HEADER + ROW + b"\r\n" + row + b"\r\n" + ROW)

    said = wrong(file)

    assert said.startswith(", line 3: ")
    assert words in said
    assert len(said) < 200


def test_a_blank_line_between_rows_is_named(file: Path) -> None:
    file.write_bytes(HEADER + b"\r\n" + ROW)

    assert wrong(file) == ", line 2: it is blank."


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"\n\n", "it is empty"),
        (b"\xef\xbb\xbf", "it is empty"),
        (HEADER, "it has no rows"),
        (ROW, "the column TIMESTAMP is missing"),
        (b"TIMESTAMP,ContextTokens\n2023-11-16 18:17:03,1", "GeneratedTokens is missing"),
        (b"TIMESTAMP,TIMESTAMP,ContextTokens,GeneratedTokens", "TIMESTAMP is twice"),
        (b"timestamp,contexttokens,generatedtokens", "TIMESTAMP is missing"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "NUL"),
        (b"\x89PNG\r\n\x1a\n", "not UTF-8"),
        (HEADER.decode().encode("utf-16"), "NUL"),
    ],
)
def test_a_file_that_is_no_trace_is_named(file: Path, content: bytes, words: str) -> None:
    file.write_bytes(content)

    assert words in wrong(file)


def test_a_missing_file_a_folder_and_a_device_are_named(tmp_path: Path) -> None:
    assert wrong(tmp_path / "none.csv") == ": there is no such file."
    assert wrong(tmp_path) == ": it is no regular file."
    assert wrong(Path("/dev/null")) == ": it is no regular file."


@needs_the_real_trace
def test_the_real_trace_is_good_as_it_is() -> None:
    assert check(REAL) == 8_819


def test_a_task_takes_time_to_read_and_more_to_write() -> None:
    assert cost.execution_time_ms(0, 0) == 20
    assert cost.execution_time_ms(1_500, 13) == 498
    assert cost.execution_time_ms(1_000, 0) - cost.execution_time_ms(0, 0) == 50


def test_one_task_in_97_fails_and_always_the_same() -> None:
    failures = [line for line in range(2, 8_821) if cost.failure(line)]

    assert len(failures) == 90
    assert {cost.failure(line) for line in failures} == set(cost.FAILURES)
