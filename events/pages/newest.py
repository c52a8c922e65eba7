"""The newest events of a tenant, as its pages show them."""

from events import timeline
from events.log import read
from events.models import Event
from events.wanted import Wanted


def newest(tenant: str, size: int) -> list[Event]:
    """The newest first."""
    head = read.head(tenant)
    if head is None:
        return []
    page = timeline.page(tenant, Wanted(), head=head.seq, limit=size, descending=True)
    return page.rows
