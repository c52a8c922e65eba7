"""What the database keeps of events, tenants, members and tokens.

The log's own tables (`TenantHead`, `Event`) are written by `events.log` alone; triggers refuse
everybody else.
"""

import uuid
from typing import ClassVar, Self

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from events.scoping import TenantManager

SLUG = RegexValidator(
    r"\A[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z",
    "Use 1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end.",
)


class Role(models.TextChoices):
    """What a member or a token may do in its tenant."""

    ADMIN = "admin"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    AGENT = "agent"


MEMBER_ROLES = (Role.ADMIN, Role.OPERATOR, Role.AUDITOR)


class Tenant(models.Model):
    """One organisation, one log. The slug is its name everywhere and never changes."""

    slug = models.CharField(primary_key=True, max_length=63, validators=[SLUG])
    name = models.CharField(max_length=256)
    log_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.slug


class TenantHead(models.Model):
    """The end of a tenant's log: where the next append goes on. Written by append alone."""

    tenant = models.OneToOneField(Tenant, primary_key=True, on_delete=models.PROTECT)
    seq = models.BigIntegerField(default=0)
    recorded_at = models.DateTimeField()
    hash = models.BinaryField(max_length=32)
    # The hash before the newest append: from it the appending statement computes its rows' hashes.
    prior_hash = models.BinaryField(max_length=32)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    def __str__(self) -> str:
        return f"{self.tenant_id} at {self.seq}"


class Event(models.Model):
    """One immutable fact. Every column but seq, recorded_at and hash is covered by its leaf."""

    event_id = models.UUIDField(primary_key=True)
    # No constraint in the database: the append takes its rows from the head, which has one.
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="events"
    )
    seq = models.BigIntegerField()
    stream_type = models.CharField(max_length=32)
    stream_id = models.CharField(max_length=256)
    version = models.BigIntegerField()
    type = models.CharField(max_length=64)
    schema_version = models.CharField(max_length=16)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    actor = models.CharField(max_length=300)
    reason = models.TextField(null=True)
    correlation_id = models.CharField(max_length=255, null=True)
    causation_id = models.CharField(max_length=255, null=True)
    traceparent = models.CharField(max_length=255, null=True)
    origin = models.TextField(null=True)
    # The JSON text that was hashed, to the byte; never jsonb.
    data = models.TextField()
    hash = models.BinaryField(max_length=32)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "seq"], name="events_event_seq"),
            models.UniqueConstraint(
                fields=["tenant", "stream_type", "stream_id", "version"],
                name="events_event_version",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.seq} {self.type}"


class SignedCheckpoint(models.Model):
    """A signed note of where a log stood: our own copy. The one that counts is elsewhere."""

    # No constraint in the database: it outlives its tenant, should somebody delete that.
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    seq = models.BigIntegerField()
    note = models.TextField()
    made_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "seq", "note"], name="events_signedcheckpoint_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id} at {self.seq}"


class Membership(models.Model):
    """A person's role in a tenant."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships"
    )
    role = models.CharField(max_length=16, choices=[(r.value, r.label) for r in MEMBER_ROLES])
    suspended = models.BooleanField(default=False)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "user"], name="events_membership_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user} {self.role} in {self.tenant_id}"


class Token(models.Model):
    """A program's way in. Only the SHA-256 of the secret is kept; the secret is shown once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="tokens")
    name = models.CharField(max_length=100)
    role = models.CharField(max_length=16, choices=Role.choices)
    agent_id = models.CharField(max_length=256, null=True)
    digest = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="events_token_agent_role_names_its_agent",
                condition=models.Q(role="agent", agent_id__isnull=False)
                | (~models.Q(role="agent") & models.Q(agent_id__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.role}) in {self.tenant_id}"


class IdempotencyKey(models.Model):
    """The first answer to a request that named a key; written with the events it caused."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False)
    # SHA-256 over principal, method, path and key: the scope in which a key is one request.
    scope = models.BinaryField(max_length=32)
    fingerprint = models.BinaryField(max_length=32)
    status = models.SmallIntegerField()
    body = models.TextField()
    location = models.TextField(null=True)
    seq = models.BigIntegerField(null=True)
    version = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "scope"], name="events_idempotencykey_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["created_at"], name="events_idempotency_age")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.status}"
