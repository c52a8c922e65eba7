"""Everything that listens to the log in this room, on one page."""

from events.bus import event_bus
from projections.analytics import readmodel as analytics
from projections.fleet import readmodel as fleet
from projections.tasks import readmodel as tasks


def listen() -> None:
    event_bus.project(tasks.TYPES, tasks.tasks)
    event_bus.project(fleet.TYPES, fleet.fleet)
    event_bus.project(analytics.TYPES, analytics.analytics)
