"""What the database knows for the relay: how long the logs are, and what was noted of each."""

from collections.abc import Iterable, Mapping

from django.db import transaction
from django.utils import timezone

from events.log.cursor import BEGINNING, Position
from events.models import Event, TenantHead
from projections.relay.models import RelayedLog, RelayLink
from projections.relay.standing import Noted

SERVER_LENGTH = 300


def heads() -> dict[str, int]:
    """How long each log is."""
    return dict(TenantHead.objects.across_tenants().values_list("tenant_id", "seq"))


def noted(tenants: Iterable[str] | None = None) -> dict[str, Noted]:
    """What was noted of these logs, or of all."""
    rows = RelayedLog.objects.across_tenants()
    if tenants is not None:
        rows = rows.filter(tenant__in=list(tenants))
    return {
        row.tenant_id: Noted(
            Position(row.seq, bytes(row.hash)) if row.seq else BEGINNING,
            row.stream_created,
            row.stream_seq,
            row.stopped_reason,
        )
        for row in rows
    }


def note(notes: Mapping[str, Noted]) -> None:
    """Note these, in place of what was noted of the same logs. The note of a stopped one stays: who
    writes may not know of it yet."""
    stopped = {name for name, each in noted(notes).items() if each.stopped_reason is not None}
    now = timezone.now()
    rows = [
        RelayedLog(
            tenant_id=tenant,
            seq=each.position.seq,
            hash=each.position.hash,
            stream_created=each.created,
            stream_seq=each.stream_seq,
            stopped_reason=each.stopped_reason,
            stopped_at=now if each.stopped_reason else None,
            updated_at=now,
        )
        for tenant, each in sorted(notes.items())
        if tenant not in stopped
    ]
    columns = [field.name for field in RelayedLog._meta.fields if not field.primary_key]
    with transaction.atomic():
        RelayedLog.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["tenant"], update_fields=columns
        )


def connected(server: str) -> None:
    """The broker has answered just now, and all is well with it."""
    _say(server=server[:SERVER_LENGTH], connected_at=timezone.now())


def trouble(reason: str) -> None:
    """There is no relay now; the reason holds no secret."""
    _say(trouble=reason.replace("\0", ""), trouble_at=timezone.now())


def _say(**values: object) -> None:
    RelayLink.objects.update_or_create(pk=RelayLink.ONLY, defaults=values)


def resume(tenant: str, seq: int) -> None:
    """Have a stopped log go on after event `seq` (0: from its first).

    Raises LookupError when the log has no such event, or is not stopped: a running relay knows
    where it stands.
    """
    after = BEGINNING
    if seq:
        row = Event.objects.filter(tenant=tenant, seq=seq).only("hash").first()
        if row is None:
            raise LookupError(f"{tenant}'s log has no event {seq}.")
        after = Position(seq, bytes(row.hash))
    resumed = RelayedLog.objects.filter(tenant=tenant, stopped_reason__isnull=False).update(
        seq=after.seq,
        hash=after.hash,
        stopped_reason=None,
        stopped_at=None,
        updated_at=timezone.now(),
    )
    if not resumed:
        raise LookupError(f"The relay is not stopped in {tenant}. It goes on by itself.")
