"""Sealing: what becomes of facts with payloads between the decision and the append.

A data key belongs to one task with one agent. Its row is written by the very statement that appends
the facts, so there is no event without its key, whenever the process dies.
"""

import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import msgspec
from django.db import connection

from events.confidential import form, keys
from events.confidential.form import OPAQUE, Place
from events.confidential.keys import DataKey
from events.facts import JSON, DomainEvent, utc_now
from events.log.errors import AppendRefused
from events.log.rows import How, Put
from events.models import PayloadKey, Tenant

ASSIGNED = "AgentTaskAssignedEvent"


class CannotSeal(AppendRefused):
    """A payload has to be sealed, and the key for it is not at hand. Nothing is stored plain."""


class TaskErased(AppendRefused):
    """The task's payloads were erased, so it is given no new one."""

    def __init__(self, task_id: str) -> None:
        super().__init__(
            f"The payloads of task {task_id} were erased, so it takes no new input. "
            f"Use a new task_id."
        )


class _Task(NamedTuple):
    agent_id: str
    task_id: str


class _Open(NamedTuple):
    key_id: str
    data_key: bytes


@dataclass(frozen=True, slots=True)
class _Standing:
    """What the database says: whether new payloads are confidential, and the tasks' keys."""

    is_confidential: bool
    keys: dict[_Task, DataKey]
    erased: frozenset[str]  # tasks of which a key was destroyed

    def has_erased(self, task: _Task) -> bool:
        """Whether what the agent says of the task now is erased. Its own key tells; without one,
        as of a task without an input, any destroyed key of the task counts."""
        own = self.keys.get(task)
        return own.wrapped is None if own else task.task_id in self.erased


class Sealer:
    """Seals the payloads of one tenant's facts on their way into one append.

    An append of many commands may assign a task and complete it: tell `keep` whose rows are in.
    For many `read` looks all their tasks up at once.
    """

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self._kept: dict[_Task, DataKey] = {}
        self._read: frozenset[str] = frozenset()
        self._found: _Standing | None = None

    def read(self, task_ids: Iterable[str]) -> None:
        """Look up what concerns these tasks: one query, and none for them afterwards."""
        self._read = frozenset(task_ids)
        self._found = _standing(self.tenant, sorted(self._read)) if self._read else None

    def keep(self, rows: Sequence[Put]) -> None:
        """These rows, which `seal` gave, will be written; what follows uses their keys."""
        for row in (row for row in rows if row.how is How.INSERT):
            task = _Task(row.key["agent_id"], row.key["task_id"])
            self._kept[task] = DataKey(
                row.values["key_id"], row.values["wrapped"], row.values["kek"]
            )

    def seal(self, facts: Sequence[DomainEvent]) -> tuple[Sequence[DomainEvent], list[Put]]:
        """The facts as they are to be stored, and the rows to be written with them.

        Facts without a payload cost nothing, others one indexed query. A result that comes after
        its erasure is kept as erased. Raises CannotSeal; TaskErased for an input.
        """
        task_ids = {fact.task_id for fact in facts if _payload(fact) is not None}  # type: ignore[attr-defined]
        if not task_ids:
            return facts, []
        standing = self._found if self._found and task_ids <= self._read else None
        standing = standing or _standing(self.tenant, sorted(task_ids))
        used: dict[_Task, _Open] = {}
        rows: list[Put] = []
        return [self._stored(fact, standing, used, rows) for fact in facts], rows

    def _stored(
        self, fact: DomainEvent, standing: _Standing, used: dict[_Task, _Open], rows: list[Put]
    ) -> DomainEvent:
        payload = _payload(fact)
        if payload is None:
            return fact
        field, task = OPAQUE[fact.type], _Task(fact.agent_id, cast("Any", fact).task_id)
        if fact.type == ASSIGNED and task.task_id in standing.erased:
            raise TaskErased(task.task_id)
        if standing.has_erased(task):
            return msgspec.structs.replace(fact, **{field: {form.MARK: form.ERASED}})
        if not standing.is_confidential:
            return fact
        if task not in used:
            used[task] = self._key(task, standing, rows)
        key = used[task]
        text = msgspec.json.encode(payload)
        sealed = form.seal(text, key.data_key, key.key_id, Place(self.tenant, *task, field))
        return msgspec.structs.replace(fact, **{field: sealed})

    def _key(self, task: _Task, standing: _Standing, rows: list[Put]) -> _Open:
        standing_key = self._kept.get(task) or standing.keys.get(task)
        if standing_key is not None:
            return self._opened(task, standing_key)
        key, row = self._new(task)
        rows.append(row)
        # Were one of these destroyed meanwhile, a new key would outlive its task's erasure.
        others = (
            (other, known)
            for other, known in standing.keys.items()
            if other.task_id == task.task_id
        )
        rows += (_still_there(self.tenant, other, known) for other, known in others)
        return key

    def _opened(self, task: _Task, key: DataKey) -> _Open:
        try:
            return _Open(key.key_id, keys.unwrapped(key, keys.configured()))
        except keys.Locked:
            raise CannotSeal(
                f"The key of task {task.task_id} is wrapped with {key.kek}, which is not among "
                f"AGENTMESH_ENCRYPTION_KEYS here. Add that key."
            ) from None
        except form.Damaged:
            raise CannotSeal(
                f"The key of task {task.task_id} is damaged. Restore its row of "
                f"{PayloadKey._meta.db_table} from a backup."
            ) from None

    def _new(self, task: _Task) -> tuple[_Open, Put]:
        kek = next(iter(keys.configured().items()), None)
        if kek is None:
            raise _no_key(self.tenant)
        made = _Open(secrets.token_hex(16), os.urandom(form.KEY_BYTES))
        row = Put(
            PayloadKey,
            How.INSERT,
            {"tenant_id": self.tenant, "task_id": task.task_id, "agent_id": task.agent_id},
            {
                "key_id": made.key_id,
                "wrapped": form.wrap(made.data_key, kek[1]),
                "kek": kek[0],
                "created_at": utc_now(),
            },
            "seq",
        )
        return made, row


def check_key(tenant: str) -> None:
    """Before much is begun: raises CannotSeal where payloads are confidential and no key is set."""
    confidential = Tenant.objects.filter(slug=tenant, confidential_payloads=True)
    if not keys.configured() and confidential.exists():
        raise _no_key(tenant)


def _no_key(tenant: str) -> CannotSeal:
    return CannotSeal(
        f"The payloads of {tenant} are confidential, but no key encrypts them. "
        f"Set AGENTMESH_ENCRYPTION_KEYS."
    )


def _still_there(tenant: str, task: _Task, key: DataKey) -> Put:
    """Changes nothing, and is refused when the key has been destroyed."""
    return Put(
        PayloadKey,
        How.UPDATE,
        {"tenant_id": tenant, "task_id": task.task_id, "agent_id": task.agent_id},
        {"key_id": key.key_id},
        only_if={"destroyed_at": None},
    )


def _payload(fact: DomainEvent) -> JSON:
    field = OPAQUE.get(fact.type)
    return None if field is None else getattr(fact, field)


def _standing(tenant: str, task_ids: Sequence[str]) -> _Standing:
    places = ", ".join(["%s"] * len(task_ids))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.confidential_payloads, k.agent_id, k.task_id, k.key_id, k.wrapped, k.kek "
            "FROM events_tenant t LEFT JOIN events_payloadkey k "
            f"ON k.tenant_id = t.slug AND k.task_id IN ({places}) WHERE t.slug = %s",
            [*task_ids, tenant],
        )
        rows = cursor.fetchall()
    found = {
        _Task(agent_id, task_id): DataKey(key_id, wrapped and bytes(wrapped), kek)
        for _, agent_id, task_id, key_id, wrapped, kek in rows
        if key_id is not None
    }
    erased = frozenset(task.task_id for task, key in found.items() if key.wrapped is None)
    return _Standing(any(row[0] for row in rows), found, erased)
