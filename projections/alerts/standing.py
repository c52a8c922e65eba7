"""Opening and resolving, so that each happens once and is told once.

Everything here is compare-and-set or a unique constraint: the same event may be handled twice, or
by two processes at once, and one of them finds that there is nothing left to do.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q

from events.scoping import TenantQuerySet
from projections.alerts.models import UNRESOLVED, Alert, State
from projections.alerts.rules import Rule
from projections.notify import outbox
from projections.notify.models import Happened


class Meanwhile(Exception):
    """The alert was changed by somebody else meanwhile: look again."""


def unresolved(tenant: str, subject: str) -> dict[str, Alert]:
    """What stands against a subject, by rule."""
    rows = Alert.objects.filter(UNRESOLVED, tenant=tenant, subject=subject)
    return {alert.rule: alert for alert in rows}


def newest(tenant: str, rule: str, subject: str) -> Alert | None:
    alerts = Alert.objects.filter(tenant=tenant, subject=subject, rule=rule)
    return alerts.order_by("-opened_seq", "-id").first()


def open_alert(rule: Rule, alert: Alert) -> None:
    """Store the alert, and note it for whoever the rule tells. Raises Meanwhile when one stands
    already, or the event has opened one before."""
    try:
        with transaction.atomic():
            alert.save(force_insert=True)
            outbox.note(alert, rule.targets, Happened.OPENED)
    except IntegrityError:
        raise Meanwhile from None


def move(alert: Alert, **changes: Any) -> None:
    """Change an alert that stands as it was read. Raises Meanwhile."""
    if not as_read(alert).update(**changes):
        raise Meanwhile


def resolve(
    alert: Alert, rule: Rule | None, *, reason: str, at: datetime, seq: int, **changes: Any
) -> None:
    """Resolve an alert that stands as it was read. Raises Meanwhile.

    rule: as it is now; None when it is gone, and then nobody is told.
    """
    with transaction.atomic():
        move(alert, **resolution(reason=reason, at=at, seq=seq), **changes)
        if rule is not None:
            outbox.note(alert, rule.targets, Happened.RESOLVED)


def resolution(*, reason: str, at: datetime, seq: int) -> Mapping[str, Any]:
    return {
        "state": State.RESOLVED,
        "troubles": [],
        "lapses_at": None,
        "resolved_at": at,
        "resolved_seq": seq,
        "resolved_reason": reason,
    }


def as_read(alert: Alert) -> TenantQuerySet[Alert]:
    """The row, while it stands as it was read. Acknowledging it changes nothing for events."""
    rows: TenantQuerySet[Alert] = Alert.objects.filter(  # type: ignore[assignment]
        Q(UNRESOLVED), tenant=alert.tenant_id, pk=alert.pk, last_seq=alert.last_seq
    )
    return rows
