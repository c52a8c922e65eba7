"""What people see of alerts and do to them. What they do is a fact of the tenant's own stream.

Words as in `rule_services`. Another tenant's alert is not there.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from events import tenants
from events.idempotency import Receipt
from events.log import read
from events.log.proposal import Context
from events.tenant_facts import AlertAcknowledged, AlertResolved
from events.tenants import Refused
from projections.alerts import rules, standing, validation
from projections.alerts.models import Alert, State
from projections.notify import outbox
from projections.notify.models import Happened


@dataclass(frozen=True, slots=True)
class Page:
    """next: the last alert's id, None when there is no more."""

    alerts: list[Alert]
    next: uuid.UUID | None


def list_alerts(
    *,
    tenant: str,
    states: Sequence[State] | None = None,
    rule: str | None = None,
    agent_id: str | None = None,
    after: uuid.UUID | None = None,
    limit: int = 100,
) -> Page:
    """The newest first; those after the alert `after`."""
    found = Alert.objects.filter(tenant=tenant)
    if states is not None:
        found = found.filter(state__in=states)
    if rule is not None:
        found = found.filter(rule=rule)
    if agent_id is not None:
        found = found.filter(subject=agent_id)
    if after is not None:
        found = found.filter(id__lt=after)
    alerts = list(found.order_by("-id")[: limit + 1])
    more = len(alerts) > limit
    return Page(alerts[:limit], alerts[limit - 1].id if more else None)


def get_alert(*, tenant: str, alert_id: uuid.UUID) -> Alert:
    """Raises Refused (not_found)."""
    alert = Alert.objects.filter(tenant=tenant, pk=alert_id).first()
    if alert is None:
        raise Refused(f"There is no alert {alert_id} in {tenant}.", "not_found")
    return alert


def acknowledge_alert(
    *,
    tenant: str,
    alert_id: uuid.UUID,
    note: str = "",
    by: Context,
    receipt: Receipt | None = None,
) -> Alert:
    """Say that somebody cares for it: it stands until it is over, and is not told again.

    Again is no error and no fact. Raises Refused, also for an alert that is resolved.
    """
    note = validation.check_text("note", note)
    alert = get_alert(tenant=tenant, alert_id=alert_id)
    if alert.state == State.ACKNOWLEDGED:
        return _unchanged(alert, receipt)
    if alert.state == State.RESOLVED:
        raise Refused(
            "The alert is resolved, so there is nothing to acknowledge.",
            "rule_violated",
            rule="alert_resolved",
        )
    changes = {
        "state": State.ACKNOWLEDGED,
        "acknowledged_by": by.actor,
        "acknowledged_at": timezone.now(),
        "acknowledged_note": note,
    }
    as_read = Alert.objects.filter(tenant=tenant, pk=alert_id, state=State.OPEN)

    def write() -> None:
        if not as_read.update(**changes):
            raise _changed_meanwhile()

    fact = AlertAcknowledged(
        alert_id=str(alert.id), rule=alert.rule, agent_id=alert.agent_id, note=note
    )
    thing = _with(alert, changes)
    tenants.record(tenant, fact, by=by, within=write, receipt=receipt, thing=thing)
    return get_alert(tenant=tenant, alert_id=alert_id)


def resolve_alert(
    *,
    tenant: str,
    alert_id: uuid.UUID,
    reason: str,
    by: Context,
    receipt: Receipt | None = None,
) -> Alert:
    """Close it, over or not: what comes after it opens a new one. Again is no error and no fact."""
    reason = validation.check_text("reason", reason)
    if not reason:
        raise Refused("Say why the alert is resolved.", field="reason")
    alert = get_alert(tenant=tenant, alert_id=alert_id)
    if alert.state == State.RESOLVED:
        return _unchanged(alert, receipt)
    head = read.head(tenant)
    now = timezone.now()
    changes = {
        **standing.resolution(reason=reason, at=now, seq=head.seq if head else 0),
        "resolved_by": by.actor,
    }
    rule = rules.find(tenant, alert.rule)
    standing_still = Alert.objects.filter(tenant=tenant, pk=alert_id).exclude(state=State.RESOLVED)

    def write() -> None:
        if not standing_still.update(**changes):
            raise _changed_meanwhile()
        outbox.note(alert, rule.targets if rule else (), Happened.RESOLVED)

    fact = AlertResolved(
        alert_id=str(alert.id), rule=alert.rule, agent_id=alert.agent_id, reason=reason
    )
    thing = _with(alert, changes)
    tenants.record(tenant, fact, by=by, within=write, receipt=receipt, thing=thing)
    return get_alert(tenant=tenant, alert_id=alert_id)


def _with(alert: Alert, changes: dict[str, Any]) -> Alert:
    """The alert as it will be, for the door's answer."""
    for name, value in changes.items():
        setattr(alert, name, value)
    return alert


def _unchanged(alert: Alert, receipt: Receipt | None) -> Alert:
    if receipt:
        head = read.head(alert.tenant_id)
        receipt.unchanged(alert, head.seq if head else 0)
    return alert


def _changed_meanwhile() -> Refused:
    return Refused(
        "The alert was changed by somebody else, or has ended. Look again and decide again.",
        "conflict",
    )
