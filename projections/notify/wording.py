"""What a digest says, as a mail and as JSON: how many alerts opened and resolved, and the first of
them by name.

An agent's words stand in details, which hold no line break, and never in a title: nothing that an
agent says becomes a header.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from django.conf import settings

from events.moments import rfc3339
from projections.alerts.models import Alert, State
from projections.alerts.troubles import one_line

SHOWN = 20
TYPE = "alerts.digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What became of alerts since the last digest, oldest first. An alert that opened and resolved
    meanwhile is in both. unresolved: how many of the tenant's stand now."""

    tenant: str
    opened: Sequence[Alert]
    resolved: Sequence[Alert]
    unresolved: int
    at: datetime


def title(news: News) -> str:
    """One line: `acme: 3 alerts opened, 1 resolved`."""
    if len(news.opened) == 1 and not news.resolved:
        (alert,) = news.opened
        return one_line(f"{news.tenant}: {_name(alert)}")
    parts = [f"{_alerts(len(news.opened))} opened"] if news.opened else []
    if news.resolved:
        number = f"{len(news.resolved):,}" if parts else _alerts(len(news.resolved))
        parts.append(f"{number} resolved")
    return f"{news.tenant}: {', '.join(parts)}"


def mail(news: News) -> str:
    lines = [title(news) + ".", ""]
    for heading, alerts, line in (
        ("Opened", news.opened, _opened),
        ("Resolved", news.resolved, _resolved),
    ):
        if not alerts:
            continue
        by_rule = Counter(alert.rule for alert in alerts)
        counts = ", ".join(f"{number:,} {rule}" for rule, number in by_rule.most_common(SHOWN))
        lines += [f"{heading}: {counts}", ""]
        for alert in alerts[:SHOWN]:
            lines += [*line(alert), ""]
        if len(alerts) > SHOWN:
            lines += [f"  and {len(alerts) - SHOWN:,} more", ""]
    lines += [
        f"Not resolved now: {news.unresolved:,}",
        f"{settings.PUBLIC_URL}/admin/",
    ]
    return "\n".join(lines) + "\n"


def post(news: News) -> str:
    """JSON: {type, timestamp, data}, as Standard Webhooks recommends."""
    return msgspec.json.encode(
        {
            "type": TYPE,
            "timestamp": rfc3339(news.at),
            "data": {
                "tenant": news.tenant,
                "title": title(news),
                "opened": _part(news.opened),
                "resolved": _part(news.resolved),
                "unresolved": news.unresolved,
            },
        }
    ).decode()


def _part(alerts: Sequence[Alert]) -> dict[str, Any]:
    return {
        "count": len(alerts),
        "by_rule": dict(Counter(alert.rule for alert in alerts)),
        "first": [_as_json(alert) for alert in alerts[:SHOWN]],
    }


def _as_json(alert: Alert) -> dict[str, Any]:
    return {
        "alert_id": str(alert.id),
        "rule": alert.rule,
        "agent_id": alert.agent_id,
        "state": alert.state,
        "detail": alert.detail,
        "opened_at": rfc3339(alert.opened_at),
        "resolved_at": rfc3339(alert.resolved_at) if alert.resolved_at else None,
        "resolved_reason": alert.resolved_reason,
        "url": _url(alert),
    }


def _alerts(number: int) -> str:
    return f"{number:,} alert" if number == 1 else f"{number:,} alerts"


def _name(alert: Alert) -> str:
    return f"{alert.rule}, {alert.agent_id}" if alert.agent_id else alert.rule


def _opened(alert: Alert) -> list[str]:
    over = " (resolved meanwhile)" if alert.state == State.RESOLVED else ""
    moment = alert.opened_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return [f"- {_name(alert)}, {moment}{over}", f"  {alert.detail}", f"  {_url(alert)}"]


def _resolved(alert: Alert) -> list[str]:
    reason = one_line(alert.resolved_reason or "")
    return [f"- {_name(alert)}: {reason}", f"  {_url(alert)}"]


def _url(alert: Alert) -> str:
    """A page that stays: the agent's, or that of the event it began with."""
    tenant = f"{settings.PUBLIC_URL}/t/{alert.tenant_id}"
    if alert.agent_id:
        return f"{tenant}/agents/{alert.agent_id}"
    if alert.event_id:
        return f"{tenant}/events/{alert.event_id}"
    return f"{settings.PUBLIC_URL}/admin/"
