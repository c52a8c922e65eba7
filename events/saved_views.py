"""Queries of the timeline that a tenant's people keep and share. They are no facts: who reads the
log by them, and how they are called, changes nothing of the fleet and nothing of who may do what.

A refusal is `events.tenants.Refused`, which names the field. `receipt`: see `events.idempotency`.
"""

import uuid
from collections.abc import Mapping

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from events.idempotency import Receipt
from events.log import read
from events.models import SavedView
from events.tenants import Refused

NAME_LENGTH = 100
MOST_VIEWS = 1_000  # of one tenant


def of(tenant: str) -> "QuerySet[SavedView]":
    """All of the tenant's, by name."""
    return SavedView.objects.filter(tenant=tenant).order_by("name")


def create(
    tenant: str, *, name: str, query: Mapping[str, str], by: str, receipt: Receipt
) -> SavedView:
    """A new view. query: checked by the door, as that of /events is. Raises Refused."""
    _check_name(name)
    view = SavedView(tenant_id=tenant, name=name, query=dict(query), created_by=by, updated_by=by)
    view.updated_at = view.created_at
    with transaction.atomic():
        if of(tenant).count() >= MOST_VIEWS:
            raise Refused(
                f"A tenant has at most {MOST_VIEWS:,} saved views. Delete one that nobody needs.",
                "rule_violated",
                rule="too_many",
            )
        _store(view, receipt)
    return view


def change(
    tenant: str,
    view_id: uuid.UUID,
    *,
    name: str | None = None,
    query: Mapping[str, str] | None = None,
    by: str,
    receipt: Receipt,
) -> SavedView:
    """What is given, anew. Raises Refused; not_found for a view that is not there any more."""
    with transaction.atomic():
        view = of(tenant).select_for_update().filter(pk=view_id).first()
        if view is None:
            raise _not_found()
        before = (view.name, view.query)
        if name is not None:
            _check_name(name)
            view.name = name
        if query is not None:
            view.query = dict(query)
        if (view.name, view.query) == before:
            receipt.unchanged(view, _head(tenant))
            return view
        view.updated_by, view.updated_at = by, timezone.now()
        _store(view, receipt)
    return view


def delete(tenant: str, view_id: uuid.UUID, *, receipt: Receipt) -> None:
    """Raises Refused (not_found)."""
    with transaction.atomic():
        gone, _ = of(tenant).filter(pk=view_id).delete()
        if not gone:
            raise _not_found()
        receipt.unchanged(None, _head(tenant))


def _store(view: SavedView, receipt: Receipt) -> None:
    """Write the view, and with it the answer of the request that asked for it."""
    try:
        with transaction.atomic():
            view.save()
    except IntegrityError:
        raise Refused(
            f"There is a saved view {view.name!r} already. Choose another name.",
            "already_exists",
            "name",
        ) from None
    receipt.unchanged(view, _head(view.tenant_id))


def _head(tenant: str) -> int:
    head = read.head(tenant)
    return head.seq if head else 0


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= NAME_LENGTH or not name.isprintable() or name != name.strip():
        raise Refused(
            f"A view's name has 1 to {NAME_LENGTH} printable characters and no blank at either "
            "end.",
            field="name",
        )


def _not_found() -> Refused:
    return Refused("There is no such saved view.", "not_found")
