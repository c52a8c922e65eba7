"""The read model: how tasks ended, counted in buckets of the moments when the log recorded it.

Each end of a task counts in eight rows: in its minute, hour and day for the whole tenant and for
the agent's type, in its hour and day for the agent. Counting adds, so no row depends on what came
first.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from events.facts import DomainEvent, Number
from events.readmodels import Key, Known, ReadModel
from events.vocabulary import AgentCreatedEvent, AgentTaskCompletedEvent
from projections.analytics.buckets import RESOLUTIONS, Resolution, buckets_of
from projections.analytics.keeping import StatisticsKeeping
from projections.analytics.models import AGENT_TYPE_LENGTH, AgentTypeRow, TaskStatisticsRow
from projections.analytics.sketch import Growing, bin_of, counted

NAME = "analytics"
TYPES = "AgentCreatedEvent,AgentTaskCompletedEvent,AgentTaskFailedEvent"

Kind = Literal["tenant", "type", "agent"]
StatisticsKey = tuple[Resolution, Kind, datetime, str]

# Few agents end two tasks in a minute: their minutes would be as many as the tasks.
KEPT: dict[Kind, tuple[Resolution, ...]] = {
    "tenant": RESOLUTIONS,
    "type": RESOLUTIONS,
    "agent": ("hour", "day"),
}


class AgentType(msgspec.Struct, frozen=True):
    """Of what type an agent is; "" where none was said."""

    agent_id: str
    agent_type: str


class TaskStatistics(msgspec.Struct, frozen=True):
    """What ended in one bucket, of one thing. bucket: where it begins. name: of the agent or type,
    "" for the tenant.

    Tokens and times are of completed tasks, 0 where none was; they have no bound, since one task
    may have 2^63 - 1 of each. execution_times: see `sketch`; bytes in the table.
    """

    resolution: Resolution
    kind: Kind
    bucket: datetime
    name: str
    completed: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    execution_total_us: int = 0
    execution_min_us: int = 0
    execution_max_us: int = 0
    execution_times: Growing = b""


class _Completion(NamedTuple):
    us: int
    bin: int
    input_tokens: int
    output_tokens: int


def project(event: DomainEvent, known: Known) -> Iterator[msgspec.Struct]:
    if isinstance(event, AgentCreatedEvent):
        # The aggregate allows no more; an imported log might have it.
        yield AgentType(event.agent_id, event.agent_type[:AGENT_TYPE_LENGTH])
        return
    agent = known(AgentType, event.agent_id)
    completion = _completion(event)
    for key in _keys(
        event,
        ("tenant", ""),
        ("type", agent.agent_type if agent else ""),
        ("agent", event.agent_id),
    ):
        row = known(TaskStatistics, *key) or TaskStatistics(*key)
        if completion is None:
            yield replace(row, failed=row.failed + 1)
        else:
            yield _completed_once_more(row, completion)


def finish(row: TaskStatistics) -> TaskStatistics:
    """As the table has it: the same bytes, wherever a batch ended."""
    if isinstance(row.execution_times, bytes):
        return row
    return replace(row, execution_times=counted(row.execution_times))


def touches(event: DomainEvent) -> Iterator[tuple[type[msgspec.Struct], Key]]:
    if isinstance(event, AgentCreatedEvent):
        return
    yield AgentType, (event.agent_id,)
    for key in _keys(event, ("tenant", ""), ("agent", event.agent_id)):
        yield TaskStatistics, key


def microseconds(execution_time_ms: Number) -> int:
    """Whole ones: shorter fractions are rounded, halves to the even one."""
    whole = int(execution_time_ms)
    return whole * 1000 + round((execution_time_ms - whole) * 1000)


def _keys(event: DomainEvent, *things: tuple[Kind, str]) -> list[StatisticsKey]:
    if event.envelope is None:
        raise ValueError(f"{event.type} is in no log yet, so nothing says when it was recorded.")
    buckets = buckets_of(event.envelope.recorded_at)
    return [
        (resolution, kind, bucket, name)
        for kind, name in things
        for resolution, bucket in buckets
        if resolution in KEPT[kind]
    ]


def _completion(event: DomainEvent) -> _Completion | None:
    """None for a failure, of which the log tells neither time nor tokens."""
    if not isinstance(event, AgentTaskCompletedEvent):
        return None
    us, usage = microseconds(event.execution_time_ms), event.usage
    return _Completion(
        us, bin_of(us), usage.input_tokens if usage else 0, usage.output_tokens if usage else 0
    )


def _completed_once_more(row: TaskStatistics, task: _Completion) -> TaskStatistics:
    return TaskStatistics(
        row.resolution,
        row.kind,
        row.bucket,
        row.name,
        row.completed + 1,
        row.failed,
        row.input_tokens + task.input_tokens,
        row.output_tokens + task.output_tokens,
        row.execution_total_us + task.us,
        task.us if task.us < row.execution_min_us or not row.completed else row.execution_min_us,
        max(row.execution_max_us, task.us),
        (row.execution_times, task.bin),
    )


analytics = ReadModel(
    NAME,
    tables={AgentType: AgentTypeRow, TaskStatistics: TaskStatisticsRow},
    project=project,
    key_sizes={TaskStatistics: 4},
    touches=touches,
    finish={TaskStatistics: finish},
    keeping=StatisticsKeeping(),
)
