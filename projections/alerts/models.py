"""The tables of rules and alerts."""

from typing import ClassVar, Self

from django.db import models
from django.utils import timezone

from events.log.proposal import uuid7
from events.models import Tenant
from events.scoping import TenantManager

NAME_LENGTH = 100
AGENT_ID_LENGTH = 256
DETAIL_LENGTH = 300
ACTOR_LENGTH = 300


class Kind(models.TextChoices):
    """What a rule looks at: single events, or how many of the tasks that ended were completed."""

    EVENT = "event"
    COMPLETION_RATE = "completion_rate"


class State(models.TextChoices):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


UNRESOLVED = models.Q(state__in=[State.OPEN.value, State.ACKNOWLEDGED.value])


class AlertRule(models.Model):
    """What `projections.alerts.rules.Rule` is, as a person has set it. A row with a built-in rule's
    name stands in for it. revision: for compare-and-set, one more with each change."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    name = models.CharField(max_length=NAME_LENGTH)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    events = models.TextField(default="")
    agent_tags = models.JSONField(default=list)
    threshold = models.FloatField(null=True)
    minutes = models.IntegerField(null=True)
    minimum_tasks = models.IntegerField()
    enabled = models.BooleanField(default=True)
    emails = models.JSONField(default=list)
    webhooks = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)
    revision = models.IntegerField(default=1)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "name"], name="projections_alertrule_once"),
            models.CheckConstraint(
                name="projections_alertrule_rate_has_its_numbers",
                condition=models.Q(kind="event", threshold=None, minutes=None)
                | models.Q(kind="completion_rate", threshold__isnull=False, minutes__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.name}"


class Alert(models.Model):
    """One time that a rule's subject was in trouble.

    subject: the agent's id, "" for the tenant as a whole. troubles: the types of event that have
    not ended yet; none for a completion rate. recurrences: how often more of it came while the
    alert stood. last_seq: up to where the subject's events have been taken in, so that an event
    that comes again changes nothing. lapses_at: when it resolves by itself unless more comes, for
    troubles that no event ends. resolved_by: null when nobody had to.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    # By name, not by key: a built-in rule has no row, and a deleted one leaves its alerts behind.
    rule = models.CharField(max_length=NAME_LENGTH)
    subject = models.CharField(max_length=AGENT_ID_LENGTH)
    state = models.CharField(max_length=16, choices=State.choices, default=State.OPEN)
    troubles = models.JSONField(default=list)
    detail = models.CharField(max_length=DETAIL_LENGTH)
    recurrences = models.BigIntegerField(default=0)
    opened_at = models.DateTimeField()
    opened_seq = models.BigIntegerField()
    event_id = models.UUIDField(null=True)
    last_at = models.DateTimeField()
    last_seq = models.BigIntegerField()
    lapses_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=ACTOR_LENGTH, null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_note = models.TextField(null=True)
    resolved_by = models.CharField(max_length=ACTOR_LENGTH, null=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_seq = models.BigIntegerField(null=True)
    resolved_reason = models.TextField(null=True)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            # Who is second finds out here, however many handle the same event at once.
            models.UniqueConstraint(
                fields=["tenant", "subject", "rule"],
                condition=UNRESOLVED,
                name="projections_alert_one_unresolved",
            ),
            # The same when its event comes again after the alert has been resolved.
            models.UniqueConstraint(
                fields=["tenant", "subject", "rule", "opened_seq"],
                name="projections_alert_once_at_a_seq",
            ),
            models.CheckConstraint(
                name="projections_alert_resolved_says_when",
                condition=models.Q(state="resolved", resolved_at__isnull=False)
                | (UNRESOLVED & models.Q(resolved_at=None)),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "id"], name="projections_alert_newest"),
            models.Index(
                fields=["lapses_at"], condition=UNRESOLVED, name="projections_alert_lapses"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.rule} of {self.subject or 'all'}: {self.state}"

    @property
    def agent_id(self) -> str | None:
        """The agent it is about; None for the tenant as a whole."""
        return self.subject or None


class AgentTags(models.Model):
    """An agent's tags after its event `version`: kept by the reaction that opens alerts, which so
    knows them as they were at the event it handles."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    agent_id = models.CharField(max_length=AGENT_ID_LENGTH)
    version = models.BigIntegerField()
    tags = models.JSONField()

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "agent_id"], name="projections_agenttags_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.agent_id} at {self.version}"
