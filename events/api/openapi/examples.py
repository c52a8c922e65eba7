"""Requests and answers that happened, by operation; refusals that happened, by code.

`tests.api.story` makes them, and a test that they happen so again.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

KEPT = Path(__file__).with_name("examples.json")


def of_operation(id: str) -> dict[str, Any]:
    """{status, body?, answer?}; empty when there is none."""
    found: dict[str, Any] = _kept()["operations"].get(id, {})
    return found


def of_problem(code: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = _kept()["problems"].get(code)
    return found


@cache
def _kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8"))
    return found
