"""The table of the projection "fleet"."""

from typing import ClassVar, Self

from django.db import models

from events.models import Tenant
from events.scoping import TenantManager


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
