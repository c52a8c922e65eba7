"""One verification as a page tells it."""

from dataclasses import dataclass

from events.models import Event, Verification
from events.verifications.asking import OPEN
from events.worker import heartbeat


@dataclass(frozen=True, slots=True)
class Told:
    """A verification. bad_event: what stands at the first bad seq, where that can be read at all.

    nobody_works: it is open, and no worker runs that could go on with it.
    """

    row: Verification
    bad_event: Event | None
    nobody_works: bool

    @property
    def is_open(self) -> bool:
        return self.row.status in OPEN

    @property
    def percent(self) -> int:
        """How much is done, rounded down: 100 only when all is."""
        return 100 * self.row.seq // self.row.head if self.row.head else 100

    @property
    def state(self) -> str:
        """In a word that a person uses."""
        return {"queued": "waiting", "passed": "whole", "failed": "damaged"}.get(
            self.row.status, self.row.status
        )


def of(row: Verification) -> Told:
    is_open = row.status in OPEN
    return Told(
        row=row,
        bad_event=_event_at(row.tenant_id, row.bad_seq) if row.bad_seq else None,
        nobody_works=is_open and not heartbeat.is_alive(heartbeat.age_seconds()),
    )


def without_more(row: Verification) -> Told:
    """For a list: nothing else is asked for."""
    return Told(row, None, nobody_works=False)


def _event_at(tenant: str, seq: int) -> Event | None:
    events = Event.objects.filter(tenant=tenant, seq=seq)
    try:
        return events.only("event_id", "tenant_id", "seq").first()
    except (TypeError, ValueError):  # a row that no append writes
        return None
