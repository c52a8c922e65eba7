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
    # The IANA name of the zone that its people's times are shown in (`events.zones`).
    time_zone = models.CharField(max_length=64, default="UTC", db_default="UTC", editable=False)
    # Whether new payloads of tasks are sealed; what is sealed stays so.
    confidential_payloads = models.BooleanField(default=False, db_default=False, editable=False)
    # For how many days what is derived from the log is kept; null: for ever. The log always is.
    minute_statistics_days = models.IntegerField(null=True, editable=False)
    hour_statistics_days = models.IntegerField(null=True, editable=False)
    day_statistics_days = models.IntegerField(null=True, editable=False)
    ended_alerts_days = models.IntegerField(null=True, editable=False)

    class Meta:
        ordering = ("slug",)
        constraints: ClassVar = [
            # Longer ranges of statistics are put together of longer buckets and shorter ones.
            models.CheckConstraint(
                name="events_tenant_hours_outlive_minutes",
                condition=models.Q(hour_statistics_days=None)
                | models.Q(
                    minute_statistics_days__isnull=False,
                    minute_statistics_days__lte=models.F("hour_statistics_days"),
                ),
            ),
            models.CheckConstraint(
                name="events_tenant_days_outlive_hours",
                condition=models.Q(day_statistics_days=None)
                | models.Q(
                    hour_statistics_days__isnull=False,
                    hour_statistics_days__lte=models.F("day_statistics_days"),
                ),
            ),
        ]

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
        # Only events that name a cause are in it, so the others pay nothing for it.
        indexes: ClassVar = [
            models.Index(
                fields=["tenant", "causation_id", "seq"],
                condition=models.Q(causation_id__isnull=False),
                name="events_event_cause",
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


class Verification(models.Model):
    """Somebody asked for the log to be verified; what came of it. At most one is open per tenant.

    seq and head: how far it has come, and where the log ended when that was written. place_…: where
    it goes on (`events.log.verify.Place`), null at the beginning; wanted_hash: what was looked for
    on the way there. bad_seq: the first event that shows damage, 0 for the log as such; bad_last:
    the second of two where it is only known to lie between them. Whoever works on it holds a lease:
    each new holder raises `epoch`, and every write names the epoch it was made under.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        PASSED = "passed"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="verifications"
    )
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    requested_by = models.CharField(max_length=300)
    requested_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    seq = models.BigIntegerField(default=0)
    head = models.BigIntegerField()
    place_hash = models.BinaryField(max_length=32, null=True)
    place_recorded_at_us = models.BigIntegerField(null=True)
    place_met = models.BooleanField(default=False)
    wanted_hash = models.BinaryField(max_length=32, null=True)
    checkpoints = models.IntegerField(null=True)
    newest_checkpoint = models.BigIntegerField(null=True)
    bad_seq = models.BigIntegerField(null=True)
    bad_last = models.BigIntegerField(null=True)
    why = models.TextField(null=True)
    epoch = models.BigIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant"],
                condition=models.Q(status__in=["queued", "running"]),
                name="events_verification_one_open",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["tenant", "-requested_at", "-id"], name="events_verification_newest"
            )
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.status} at {self.seq}"


class Rebuild(models.Model):
    """Somebody asked for a projection's rows of one tenant to be made anew; what came of it. At
    most one is open per projection.

    seq and head: how far it has come, and where the log ended when that was written. rows, held: of
    a finished one, how many rows it made, and how many streams failed on the way. why: what ended
    it, or what an open one waits for. tries: how often a worker began it. Whoever works on it holds
    a lease: each new holder raises `epoch`, and every write names the epoch it was made under.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="rebuilds"
    )
    projection = models.CharField(max_length=255)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    requested_by = models.CharField(max_length=300)
    reason = models.TextField()
    requested_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    seq = models.BigIntegerField(default=0)
    head = models.BigIntegerField()
    rows = models.BigIntegerField(null=True)
    held = models.BigIntegerField(null=True)
    why = models.TextField(null=True)
    tries = models.IntegerField(default=0)
    epoch = models.BigIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "projection"],
                condition=models.Q(status__in=["queued", "running"]),
                name="events_rebuild_one_open",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["tenant", "projection", "-requested_at", "-id"],
                name="events_rebuild_newest",
            ),
            # The worker asks every few seconds, for all tenants.
            models.Index(
                fields=["requested_at"],
                condition=models.Q(status__in=["queued", "running"]),
                name="events_rebuild_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.projection} of {self.tenant_id} {self.status} at {self.seq}"


class SavedView(models.Model):
    """A query of the timeline that a tenant's people share. query: as the parameters of /events."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="saved_views"
    )
    name = models.CharField(max_length=100)
    query = models.JSONField(default=dict)
    created_by = models.CharField(max_length=300)
    created_at = models.DateTimeField(default=timezone.now)
    updated_by = models.CharField(max_length=300)
    updated_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "name"], name="events_savedview_name"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}: {self.name}"


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


class PayloadKey(models.Model):
    """The key of one task's confidential payloads with one agent, wrapped by a key that no database
    holds. A destroyed one keeps its row, so that destroyed and missing are told apart."""

    key_id = models.CharField(primary_key=True, max_length=32, editable=False)
    # No constraint in the database, as for events: the append takes its rows from the head.
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    task_id = models.CharField(max_length=256)
    agent_id = models.CharField(max_length=256)
    wrapped = models.BinaryField(max_length=40, null=True)
    kek = models.CharField(max_length=16)  # the id of the key that wraps it
    seq = models.BigIntegerField()  # of the append that made it; an erasure covers those before it
    created_at = models.DateTimeField()
    destroyed_at = models.DateTimeField(null=True)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "task_id", "agent_id"], name="events_payloadkey_once"
            ),
            models.CheckConstraint(
                name="events_payloadkey_is_there_or_destroyed",
                condition=models.Q(wrapped__isnull=False, destroyed_at__isnull=True)
                | models.Q(wrapped__isnull=True, destroyed_at__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "agent_id"], name="events_payloadkey_agent")
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.task_id} with {self.agent_id}"


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


class KnownSubscription(models.Model):
    """A durable subscription that a worker has met. Logs that are made later are read from their
    first event; those that were there already from where `start` said."""

    name = models.CharField(primary_key=True, max_length=255)
    start = models.CharField(max_length=16)
    met_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name


class SubscriptionCheckpoint(models.Model):
    """How far a durable subscription has read a tenant's log: after event `seq`, whose hash it
    remembers, so that it never goes on in another log. stopped_reason: why it may not go on.

    Whoever reads holds a lease: `holder`, until `leased_until` by the database's clock. Each new
    holder raises `epoch`, and every write names the epoch it was made under. generation: of a read
    model's rows, the one that counts. failures: how often in a row it failed as a whole; then it
    waits until `retry_at`. succeeded_at: when an event was last handled.
    """

    subscription = models.CharField(max_length=255)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    seq = models.BigIntegerField()
    hash = models.BinaryField(max_length=32)
    stopped_reason = models.TextField(null=True)
    stopped_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()
    epoch = models.BigIntegerField(default=0, db_default=0)
    holder = models.CharField(max_length=100, null=True)
    leased_until = models.DateTimeField(null=True)
    generation = models.IntegerField(default=1, db_default=1)
    succeeded_at = models.DateTimeField(null=True)
    failures = models.IntegerField(default=0, db_default=0)
    last_error = models.TextField(null=True)
    last_error_at = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(null=True)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "subscription"], name="events_subscriptioncheckpoint_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subscription} in {self.tenant_id} at {self.seq}"


class Duty(models.Model):
    """A sweep of the worker: who moves `next_at` on runs it, so that one worker does at a time."""

    name = models.CharField(primary_key=True, max_length=100)
    next_at = models.DateTimeField()
    ran_at = models.DateTimeField(null=True)
    last_error = models.TextField(null=True)

    def __str__(self) -> str:
        return self.name


class HeldStream(models.Model):
    """A stream that one subscription could not go on with; its others go on.

    version and seq: of the event that failed, where it goes on from. It is tried again at
    `retry_at`; after too many attempts it is parked, and a person retries it or skips the event.
    """

    subscription = models.CharField(max_length=255)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    stream_type = models.CharField(max_length=32)
    stream_id = models.CharField(max_length=256)
    version = models.BigIntegerField()
    seq = models.BigIntegerField()
    attempts = models.IntegerField()
    last_error = models.TextField()
    held_at = models.DateTimeField(default=timezone.now)
    retry_at = models.DateTimeField(null=True)
    parked_at = models.DateTimeField(null=True)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "subscription", "stream_type", "stream_id"],
                name="events_heldstream_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subscription} in {self.tenant_id}: {self.stream_id} held at {self.seq}"
