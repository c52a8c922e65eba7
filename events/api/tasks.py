"""A task as outsiders see it, whoever shows it: JSON-ready, moments with six digits, in UTC."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from events.api.openapi.shape import (
    AMOUNT,
    ANYTHING,
    COUNT,
    MOMENT,
    choice,
    listing,
    or_null,
    some_of,
    text,
    thing,
)
from events.facts import JSON, Number
from events.moments import rfc3339
from events.vocabulary import Usage

_TRY = {
    "agent_id": text(),
    "status": choice(("assigned", "completed", "failed")),
    "assigned_at": MOMENT,
    "ended_at": or_null(MOMENT),
    "execution_time_ms": or_null(AMOUNT),
}
_ERROR = {"error_code": or_null(text()), "error_message": or_null(text())}
USAGE = thing("TaskUsage", {"input_tokens": COUNT, "output_tokens": COUNT})
TASK = thing(
    "Task",
    {
        "task_id": text(),
        **_TRY,
        "input": ANYTHING,
        "result": ANYTHING,
        "usage": or_null(USAGE),
        **_ERROR,
        "attempts": some_of(thing("TaskAttempt", {**_TRY, **_ERROR})).saying(
            "The oldest first, the present one last."
        ),
    },
)
TASKS = listing(TASK)


class Try(Protocol):
    """What an attempt at a task and the task itself have in common."""

    @property
    def agent_id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def assigned_at(self) -> datetime: ...
    @property
    def ended_at(self) -> datetime | None: ...
    @property
    def execution_time_ms(self) -> Number | None: ...
    @property
    def error_code(self) -> str | None: ...
    @property
    def error_message(self) -> str | None: ...


class Shown(Try, Protocol):
    """A task. attempts: oldest first, the present one last."""

    @property
    def task_id(self) -> str: ...
    @property
    def usage(self) -> Usage | None: ...
    @property
    def attempts(self) -> Sequence[Try]: ...


def task_json(task: Shown, *, given: JSON, result: JSON) -> dict[str, Any]:
    """`given` is its input. Both may be sealed: `events.confidential.reveal` opens them."""
    usage = task.usage
    return {
        "task_id": task.task_id,
        "agent_id": task.agent_id,
        "status": task.status,
        "assigned_at": rfc3339(task.assigned_at),
        "ended_at": task.ended_at and rfc3339(task.ended_at),
        "execution_time_ms": task.execution_time_ms,
        "input": given,
        "result": result,
        "usage": usage
        and {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
        "error_code": task.error_code,
        "error_message": task.error_message,
        "attempts": [_attempt_json(each) for each in task.attempts],
    }


def _attempt_json(attempt: Try) -> dict[str, Any]:
    return {
        "agent_id": attempt.agent_id,
        "status": attempt.status,
        "assigned_at": rfc3339(attempt.assigned_at),
        "ended_at": attempt.ended_at and rfc3339(attempt.ended_at),
        "execution_time_ms": attempt.execution_time_ms,
        "error_code": attempt.error_code,
        "error_message": attempt.error_message,
    }
