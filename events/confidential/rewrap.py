"""Changing the key that wraps: each data key is wrapped anew, and no payload is touched.

Whatever was done stays done when it is stopped: the rest is what another key still wraps.
"""

from dataclasses import dataclass
from typing import NoReturn

from django.db import transaction

from events.confidential import form, keys
from events.confidential.keys import DataKey
from events.models import PayloadKey, TenantHead
from events.tenants import Refused

AT_ONCE = 500  # keys; while they are written, appends of the tenant wait


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """kek: what wraps now. done: how many keys. left: how many could not be unwrapped."""

    kek: str
    done: int
    left: int


def rewrap(tenant: str) -> Rewrapped:
    """Wrap the tenant's data keys with the first key of AGENTMESH_ENCRYPTION_KEYS.

    Raises Refused when none is set.
    """
    keks = keys.configured()
    first = next(iter(keks), None)
    if first is None:
        _refuse()
    done = left = 0
    after = ""
    while batch := _batch(tenant, first, after):
        after = batch[-1]
        with transaction.atomic():
            # As an append and an erasure do: the head first, then the keys.
            TenantHead.objects.select_for_update().filter(tenant=tenant).first()
            rewrapped = _rewrap(tenant, batch, first, keks)
        done += rewrapped
        left += len(batch) - rewrapped
    return Rewrapped(first, done, left)


def _batch(tenant: str, first: str, after: str) -> list[str]:
    others = PayloadKey.objects.filter(tenant=tenant, key_id__gt=after, wrapped__isnull=False)
    ids = others.exclude(kek=first).order_by("key_id").values_list("key_id", flat=True)
    return list(ids[:AT_ONCE])


def _rewrap(tenant: str, batch: list[str], first: str, keks: dict[str, bytes]) -> int:
    """How many of the batch are wrapped by the first key, or destroyed, when it is over."""
    rows = {row.key_id: row for row in PayloadKey.objects.filter(tenant=tenant, key_id__in=batch)}
    changed, done = [], 0
    for row in rows.values():
        if row.wrapped is None:  # erased since it was found
            done += 1
            continue
        try:
            data_key = keys.unwrapped(DataKey(row.key_id, bytes(row.wrapped), row.kek), keks)
        except (keys.Locked, form.Damaged):
            continue
        row.wrapped, row.kek = form.wrap(data_key, keks[first]), first
        changed.append(row)
    PayloadKey.objects.filter(tenant=tenant).bulk_update(changed, ["wrapped", "kek"])
    return done + len(changed)


def _refuse() -> NoReturn:
    raise Refused("There is no key to wrap with. Set AGENTMESH_ENCRYPTION_KEYS.")
