from typing import ClassVar, Self

from django.db import models

from events.models import Tenant
from events.scoping import TenantManager


class RelayedLog(models.Model):
    """How far a tenant's log has come into the stream, as far as was noted; the stream itself knows
    better while it holds a message of the tenant.

    seq, hash: the last event that counts as relayed. stream_created tells one stream of the same
    name from the next; stream_seq is where in it that event stands. stopped_reason: why nothing
    more of this log is relayed until a person has decided (`resume_relay`).
    """

    tenant = models.OneToOneField(
        Tenant, primary_key=True, on_delete=models.PROTECT, related_name="+"
    )
    seq = models.BigIntegerField()
    hash = models.BinaryField(max_length=32)
    stream_created = models.CharField(max_length=64)
    stream_seq = models.BigIntegerField()
    stopped_reason = models.TextField(null=True)
    stopped_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    def __str__(self) -> str:
        return f"{self.tenant_id} relayed up to {self.seq}"


class RelayLink(models.Model):
    """How the installation's relay and its broker stand, as the workers last said: one row.

    connected_at: when one last had the broker's word that all is well; server: which one that was,
    without its login. trouble: what last went wrong for one, at trouble_at, perhaps over since.
    """

    ONLY: ClassVar[int] = 1

    id = models.SmallIntegerField(primary_key=True, default=ONLY)
    server = models.CharField(max_length=300, null=True)
    connected_at = models.DateTimeField(null=True)
    trouble = models.TextField(null=True)
    trouble_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.server or "no broker yet"
