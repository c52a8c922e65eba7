"""The tables of this room; each stands in the folder of what keeps it."""

from projections.alerts.models import AgentTags, Alert, AlertRule
from projections.analytics.models import AgentTypeRow, StatisticsKept, TaskStatisticsRow
from projections.fleet.models import FleetRow
from projections.notify.models import Digest, Notice, WebhookSecret
from projections.relay.models import RelayedLog, RelayLink
from projections.tasks.models import TaskRow

__all__ = [
    "AgentTags",
    "AgentTypeRow",
    "Alert",
    "AlertRule",
    "Digest",
    "FleetRow",
    "Notice",
    "RelayLink",
    "RelayedLog",
    "StatisticsKept",
    "TaskRow",
    "TaskStatisticsRow",
    "WebhookSecret",
]
