"""All that listens in this room: a line for each projection, reaction, sweep and companion."""

from django.conf import settings

from events.duties import companion


def listen() -> None:
    if settings.NATS_URLS:
        from projections import relay

        companion("relay", relay.run)
