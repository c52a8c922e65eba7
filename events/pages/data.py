"""An event's data as a person reads it: in the newest version, whatever it was stored in."""

import msgspec

from events.cloudevents import data_in, served_version
from events.models import Event


def newest(event: Event, revealed: str | None = None) -> tuple[str, bytes]:
    """The version and the JSON; in the stored version where this release cannot read it.

    revealed: what the person sees in the stored data's stead, where a payload is sealed.
    """
    shown = event.data if revealed is None else revealed
    version = served_version(event.type, event.schema_version, None)
    try:
        return version, data_in(event, shown, version)
    except msgspec.DecodeError:  # a damaged row, which its page shows raw
        return event.schema_version, shown.encode()
