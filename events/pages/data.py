"""An event's data as a person reads it: in the newest version, whatever it was stored in."""

import msgspec

from events.cloudevents import data_in, served_version
from events.models import Event


def newest(event: Event) -> tuple[str, bytes]:
    """The version and the JSON; as stored where this release cannot read it."""
    version = served_version(event.type, event.schema_version, None)
    try:
        return version, data_in(event, event.data, version)
    except msgspec.DecodeError:  # a damaged row, which its page shows raw
        return event.schema_version, event.data.encode()
