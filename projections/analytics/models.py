"""The tables of the projection "analytics"."""

from typing import ClassVar, Self

from django.db import models

from events.models import Tenant
from events.scoping import TenantManager
from projections.unbounded import UnboundedIntegerField

AGENT_TYPE_LENGTH = 100


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


class StatisticsKept(models.Model):
    """From when on the buckets of one resolution count, in one generation of them. Those before may
    be gone. No row: all of them count."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    generation = models.IntegerField()
    resolution = models.CharField(max_length=6)
    since = models.DateTimeField()

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "generation", "resolution"],
                name="projections_statisticskept_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}: {self.resolution}s since {self.since}"
