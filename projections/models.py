"""The tables of this room; each stands in the folder of what keeps it."""

from projections.alerts.models import AgentTags, Alert, AlertRule
from projections.notify.models import Digest, Notice, WebhookSecret

__all__ = ["AgentTags", "Alert", "AlertRule", "Digest", "Notice", "WebhookSecret"]
