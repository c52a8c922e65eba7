"""Revealing: what somebody may read of sealed payloads, and why not of the others.

Where a payload cannot be shown stands {"$confidential": <why>}. The first that applies, for
everybody alike but for `sealed`:

    erased      its key was destroyed
    missing     there is no such key: a log without its keys, as an import brings it
    sealed      whoever reads may not read payloads
    locked      the key that wraps its key is not configured here
    unreadable  the ciphertext or the key is damaged, or stands in another place

Keys are read anew for every answer and kept by nobody, so an erasure holds from its commit on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import msgspec

from events.confidential import form, keys
from events.confidential.form import MARK, OPAQUE, Place, is_sealed
from events.confidential.keys import DataKey
from events.facts import JSON, Fact
from events.models import Event, PayloadKey

AT_ONCE = 1_000  # keys of one query; SQLite takes no more than 32,766 parameters

F = TypeVar("F", bound=Fact)
Fields = dict[str, msgspec.Raw]

_fields = msgspec.json.Decoder(Fields).decode
_text = msgspec.json.Decoder(str).decode
_value = msgspec.json.Decoder().decode
_encode = msgspec.json.encode
_MARKED = f'"{MARK}"'


class Why(StrEnum):
    """Why a payload is not shown."""

    ERASED = form.ERASED
    MISSING = "missing"
    SEALED = "sealed"
    LOCKED = "locked"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Keys:
    """What the database says of some data keys, at one moment, and the keys that wrap them."""

    rows: Mapping[str, DataKey]
    keks: dict[str, bytes]

    def shown(self, stored: JSON, place: Place, *, plain: bool) -> bytes:
        """The JSON text of a sealed payload, or of the reason why it is not shown."""
        try:
            return self._opened(stored[MARK], place, plain=plain)
        except keys.Locked:
            return _reason(Why.LOCKED)
        except form.Damaged:
            return _reason(Why.UNREADABLE)

    def _opened(self, content: JSON, place: Place, *, plain: bool) -> bytes:
        if content == form.ERASED:
            return _reason(Why.ERASED)
        payload = form.parse(content)
        key = self.rows.get(payload.key)
        if key is None:
            return _reason(Why.MISSING)
        if key.wrapped is None:
            return _reason(Why.ERASED)
        if not plain:
            return _reason(Why.SEALED)
        return form.open_sealed(payload, keys.unwrapped(key, self.keks), place)


NO_KEYS = Keys({}, {})


def read_keys(tenant: str, key_ids: Iterable[str]) -> Keys:
    """The rows of these keys now, of those that the tenant has: one query for a page."""
    wanted = sorted(set(key_ids))
    rows: dict[str, DataKey] = {}
    for start in range(0, len(wanted), AT_ONCE):
        found = PayloadKey.objects.filter(tenant=tenant, key_id__in=wanted[start : start + AT_ONCE])
        for key_id, wrapped, kek in found.values_list("key_id", "wrapped", "kek"):
            rows[key_id] = DataKey(key_id, None if wrapped is None else bytes(wrapped), kek)
    return Keys(rows, keys.configured())


@dataclass(frozen=True, slots=True)
class SealedData:
    """The data of one event with a sealed payload, taken apart."""

    fields: Fields
    stored: JSON
    place: Place

    @classmethod
    def of(cls, row: Event) -> "SealedData | None":
        """None when the row has no sealed payload, or none that can be told from its data."""
        field = OPAQUE.get(row.type)
        if field is None or _MARKED not in row.data:
            return None
        try:
            fields = _fields(row.data)
            stored = _value(fields[field])
            place = Place(row.tenant_id, row.stream_id, _text(fields["task_id"]), field)
        except (msgspec.MsgspecError, KeyError):
            return None
        return cls(fields, stored, place) if is_sealed(stored) else None

    @property
    def key_ids(self) -> list[str]:
        return _key_ids(self.stored)

    def revealed(self, known: Keys, *, plain: bool) -> str:
        """The event's data as a reader sees it; but for the payload to the byte as stored."""
        shown = known.shown(self.stored, self.place, plain=plain)
        return _encode({**self.fields, self.place.field: msgspec.Raw(shown)}).decode()


def of_rows(rows: Sequence[Event], *, plain: bool) -> dict[int, str]:
    """seq → data for those rows of one tenant whose stored data is not what a reader sees."""
    sealed = {row.seq: found for row in rows if (found := SealedData.of(row)) is not None}
    if not sealed:
        return {}
    key_ids = [key_id for each in sealed.values() for key_id in each.key_ids]
    known = read_keys(rows[0].tenant_id, key_ids)
    return {seq: each.revealed(known, plain=plain) for seq, each in sealed.items()}


def of_tasks(tenant: str, tasks: Sequence[dict[str, Any]], *, plain: bool) -> list[dict[str, Any]]:
    """Tasks as JSON-ready dicts {agent_id, task_id, input, result, …}, their payloads revealed.

    Whatever else is among them is given back as it is.
    """
    sealed = [stored for task in tasks for stored in _payloads_of(task).values()]
    if not sealed:
        return list(tasks)
    known = read_keys(tenant, [key_id for stored in sealed for key_id in _key_ids(stored)])
    return [
        {
            **task,
            **{
                field: _value(
                    known.shown(
                        stored,
                        Place(tenant, str(task["agent_id"]), str(task["task_id"]), field),
                        plain=plain,
                    )
                )
                for field, stored in _payloads_of(task).items()
            },
        }
        for task in tasks
    ]


def of_event(event: F) -> F:
    """The event with its payload in plain, for a handler that may read it: one query.

    Without an envelope there is no tenant, and the event is given back as it is.
    """
    field = OPAQUE.get(event.type)
    envelope = event.envelope
    if field is None or envelope is None:
        return event
    fact: Any = event
    stored = getattr(fact, field)
    if not is_sealed(stored):
        return event
    place = Place(envelope.tenant, fact.agent_id, fact.task_id, field)
    shown = read_keys(place.tenant, _key_ids(stored)).shown(stored, place, plain=True)
    return msgspec.structs.replace(event, **{field: _value(shown)}).with_envelope(envelope)


def _payloads_of(task: Mapping[str, Any]) -> dict[str, JSON]:
    if "task_id" not in task or "agent_id" not in task:
        return {}
    return {field: task[field] for field in OPAQUE.values() if is_sealed(task.get(field))}


def _key_ids(stored: JSON) -> list[str]:
    try:
        return [form.parse(stored[MARK]).key]
    except form.Damaged:
        return []


def _reason(why: Why) -> bytes:
    return _encode({MARK: why.value})
