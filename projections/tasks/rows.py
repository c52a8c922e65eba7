"""A task as its row holds it, and its earlier attempts as the row's JSON does."""

from datetime import datetime

import msgspec

from events.facts import Moment, Number

ASSIGNED, COMPLETED, FAILED = "assigned", "completed", "failed"
STATUSES = (ASSIGNED, COMPLETED, FAILED)

ATTEMPTS_KEPT = 20  # the newest; a task that fails more often is not worth a longer row
MESSAGE_KEPT = 1_000  # characters of each attempt's error; the whole one is in its event
NONE = "[]"


class Task(msgspec.Struct, frozen=True, gc=False):
    """One task: its newest attempt, which is the one that was assigned last, and those before.

    Inputs and results stay in the log, where they can be erased: in the stream of `agent_id` at
    `assigned_version` and `ended_version`. assigned_seq and seq are those of the newest attempt's
    assignment and of its newest event. execution_time_ms: a JSON number, "12" or "12.5". earlier: a
    JSON list of Attempt, in the order of their assignments.
    """

    task_id: str
    agent_id: str
    status: str
    assigned_at: datetime
    assigned_seq: int
    assigned_version: int
    seq: int
    ended_at: datetime | None = None
    ended_version: int | None = None
    execution_time_ms: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    error_code: str | None = None
    error_message: str | None = None
    earlier: str = NONE


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One agent's try at a task. seq: of its assignment, which tells it from all others."""

    seq: int
    agent_id: str
    status: str
    assigned_at: Moment
    ended_at: Moment | None = None
    execution_time_ms: Number | None = None
    error_code: str | None = None
    error_message: str | None = None


_encode = msgspec.json.encode
_attempts = msgspec.json.Decoder(tuple[Attempt, ...]).decode
_number = msgspec.json.Decoder(Number).decode


def earlier_attempts(task: Task) -> tuple[Attempt, ...]:
    return _attempts(task.earlier) if task.earlier != NONE else ()


def newest_attempt(task: Task) -> Attempt:
    return Attempt(
        seq=task.assigned_seq,
        agent_id=task.agent_id,
        status=task.status,
        assigned_at=task.assigned_at,
        ended_at=task.ended_at,
        execution_time_ms=execution_time_ms(task),
        error_code=task.error_code,
        error_message=task.error_message,
    )


def execution_time_ms(task: Task) -> Number | None:
    """As the event has it: whole numbers whole, others as floats."""
    return None if task.execution_time_ms is None else _number(task.execution_time_ms)


def text_of(attempts: list[Attempt]) -> str:
    """The newest of these attempts, as a row keeps them."""
    kept = sorted(attempts, key=lambda attempt: attempt.seq)[-ATTEMPTS_KEPT:]
    return _encode(kept).decode()


def clipped(message: str | None) -> str | None:
    return message and message[:MESSAGE_KEPT]
