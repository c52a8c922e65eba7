"""The inputs and results of tasks, which stay in the log: one question for a page of tasks."""

from collections.abc import Iterable, Mapping
from typing import TypedDict

from events.facts import JSON, Fact
from events.models import Event
from events.registry import decoder
from events.vocabulary import AgentTaskAssignedEvent, AgentTaskCompletedEvent
from projections.tasks.queries import TaskFound

AT_ONCE = 1_000  # tasks, each with two events; SQLite takes no more than 32,766 parameters


class Payloads(TypedDict):
    """A task's input and result as they are stored, so perhaps sealed. None where there is none."""

    given: JSON
    result: JSON


def of(tenant: str, tasks: Iterable[TaskFound]) -> Mapping[str, Payloads]:
    """By task id, those of each task's newest attempt."""
    tasks = list(tasks)
    facts: dict[int, Fact] = {}
    for start in range(0, len(tasks), AT_ONCE):
        facts |= _facts(tenant, tasks[start : start + AT_ONCE])
    return {
        task.task_id: Payloads(
            given=_input(facts.get(task.assigned_seq)), result=_result(facts.get(task.seq))
        )
        for task in tasks
    }


def _facts(tenant: str, tasks: Iterable[TaskFound]) -> dict[int, Fact]:
    # Of a task that has ended, `seq` is its ending's.
    seqs = {seq for task in tasks for seq in (task.assigned_seq, task.seq)}
    rows = Event.objects.filter(tenant=tenant, seq__in=seqs).values_list(
        "seq", "type", "schema_version", "data"
    )
    return {seq: decoder(kind, version)(data) for seq, kind, version, data in rows}


def _input(fact: Fact | None) -> JSON:
    return fact.input if isinstance(fact, AgentTaskAssignedEvent) else None


def _result(fact: Fact | None) -> JSON:
    return fact.result if isinstance(fact, AgentTaskCompletedEvent) else None
