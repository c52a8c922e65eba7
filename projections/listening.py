"""Everything that listens to the log in this room, on one page."""

from django.conf import settings

from events import duties
from events.bus import event_bus
from projections import retention
from projections.alerts import hearing, lapses, rates
from projections.analytics import readmodel as analytics
from projections.fleet import readmodel as fleet
from projections.notify import sending
from projections.tasks import readmodel as tasks


def listen() -> None:
    event_bus.project(tasks.TYPES, tasks.tasks)
    event_bus.project(fleet.TYPES, fleet.fleet)
    event_bus.project(analytics.TYPES, analytics.analytics)
    event_bus.subscribe("*", hearing.hear, name="alerts")
    duties.sweep("alert-rates", every_seconds=20, run=rates.sweep)
    duties.sweep("alert-lapses", every_seconds=60, run=lapses.sweep)
    duties.sweep("notifications", every_seconds=2, run=sending.sweep)
    duties.sweep("retention", every_seconds=retention.EVERY_SECONDS, run=retention.sweep)
    if settings.NATS_URLS:
        from projections import relay

        duties.companion("relay", relay.run)
