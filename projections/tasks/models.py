"""The table of the projection "tasks"."""

from typing import ClassVar, Self

from django.db import models

from events.models import Tenant
from events.scoping import TenantManager


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
