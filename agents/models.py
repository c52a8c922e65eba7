"""What the events fold to, kept so that neither loading nor looking back replays a whole history.

All tables are written in the statement that appends the events they reflect, can be dropped at any
time and are rebuilt from the log (`agents.rebuild`).
"""

from typing import ClassVar, Self

from django.db import models

from events.models import Tenant
from events.scoping import TenantManager


class CurrentAgent(models.Model):
    """One agent as its newest event left it. `state` is the aggregate; the rest is for filters."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    agent_id = models.CharField(max_length=256)
    version = models.BigIntegerField()
    seq = models.BigIntegerField()
    fold = models.SmallIntegerField()  # which `evolve` made the row; another one is not trusted
    state = models.TextField()
    name = models.CharField(max_length=256)
    status = models.CharField(max_length=16)
    intent = models.CharField(max_length=16)
    health = models.CharField(max_length=16)
    # JSON {"-capabilities": {name: level}, "-tags": [...]}, in this order: the database reads it as
    # text, for `agents.candidates`.
    labels = models.TextField()
    last_seen = models.DateTimeField(null=True)
    # For the sweep; null: never. No index has them: each heartbeat changes both, and on PostgreSQL
    # the update of an indexed column makes new entries in all indexes of the table.
    due_at = models.DateTimeField(null=True)
    silent_at = models.DateTimeField(null=True)
    # For choosing whom to give a task.
    tasks_completed = models.BigIntegerField()
    tasks_failed = models.BigIntegerField()
    idle_since = models.DateTimeField(null=True)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "agent_id"], name="agents_currentagent_id"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.agent_id}"


class AgentState(models.Model):
    """One agent as it stood at a version of its past: where a fold of its events may begin.

    The versions are the multiples of `agents.states.EVERY`. The past never changes, so neither does
    a right row.
    """

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    agent_id = models.CharField(max_length=256)
    version = models.BigIntegerField()
    seq = models.BigIntegerField()
    fold = models.SmallIntegerField()
    state = models.TextField()

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "agent_id", "version"], name="agents_agentstate_version"
            ),
        ]
        # "The newest at or below a seq, made by today's fold" is one descent.
        indexes: ClassVar = [
            models.Index(
                fields=["tenant", "agent_id", "fold", "seq"], name="agents_agentstate_place"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.agent_id} at {self.version}"


class MassLoss(models.Model):
    """Where a tenant's newest suspicion of a mass loss stands, as the facts on its own stream say.

    heard_since: before it silence proves nothing, after a suspicion that was none. seq: of the
    newest of these facts.
    """

    class State(models.TextChoices):
        SUSPECTED = "suspected"
        CONFIRMED = "confirmed"
        RESOLVED = "resolved"

    tenant = models.OneToOneField(
        Tenant, primary_key=True, on_delete=models.PROTECT, db_constraint=False, related_name="+"
    )
    state = models.CharField(max_length=16, choices=State.choices)
    heard_since = models.DateTimeField(null=True)
    seq = models.BigIntegerField()

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    def __str__(self) -> str:
        return f"{self.tenant_id}: {self.state}"


class TaskClaim(models.Model):
    """Who holds a task: a task_id is open on one agent of the tenant at a time, never again once
    completed. The unique key is what decides a race between two agents' assignments."""

    class Status(models.TextChoices):
        ASSIGNED = "assigned"
        COMPLETED = "completed"
        FAILED = "failed"

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    task_id = models.CharField(max_length=256)
    agent_id = models.CharField(max_length=256)
    status = models.CharField(max_length=16, choices=Status.choices)
    assigned_version = models.BigIntegerField()  # of the agent's stream: where the input stands
    assigned_at = models.DateTimeField()
    attempts = models.TextField()  # JSON: the failed attempts so far, oldest first
    seq = models.BigIntegerField()

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "task_id"], name="agents_taskclaim_once"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.task_id} {self.status}"
