"""The tables of notifications."""

from typing import ClassVar, Self

from django.db import models
from django.utils import timezone

from events.log.proposal import uuid7
from events.models import Tenant
from events.scoping import TenantManager
from projections.alerts.models import Alert

ADDRESS_LENGTH = 1_024


class Channel(models.TextChoices):
    EMAIL = "email"
    WEBHOOK = "webhook"


class Happened(models.TextChoices):
    OPENED = "opened"
    RESOLVED = "resolved"


UNSETTLED = models.Q(sent_at=None, given_up_at=None)
WAITING = models.Q(digest=None)  # notices that no digest has yet


class WebhookSecret(models.Model):
    """What posts to one URL are signed with: as it is, since signing takes the secret itself.

    It is shown once and never told to the log. previous: signs too, until `previous_until`.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    url = models.CharField(max_length=ADDRESS_LENGTH)
    secret = models.CharField(max_length=100)
    previous = models.CharField(max_length=100, null=True)
    previous_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "url"], name="projections_webhooksecret_once"
            ),
        ]

    def __str__(self) -> str:
        return f"a secret of {self.tenant_id}"


class Notice(models.Model):
    """What happened to an alert and is told to one target. digest: the message that has it; null
    while it waits for one. It stays as long as its digest, so that an alert's page can say whether
    anybody was reached."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    channel = models.CharField(max_length=16, choices=Channel.choices)
    address = models.CharField(max_length=ADDRESS_LENGTH)
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, db_index=False)
    happened = models.CharField(max_length=16, choices=Happened.choices)
    at = models.DateTimeField(default=timezone.now)
    digest = models.UUIDField(null=True)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["tenant", "channel", "address", "at"],
                condition=WAITING,
                name="projections_notice_waiting",
            ),
            models.Index(fields=["alert"], name="projections_notice_alert"),
            models.Index(
                fields=["digest"],
                condition=models.Q(digest__isnull=False),
                name="projections_notice_digest",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.happened}, for a target of {self.tenant_id}"


class Digest(models.Model):
    """One message to one target, the same in every attempt: its id is the webhook-id, and in the
    Message-ID of a mail. next_try_at: also, while somebody sends it, until when nobody else may."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    channel = models.CharField(max_length=16, choices=Channel.choices)
    address = models.CharField(max_length=ADDRESS_LENGTH)
    title = models.TextField()
    body = models.TextField()
    made_at = models.DateTimeField()
    attempts = models.IntegerField(default=0)
    next_try_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    given_up_at = models.DateTimeField(null=True)
    last_error = models.TextField(null=True)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "channel", "address"],
                condition=UNSETTLED,
                name="projections_digest_one_unsettled",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["next_try_at"], condition=UNSETTLED, name="projections_digest_due"
            ),
            models.Index(
                fields=["tenant", "channel", "address", "made_at"],
                name="projections_digest_newest",
            ),
            models.Index(fields=["made_at"], name="projections_digest_age"),
        ]

    def __str__(self) -> str:
        return f"{self.id} for a target of {self.tenant_id}"
