"""How the relay to NATS stands with a tenant's log, as far as the database was told."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.utils import timezone

from events.log import read
from projections.relay.models import RelayedLog, RelayLink

# A relay says every ten seconds that all is well.
QUIET = timedelta(seconds=30)


class Link(StrEnum):
    OFF = "off"
    CONNECTED = "connected"
    AWAY = "away"  # it was there, or trouble came after it
    UNSEEN = "unseen"  # no worker has said anything yet


@dataclass(frozen=True, slots=True)
class Standing:
    """servers: without their logins. trouble: the last there was, over when the link is connected.
    seq: the last event of this log that is known to be in the stream; noted_at: since when it is
    known. stopped_reason: why nothing more of this log is relayed until a person decides."""

    link: Link
    servers: tuple[str, ...]
    server: str | None
    connected_at: datetime | None
    trouble: str | None
    trouble_at: datetime | None
    head: int
    seq: int
    noted_at: datetime | None
    stopped_reason: str | None
    stopped_at: datetime | None

    @property
    def is_on(self) -> bool:
        return self.link is not Link.OFF

    @property
    def behind(self) -> int:
        return max(0, self.head - self.seq)


def standing(tenant: str) -> Standing:
    link = RelayLink.objects.filter(pk=RelayLink.ONLY).first()
    log = RelayedLog.objects.filter(tenant=tenant).first()
    head = read.head(tenant)
    return Standing(
        link=_link(link),
        servers=_servers(),
        server=link.server if link else None,
        connected_at=link.connected_at if link else None,
        trouble=link.trouble if link else None,
        trouble_at=link.trouble_at if link else None,
        head=head.seq if head else 0,
        seq=log.seq if log else 0,
        noted_at=log.updated_at if log else None,
        stopped_reason=log.stopped_reason if log else None,
        stopped_at=log.stopped_at if log else None,
    )


def _link(row: RelayLink | None) -> Link:
    if not settings.NATS_URLS:
        return Link.OFF
    if row is None or (row.connected_at is None and row.trouble_at is None):
        return Link.UNSEEN
    if row.connected_at is None or timezone.now() - row.connected_at > QUIET:
        return Link.AWAY
    return Link.CONNECTED


def _servers() -> tuple[str, ...]:
    if not settings.NATS_URLS:
        return ()
    # Only now: few have a broker, and every process would pay for its client's start.
    from projections.relay.connecting import Server

    return tuple(Server.of(url).name for url in settings.NATS_URLS)
