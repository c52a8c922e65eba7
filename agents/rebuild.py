"""Agents' rows, current and past, claims and suspicions of a mass loss out of the log alone:
compared with the standing ones, or put in place.

    compare("acme")   what the standing rows have wrong, one Difference each
    rebuild("acme")   puts it right

Both are safe beside running commands: a row that a command wrote meanwhile is left to the command.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db import models, transaction
from django.db.models import Q

from agents import mass_loss, states
from agents.models import AgentState, CurrentAgent, MassLoss, TaskClaim
from agents.retelling import CLAIM_COLUMNS, Retelling, Told
from events.log import read
from events.models import Event, TenantHead
from events.vocabulary import AgentTaskAssignedEvent

AT_ONCE = 500  # rows; while they are written, appends of the tenant wait
PASSES = 3
SHOWN = 60  # characters of a value in a message

Values = Mapping[str, Any]
Key = tuple[Any, ...]
_KEY: Mapping[type[models.Model], tuple[str, ...]] = {
    CurrentAgent: ("agent_id",),
    AgentState: ("agent_id", "version"),
    TaskClaim: ("task_id",),
    MassLoss: ("tenant_id",),
}
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
        "due_at",
        "silent_at",
        "tasks_completed",
        "tasks_failed",
        "idle_since",
    ),
    AgentState: ("seq", "fold", "state"),
    TaskClaim: CLAIM_COLUMNS,
    MassLoss: ("state", "heard_since", "seq"),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that is not as the log tells it; None where there is none, or should be none."""

    model: type[models.Model]
    tenant: str
    key: Key
    standing: Values | None
    told: Values | None

    @property
    def name(self) -> str:
        if self.model is MassLoss:
            return "its mass loss"
        kind = "task" if self.model is TaskClaim else "agent"
        return f"{kind} {' at version '.join(map(str, self.key))}"

    def __str__(self) -> str:
        if self.standing is None or self.told is None:
            stray = "is not kept" if self.model is AgentState else "has a row and no events"
            what = "has no row" if self.standing is None else stray
            return f"{self.tenant}: {self.name} {what}."
        words = ", ".join(
            f"{column} is {_short(value)} instead of {_short(self.told[column])}"
            for column, value in self.standing.items()
            if value != self.told[column]
        )
        return f"{self.tenant}: {self.name}: {words}."


def _short(value: object) -> str:
    text = str(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """agents, tasks, states (of the past): how many the log tells of. written: how many rows had
    to be put right."""

    agents: int
    tasks: int
    states: int
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
            return Rebuilt(retelling.agents, retelling.tasks, retelling.states, written)
    raise NotRebuilt(tenant, found)


def _differences(retelling: Retelling) -> Iterator[Difference]:
    found = dict.fromkeys(_KEY, 0)
    rows = retelling.rows()
    while batch := list(islice(rows, AT_ONCE)):
        for model in found:
            told = [row for row in batch if row.model is model]
            standing = _standing(model, retelling.tenant, [row.key for row in told])
            found[model] += len(standing)
            for row in told:
                difference = _difference(retelling, row, standing.get(row.key))
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
        if standing == values:
            return None
        # A state of the past is written once, with its event, which the pass has met.
        if told.model is not AgentState and _written_since(retelling, seq):
            return None
    return Difference(told.model, retelling.tenant, told.key, standing, values)


def _written_since(retelling: Retelling, seq: int) -> bool:
    """Whether a command has written the row after the pass had begun; a seq beyond the head lies"""
    if seq <= retelling.last:
        return False
    head = read.head(retelling.tenant)
    return head is not None and seq <= head.seq


def _strays(retelling: Retelling, model: type[models.Model], found: int) -> Iterator[Difference]:
    """Rows of what the log does not know, looked for only when there are more rows than told."""
    every = _objects(model).filter(tenant=retelling.tenant).order_by(*_KEY[model])
    if every.count() <= found:
        return
    following = every
    while batch := list(following[:AT_ONCE]):
        following = every.filter(_beyond(model, _key(batch[-1])))
        for row in batch:
            if _is_stray(retelling, row):
                yield Difference(model, retelling.tenant, _key(row), _values(row), None)


def _is_stray(retelling: Retelling, row: models.Model) -> bool:
    if isinstance(row, AgentState):
        return not (states.due(row.version) and _has_version(retelling, row))
    values = _values(row)
    return not _has_events(retelling.tenant, row) and not _written_since(retelling, values["seq"])


def _has_version(retelling: Retelling, row: AgentState) -> bool:
    if 0 < row.version <= retelling.version_of(row.agent_id):
        return True
    events = Event.objects.filter(
        tenant=retelling.tenant, stream_type="agent", stream_id=row.agent_id
    )
    return events.filter(version=row.version).exists()


def _has_events(tenant: str, row: models.Model) -> bool:
    if isinstance(row, MassLoss):
        return mass_loss.recorded(tenant, row.seq).exists()
    events = Event.objects.filter(tenant=tenant, stream_type="agent", stream_id=row.agent_id)  # type: ignore[attr-defined]
    if isinstance(row, TaskClaim):
        assigned = events.filter(
            version=row.assigned_version, type=AgentTaskAssignedEvent.wire_type()
        )
        return assigned.filter(data__contains=f'"{row.task_id}"').exists()
    return events.exists()


def _standing(model: type[models.Model], tenant: str, keys: Sequence[Key]) -> dict[Key, Values]:
    if not keys:
        return {}
    rows = _objects(model).filter(_among(model, keys), tenant=tenant)
    return {_key(row): _values(row) for row in rows}


def _among(model: type[models.Model], keys: Sequence[Key]) -> Q:
    if len(_KEY[model]) == 1:
        return Q(**{f"{_KEY[model][0]}__in": [key[0] for key in keys]})
    # States: a few versions of many agents, or many of a few; the fewer conditions, the faster.
    ways = (_by(model, keys, 0), _by(model, keys, 1))
    return Q(*min(ways, key=len), _connector=Q.OR)


def _by(model: type[models.Model], keys: Sequence[Key], place: int) -> list[Q]:
    """Of a key of two parts a condition for each value of one, with all values of the other."""
    same, differs = _KEY[model][place], _KEY[model][1 - place]
    grouped: dict[Any, list[Any]] = {}
    for key in keys:
        grouped.setdefault(key[place], []).append(key[1 - place])
    return [Q(**{same: value, f"{differs}__in": others}) for value, others in grouped.items()]


def _beyond(model: type[models.Model], key: Key) -> Q:
    """Rows that come after this key in the order of keys."""
    condition = Q()
    equal: dict[str, Any] = {}
    for name, value in named(model, key).items():
        condition |= Q(**equal, **{f"{name}__gt": value})
        equal[name] = value
    return condition


def named(model: type[models.Model], key: Key) -> dict[str, Any]:
    """A key's columns by their names."""
    return dict(zip(_KEY[model], key, strict=True))


def _key(row: models.Model) -> Key:
    return tuple(getattr(row, name) for name in _KEY[type(row)])


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
        written = sum(_correct(each) for each in batch if each.standing is not None)
        for model in _KEY:
            missing = [each for each in batch if each.model is model and each.standing is None]
            written += _fill_in(model, tenant, missing)
        return written


def _correct(difference: Difference) -> int:
    key, told = named(difference.model, difference.key), difference.told
    rows = _objects(difference.model).filter(tenant=difference.tenant, **key)
    untouched = rows.filter(**(difference.standing or {}))
    if told is None:
        return untouched.delete()[0]
    return untouched.update(**told)


def _fill_in(model: type[models.Model], tenant: str, missing: Sequence[Difference]) -> int:
    there = _standing(model, tenant, [each.key for each in missing])
    rows = [
        model(**{"tenant_id": tenant} | named(model, each.key), **(each.told or {}))
        for each in missing
        if each.key not in there
    ]
    return len(_objects(model).bulk_create(rows))
