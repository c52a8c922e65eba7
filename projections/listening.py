"""Who in `projections` hears of what: each projection, reaction, sweep and companion in a line."""

from events.bus import event_bus


def listen() -> None:
    from projections.analytics.read_model import TYPES as ANALYTICS_TYPES
    from projections.analytics.read_model import analytics

    event_bus.project(ANALYTICS_TYPES, analytics)
