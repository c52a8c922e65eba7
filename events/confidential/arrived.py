"""Erasures that a log brings along when it is imported.

An import brings no keys, so nobody reads its sealed payloads. Of those that an erasure in the log
covers no key exists anywhere, and whoever looks is to be told so: they are kept as destroyed.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from events.cloudevents import AGENT_STREAM
from events.confidential import form
from events.confidential.form import MARK, OPAQUE, is_sealed
from events.log import read
from events.models import Event, PayloadKey
from events.tenant_facts import PayloadErased
from events.tenants import STREAM
from events.transfer.importing import log_imported

AT_ONCE = 1_000
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_value = msgspec.json.Decoder().decode


class _Erasure(NamedTuple):
    event: Event
    fact: PayloadErased

    def covers(self, key: PayloadKey) -> bool:
        return (
            key.seq < self.event.seq
            and self.fact.agent_id in (None, key.agent_id)
            and self.fact.task_id in (None, key.task_id)
        )


def listen() -> None:
    log_imported.connect(_keep_what_was_erased, dispatch_uid="events.confidential")


def _keep_what_was_erased(tenant: str, **_: object) -> None:
    erasures = list(_erasures(tenant))
    if not erasures:
        return
    destroyed: dict[tuple[str, str], PayloadKey] = {}
    for key in _keys(tenant):
        erasure = next((each for each in erasures if each.covers(key)), None)
        if erasure is not None:
            key.destroyed_at = erasure.event.recorded_at
            destroyed.setdefault((key.task_id, key.agent_id), key)
    # A file may name whatever keys it likes: one that is known here already is left as it is.
    PayloadKey.objects.bulk_create(destroyed.values(), batch_size=AT_ONCE, ignore_conflicts=True)


def _erasures(tenant: str) -> Iterator[_Erasure]:
    rows = Event.objects.filter(
        tenant=tenant, stream_type=STREAM, stream_id=tenant, type=PayloadErased.wire_type()
    )
    for row in rows.order_by("version"):
        fact = read.fact(row)
        if isinstance(fact, PayloadErased):
            yield _Erasure(row, fact)


def _keys(tenant: str) -> Iterator[PayloadKey]:
    """The keys that the log's sealed payloads name, each as of its first."""
    sealed = Event.objects.filter(
        tenant=tenant, stream_type=AGENT_STREAM, type__in=OPAQUE, data__contains=f'"{MARK}"'
    )
    for row in sealed.order_by("seq").iterator(chunk_size=AT_ONCE):
        try:
            fields = _fields(row.data)
            payload = _value(fields[OPAQUE[row.type]])
            task_id = str(_value(fields["task_id"]))
            if is_sealed(payload) and payload[MARK] != form.ERASED:
                yield PayloadKey(
                    key_id=form.parse(payload[MARK]).key,
                    tenant_id=tenant,
                    task_id=task_id,
                    agent_id=row.stream_id,
                    kek="",
                    seq=row.seq,
                    created_at=row.recorded_at,
                )
        except (form.Damaged, KeyError, msgspec.DecodeError):
            continue  # no payload of ours, and none that anybody could read
