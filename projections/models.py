"""The tables of the read models: what projections keep of the log, and can make again from it.

Each has the columns of the struct that its projection yields (`events.readmodels`), the tenant, and
the generation, since a rebuild fills one beside the live one.
"""

from typing import ClassVar, Self

from django.db import models

from events.models import Tenant
from events.scoping import TenantManager
from projections.unbounded import UnboundedIntegerField

AGENT_TYPE_LENGTH = 100


class TaskRow(models.Model):
    """One task of a tenant: `projections.tasks.rows.Task` says what its columns mean."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    generation = models.IntegerField(default=1)
    task_id = models.CharField(max_length=256)
    agent_id = models.CharField(max_length=256)
    status = models.CharField(max_length=16)
    assigned_at = models.DateTimeField()
    assigned_seq = models.BigIntegerField()
    assigned_version = models.BigIntegerField()
    seq = models.BigIntegerField()
    ended_at = models.DateTimeField(null=True)
    ended_version = models.BigIntegerField(null=True)
    # A number as JSON spells it: no numeric column of both engines tells 12 from 12.0.
    execution_time_ms = models.CharField(max_length=32, null=True)
    input_tokens = models.BigIntegerField(null=True)
    output_tokens = models.BigIntegerField(null=True)
    error_code = models.TextField(null=True)
    error_message = models.TextField(null=True)
    earlier = models.TextField()

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "generation", "task_id"], name="projections_taskrow_once"
            ),
        ]
        # Newest first, of all agents and of one.
        indexes: ClassVar = [
            models.Index(
                fields=["tenant", "generation", "assigned_seq"], name="projections_taskrow_newest"
            ),
            models.Index(
                fields=["tenant", "generation", "agent_id", "assigned_seq"],
                name="projections_taskrow_agent",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.task_id} {self.status}"


class FleetRow(models.Model):
    """One agent's health: `projections.fleet.rows.FleetAgent` says what its columns mean.

    Nothing that changes is indexed: a heartbeat then rewrites the row and no index of it.
    """

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    generation = models.IntegerField(default=1)
    agent_id = models.CharField(max_length=256)
    name = models.TextField()
    agent_type = models.TextField()
    tags = models.TextField()
    version = models.BigIntegerField()
    seq = models.BigIntegerField()
    status = models.TextField()
    health = models.CharField(max_length=16)
    last_seen = models.DateTimeField(null=True)
    success_rate = models.FloatField(null=True)
    response_time_ms = models.FloatField(null=True)
    cpu_usage_percent = models.FloatField(null=True)
    memory_usage_percent = models.FloatField(null=True)
    unhealthy_since = models.DateTimeField(null=True)
    outages = models.BigIntegerField()
    last_outage_reason = models.TextField(null=True)
    downtime_ms = models.BigIntegerField()
    current_task_id = models.TextField(null=True)
    tasks_completed = models.BigIntegerField()
    tasks_failed = models.BigIntegerField()
    consecutive_failures = models.BigIntegerField()
    paused_until = models.DateTimeField(null=True)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "generation", "agent_id"], name="projections_fleetrow_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.agent_id} {self.status}"


class AgentTypeRow(models.Model):
    """Of what type an agent is: `projections.analytics.readmodel.AgentType`."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    generation = models.IntegerField(default=1)
    agent_id = models.CharField(max_length=256)
    agent_type = models.CharField(max_length=AGENT_TYPE_LENGTH)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "generation", "agent_id"], name="projections_agenttype_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.agent_id} is {self.agent_type or 'of no type'}"


class TaskStatisticsRow(models.Model):
    """What ended in one bucket of time: `projections.analytics.readmodel.TaskStatistics`."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    generation = models.IntegerField(default=1)
    # In this order a range of time is one stretch of the index, whether of one agent or of all.
    resolution = models.CharField(max_length=6)
    kind = models.CharField(max_length=6)
    bucket = models.DateTimeField()
    name = models.CharField(max_length=256)
    completed = models.BigIntegerField()
    failed = models.BigIntegerField()
    input_tokens = UnboundedIntegerField()
    output_tokens = UnboundedIntegerField()
    execution_total_us = UnboundedIntegerField()
    execution_min_us = UnboundedIntegerField()
    execution_max_us = UnboundedIntegerField()
    execution_times = models.BinaryField()

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "generation", "resolution", "kind", "bucket", "name"],
                name="projections_taskstatistics_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.resolution} {self.bucket} {self.kind} {self.name}".rstrip()
