"""Everything that listens to the log in this room, on one page."""

from events.bus import event_bus
from projections.analytics import readmodel as analytics


def listen() -> None:
    event_bus.project(analytics.TYPES, analytics.analytics)
