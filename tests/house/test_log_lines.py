"""The process's log: one line for a record, the ids of what it was written for, and no secret."""

import json
import logging
import sys
from datetime import datetime
from typing import Any

import pytest

from agentmesh_site.log_lines import SAID, Json, Text, configuration
from events.telling import also_tell, telling

TOKEN = "am_" + "Ab3_-" * 8
HOSTILE = "first\r\n2026-01-01T00:00:00.000Z CRITICAL forged: line\x1b[2J\u2028\x85next"


def record(message: str, *values: object, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("events.test", logging.WARNING, __file__, 1, message, values, None)
    for name, value in more.items():
        setattr(made, name, value)
    return made


def failure(words: str) -> Any:
    try:
        _fail(words)
    except ValueError:
        return sys.exc_info()


def _fail(words: str) -> None:
    raise ValueError(words)


def as_json(made: logging.LogRecord) -> dict[str, Any]:
    line = Json().format(made)
    assert line.isascii()
    assert line.isprintable()
    found: dict[str, Any] = json.loads(line)
    return found


def test_json_says_when_what_and_how_bad() -> None:
    line = as_json(record("%s holds %d", "alerts", 3))

    assert line["message"] == "alerts holds 3"
    assert (line["level"], line["logger"]) == ("warning", "events.test")
    assert line["time"].endswith("Z")
    assert datetime.fromisoformat(line["time"]).tzinfo is not None


def test_a_line_says_for_which_request_it_was_written() -> None:
    with telling(request_id="r-1", correlation_id="c-1"):
        also_tell(actor="user:alice", tenant=None)
        inside = as_json(record("inside", **{SAID: {"status": 404}}))
        text = Text().format(record("inside"))
    outside = as_json(record("outside"))

    assert (inside["request_id"], inside["actor"], inside["status"]) == ("r-1", "user:alice", 404)
    assert "tenant" not in inside
    assert "request_id=r-1 correlation_id=c-1 actor=user:alice" in text
    assert "request_id" not in outside


def test_whoever_tells_outside_of_everything_is_not_heard() -> None:
    also_tell(actor="user:nobody")

    assert "actor" not in as_json(record("outside"))


def test_an_exception_is_one_field() -> None:
    line = as_json(record("it failed", exc_info=failure("why")))

    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("ValueError: why")


def test_a_client_cannot_begin_a_line() -> None:
    with telling(correlation_id=HOSTILE):
        text = Text().format(record("about %s", HOSTILE, exc_info=failure(HOSTILE)))
        line = as_json(record("about %s", HOSTILE, exc_info=failure(HOSTILE)))

    first, *frames = text.split("\n")
    assert first.isprintable()
    assert all(frame.startswith("  ") and frame.isprintable() for frame in frames)
    assert line["message"] == f"about {HOSTILE}"


@pytest.mark.parametrize("formatter", [Text(), Json()])
@pytest.mark.parametrize(
    "words",
    [
        f"GET /api/{TOKEN}/x",
        f"Authorization: Bearer {TOKEN}",
        'header "Authorization: bearer watch-0123456789abcdef"',
        "Authorization: Basic YWxpY2U6aHVudGVyMg==",
    ],
)
def test_no_token_gets_into_the_log(formatter: logging.Formatter, words: str) -> None:
    with telling(said_by=words):
        line = formatter.format(record("%s", words, exc_info=failure(words)))

    assert line.count("[redacted]") == 3
    assert TOKEN not in line
    assert "watch-0123" not in line
    assert "YWxpY2U6" not in line


def test_what_a_line_holds_need_not_be_text() -> None:
    assert as_json(record("x", **{SAID: {"value": {1, 2}.__class__}}))["value"] == "<class 'set'>"
    assert as_json(record("lone %s", "\ud800"))["message"] == "lone \ud800"


def test_debugging_is_for_our_rooms_alone() -> None:
    """What httpcore or a driver would say then may quote headers."""
    made: Any = configuration("json", "debug", access=True)

    assert made["root"]["level"] == "WARNING"
    assert made["loggers"]["events"]["level"] == "DEBUG"
    assert made["loggers"]["django"]["level"] == "INFO"
