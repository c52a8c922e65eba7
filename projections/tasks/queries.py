"""The tasks of a tenant, filtered and in pages, newest first; and one task.

A page looks at no more than EXAMINED tasks, however little a filter finds, and is then returned
short; `next` says how far it came. Filters mean the same on both engines.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from events import generations
from events.facts import Number
from events.log.places import seq_before
from events.patterns import Pattern
from events.vocabulary import Usage
from projections.models import TaskRow
from projections.tasks import rows
from projections.tasks.readmodel import NAME
from projections.tasks.rows import Attempt, Task

EXAMINED = 10_000  # tasks, for one page


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to look for. agent: of whoever has the newest attempt. since is inclusive, until
    exclusive; both compare when the newest attempt's assignment was recorded."""

    task: Pattern | None = None
    statuses: Collection[str] | None = None
    agent: Pattern | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def one_agent(self) -> str | None:
        return self.agent.single if self.agent else None

    @property
    def passes_over(self) -> bool:
        """Whether tasks have to be looked at that are not wanted then."""
        several_agents = self.agent is not None and self.one_agent is None
        return self.task is not None or self.statuses is not None or several_agents


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event stands: in an agent's stream, at a version."""

    agent_id: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFound:
    """A task without its input and result: `assigned_in` and `ended_in` are the events that have
    them. attempts: in the order of their assignments, the newest last."""

    task_id: str
    agent_id: str
    status: str
    assigned_at: datetime
    ended_at: datetime | None
    execution_time_ms: Number | None
    usage: Usage | None
    error_code: str | None
    error_message: str | None
    attempts: tuple[Attempt, ...]
    assigned_in: Place
    ended_in: Place | None
    assigned_seq: int
    seq: int


@dataclass(frozen=True, slots=True)
class Page:
    """next: the assigned_seq of the last task examined, None when there is no more."""

    tasks: list[TaskFound]
    next: int | None


def find(tenant: str, task_id: str) -> TaskFound | None:
    found = _read(_live(tenant).filter(task_id=task_id))
    return found[0] if found else None


def page(tenant: str, wanted: Wanted, *, limit: int, before: int | None = None) -> Page:
    """The newest tasks; with `before` those that were assigned before that seq."""
    candidates = _within(_live(tenant), tenant, wanted, before).order_by("-assigned_seq")
    if wanted.one_agent is not None:
        candidates = candidates.filter(agent_id=wanted.one_agent)
    lowest = _last_examined(candidates) if wanted.passes_over else None
    fitting = candidates if lowest is None else candidates.filter(assigned_seq__gte=lowest)
    if wanted.agent is not None:
        fitting = fitting.filter(wanted.agent.condition("agent_id"))
    if wanted.task is not None:
        fitting = fitting.filter(wanted.task.condition("task_id"))
    if wanted.statuses is not None:
        fitting = fitting.filter(status__in=wanted.statuses)
    tasks = _read(fitting[: limit + 1])
    if len(tasks) > limit:
        return Page(tasks[:limit], tasks[limit - 1].assigned_seq)
    if lowest is not None and candidates.filter(assigned_seq__lt=lowest).exists():
        return Page(tasks, lowest)
    return Page(tasks, None)


def _within(
    candidates: QuerySet[TaskRow], tenant: str, wanted: Wanted, before: int | None
) -> QuerySet[TaskRow]:
    # recorded_at never decreases along a log, so a moment is a place in it.
    if wanted.since is not None:
        candidates = candidates.filter(assigned_seq__gt=seq_before(tenant, wanted.since))
    if wanted.until is not None:
        candidates = candidates.filter(assigned_seq__lte=seq_before(tenant, wanted.until))
    return candidates if before is None else candidates.filter(assigned_seq__lt=before)


def _last_examined(candidates: QuerySet[TaskRow]) -> int | None:
    """The assigned_seq of the last one that a page may look at; None when it may look at all."""
    seqs = candidates.values_list("assigned_seq", flat=True)
    return seqs[EXAMINED - 1 : EXAMINED].first()


def _live(tenant: str) -> QuerySet[TaskRow]:
    return generations.live(TaskRow, NAME, tenant)


def _read(found: QuerySet[TaskRow]) -> list[TaskFound]:
    return [_found(Task(*values)) for values in found.values_list(*Task.__struct_fields__)]


def _found(task: Task) -> TaskFound:
    return TaskFound(
        task_id=task.task_id,
        agent_id=task.agent_id,
        status=task.status,
        assigned_at=task.assigned_at,
        ended_at=task.ended_at,
        execution_time_ms=rows.execution_time_ms(task),
        usage=_usage(task.input_tokens, task.output_tokens),
        error_code=task.error_code,
        error_message=task.error_message,
        attempts=(*rows.earlier_attempts(task), rows.newest_attempt(task)),
        assigned_in=Place(task.agent_id, task.assigned_version),
        ended_in=None if task.ended_version is None else Place(task.agent_id, task.ended_version),
        assigned_seq=task.assigned_seq,
        seq=task.seq,
    )


def _usage(input_tokens: int | None, output_tokens: int | None) -> Usage | None:
    if input_tokens is None or output_tokens is None:
        return None
    return Usage(input_tokens, output_tokens)
