"""What is to be told, noted in the transaction that made it so."""

from collections.abc import Iterable

from django.utils import timezone

from projections.alerts.models import Alert
from projections.notify.models import UNSETTLED, WAITING, Channel, Digest, Happened, Notice

Target = tuple[Channel, str]
NO_LONGER_NAMED = "No rule names this address any more."


def note(alert: Alert, targets: Iterable[Target], happened: Happened) -> None:
    """To be called within the transaction that opens or resolves the alert."""
    Notice.objects.bulk_create(
        [
            Notice(
                tenant_id=alert.tenant_id,
                channel=channel,
                address=address,
                alert=alert,
                happened=happened,
            )
            for channel, address in targets
        ]
    )


def forget(tenant: str, target: Target) -> None:
    """Tell this target nothing more, also nothing of what has gathered."""
    channel, address = target
    Notice.objects.filter(WAITING, tenant=tenant, channel=channel, address=address).delete()
    waiting = Digest.objects.filter(UNSETTLED, tenant=tenant, channel=channel, address=address)
    waiting.update(given_up_at=timezone.now(), last_error=NO_LONGER_NAMED)
