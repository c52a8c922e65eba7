"""What each event about a task makes of its row.

A task that failed may be assigned to another agent, whose stream may be applied before the end of
the first attempt is: so attempts are told apart by the seq of their assignment, and an ending goes
to the attempt of its own agent, whose events come in order.
"""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from events.facts import Envelope
from events.readmodels import Key, Known
from events.vocabulary import (
    AgentTaskAssignedEvent,
    AgentTaskCompletedEvent,
    AgentTaskFailedEvent,
)
from projections.tasks.rows import (
    ASSIGNED,
    COMPLETED,
    FAILED,
    Attempt,
    Task,
    clipped,
    earlier_attempts,
    newest_attempt,
    text_of,
)

Rows = tuple[Task, ...]


def project(event: Any, known: Known) -> Rows:
    return _CHANGES[type(event)](event, known(Task, event.task_id))


def touches(event: Any) -> Iterable[tuple[type[Task], Key]]:
    return ((Task, (event.task_id,)),)


def _assigned(event: AgentTaskAssignedEvent, task: Task | None) -> Rows:
    place: Envelope = event.envelope  # type: ignore[assignment]  # it has been in a log
    seq = place.seq
    new = Task(
        event.task_id,
        event.agent_id,
        ASSIGNED,
        event.assigned_at,
        seq,
        place.stream_version,
        seq,
    )
    if task is None:
        return (new,)
    newest, other = (new, task) if seq > task.assigned_seq else (task, new)
    attempt = newest_attempt(other)
    attempts = [
        *earlier_attempts(task),
        replace(attempt, error_message=clipped(attempt.error_message)),
    ]
    return (replace(newest, earlier=text_of(attempts)),)


def _completed(event: AgentTaskCompletedEvent, task: Task | None) -> Rows:
    if task is None:
        return ()  # it was given to nobody: such a log was not written by our commands
    if not _is_open(task, event.agent_id):
        return _ended_earlier(
            task,
            event.agent_id,
            status=COMPLETED,
            ended_at=event.completed_at,
            execution_time_ms=event.execution_time_ms,
        )
    place: Envelope = event.envelope  # type: ignore[assignment]  # it has been in a log
    usage = event.usage
    return (
        replace(
            task,
            status=COMPLETED,
            seq=place.seq,
            ended_at=event.completed_at,
            ended_version=place.stream_version,
            execution_time_ms=str(event.execution_time_ms),
            input_tokens=usage and usage.input_tokens,
            output_tokens=usage and usage.output_tokens,
        ),
    )


def _failed(event: AgentTaskFailedEvent, task: Task | None) -> Rows:
    if task is None:
        return ()  # as above
    if not _is_open(task, event.agent_id):
        return _ended_earlier(
            task,
            event.agent_id,
            status=FAILED,
            ended_at=event.failed_at,
            error_code=event.error_code,
            error_message=clipped(event.error_message),
        )
    place: Envelope = event.envelope  # type: ignore[assignment]  # it has been in a log
    return (
        replace(
            task,
            status=FAILED,
            seq=place.seq,
            ended_at=event.failed_at,
            ended_version=place.stream_version,
            error_code=event.error_code,
            error_message=event.error_message,
        ),
    )


def _is_open(attempt: Task | Attempt, agent_id: str) -> bool:
    return attempt.agent_id == agent_id and attempt.status == ASSIGNED


def _ended_earlier(task: Task, agent_id: str, **ending: Any) -> Rows:
    """The task with the end of an attempt that another has followed already; as it was when the
    attempt is too old to be kept."""
    attempts = list(earlier_attempts(task))
    for index, attempt in enumerate(attempts):
        if _is_open(attempt, agent_id):
            attempts[index] = replace(attempt, **ending)
            return (replace(task, earlier=text_of(attempts)),)
    return ()


# By exact type: one lookup per event is what keeps a long rebuild short.
_CHANGES: dict[type[Any], Callable[[Any, Task | None], Rows]] = {
    AgentTaskAssignedEvent: _assigned,
    AgentTaskCompletedEvent: _completed,
    AgentTaskFailedEvent: _failed,
}
