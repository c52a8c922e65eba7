"""Current rows and claims out of the log alone: compared with the standing ones, or put in place.

    compare("acme")   what the standing rows have wrong, one Difference each
    rebuild("acme")   puts it right

Both are safe beside running commands: a row that a command wrote meanwhile is left to the command.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db import models, transaction

from agents.models import CurrentAgent, TaskClaim
from agents.retelling import CLAIM_COLUMNS, Retelling, Told
from events.log import read
from events.models import Event, TenantHead
from events.vocabulary import AgentTaskAssignedEvent

AT_ONCE = 500  # rows; while they are written, appends of the tenant wait
PASSES = 3
SHOWN = 60  # characters of a value in a message

Values = Mapping[str, Any]
NAME: Mapping[type[models.Model], str] = {CurrentAgent: "agent_id", TaskClaim: "task_id"}
_COLUMNS: Mapping[type[models.Model], tuple[str, ...]] = {
    CurrentAgent: (
        "version",
        "seq",
        "fold",
        "state",
        "name",
        "status",
        "intent",
        "health",
        "labels",
        "last_seen",
    ),
    TaskClaim: CLAIM_COLUMNS,
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that is not as the log tells it; None where there is none, or should be none."""

    model: type[models.Model]
    tenant: str
    name: str
    standing: Values | None
    told: Values | None

    def __str__(self) -> str:
        kind = "agent" if self.model is CurrentAgent else "task"
        if self.standing is None or self.told is None:
            what = "has no row" if self.standing is None else "has a row and no events"
            return f"{self.tenant}: {kind} {self.name} {what}."
        words = ", ".join(
            f"{column} is {_short(value)} instead of {_short(self.told[column])}"
            for column, value in self.standing.items()
            if value != self.told[column]
        )
        return f"{self.tenant}: {kind} {self.name}: {words}."


def _short(value: object) -> str:
    text = str(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """agents, tasks: how many the log tells of. written: how many rows had to be put right."""

    agents: int
    tasks: int
    written: int


class NotRebuilt(Exception):
    """Running commands kept spoiling some rows: they had loaded them while they were wrong."""

    def __init__(self, tenant: str, left: int) -> None:
        super().__init__(f"{tenant}: {left} rows are still wrong. Run rebuild again.")


def compare(tenant: str) -> tuple[Retelling, Iterator[Difference]]:
    """What the log tells, counted while the differences are walked. Raises Untellable."""
    head = read.head(tenant)
    retelling = Retelling(tenant, head.seq if head else 0)
    return retelling, _differences(retelling)


def rebuild(tenant: str) -> Rebuilt:
    """Put every row right. Raises Untellable, NotRebuilt."""
    written = found = 0
    # A command that had loaded a wrong row may still build on it: look again after each pass.
    for _ in range(PASSES):
        retelling, differences = compare(tenant)
        found = 0
        while batch := list(islice(differences, AT_ONCE)):
            found += len(batch)
            written += _put_right(tenant, batch)
        if not found:
            return Rebuilt(retelling.agents, retelling.tasks, written)
    raise NotRebuilt(tenant, found)


def _differences(retelling: Retelling) -> Iterator[Difference]:
    found = {CurrentAgent: 0, TaskClaim: 0}
    rows = retelling.rows()
    while batch := list(islice(rows, AT_ONCE)):
        for model in found:
            told = [row for row in batch if row.model is model]
            standing = _standing(model, retelling.tenant, [row.name for row in told])
            found[model] += len(standing)
            for row in told:
                difference = _difference(retelling, row, standing.get(row.name))
                if difference is not None:
                    yield difference
    for model, expected in found.items():
        yield from _strays(retelling, model, expected)


def _difference(retelling: Retelling, told: Told, standing: Values | None) -> Difference | None:
    values = dict(told.values)
    if standing is not None:
        seq = standing["seq"]
        if told.first_seq <= seq <= values["seq"]:
            values["seq"] = seq
        if standing == values or _written_since(retelling, seq):
            return None
    return Difference(told.model, retelling.tenant, told.name, standing, values)


def _written_since(retelling: Retelling, seq: int) -> bool:
    """Whether a command has written the row after the pass had begun; a seq beyond the head lies"""
    if seq <= retelling.last:
        return False
    head = read.head(retelling.tenant)
    return head is not None and seq <= head.seq


def _strays(retelling: Retelling, model: type[models.Model], found: int) -> Iterator[Difference]:
    """Rows of what the log does not know, looked for only when there are more rows than told."""
    every = _objects(model).filter(tenant=retelling.tenant)
    if every.count() <= found:
        return
    name, done = NAME[model], ""
    while batch := list(every.filter(**{f"{name}__gt": done}).order_by(name)[:AT_ONCE]):
        done = getattr(batch[-1], name)
        for row in batch:
            values = _values(row)
            if not _has_events(retelling.tenant, row) and not _written_since(
                retelling, values["seq"]
            ):
                yield Difference(model, retelling.tenant, getattr(row, name), values, None)


def _has_events(tenant: str, row: models.Model) -> bool:
    events = Event.objects.filter(tenant=tenant, stream_type="agent", stream_id=row.agent_id)  # type: ignore[attr-defined]
    if isinstance(row, TaskClaim):
        assigned = events.filter(
            version=row.assigned_version, type=AgentTaskAssignedEvent.wire_type()
        )
        return assigned.filter(data__contains=f'"{row.task_id}"').exists()
    return events.exists()


def _standing(model: type[models.Model], tenant: str, names: Sequence[str]) -> dict[str, Values]:
    name = NAME[model]
    rows = _objects(model).filter(tenant=tenant, **{f"{name}__in": names})
    return {getattr(row, name): _values(row) for row in rows}


def _values(row: models.Model) -> Values:
    return {column: getattr(row, column) for column in _COLUMNS[type(row)]}


def _objects(model: type[models.Model]) -> models.Manager[Any]:
    manager: models.Manager[Any] = model._default_manager  # noqa: SLF001 -- documented
    return manager


def _put_right(tenant: str, batch: Sequence[Difference]) -> int:
    """Write what the log tells, unless a command has touched the row since it was compared."""
    with transaction.atomic():
        # With the head held no append is under way, so no command's rows are half-written.
        TenantHead.objects.select_for_update().filter(tenant=tenant).first()
        return sum(_write(difference) for difference in batch)


def _write(difference: Difference) -> int:
    key = {"tenant_id": difference.tenant, NAME[difference.model]: difference.name}
    rows = _objects(difference.model).filter(
        tenant=difference.tenant, **{NAME[difference.model]: difference.name}
    )
    standing, told = difference.standing, difference.told
    if standing is None:
        if rows.exists() or told is None:
            return 0
        _objects(difference.model).create(**key, **told)
        return 1
    untouched = rows.filter(**standing)
    if told is None:
        return untouched.delete()[0]
    return untouched.update(**told)
