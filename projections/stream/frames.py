"""What goes over the wire, in bytes."""

import msgspec
from django_eventstream.utils import sse_encode_event

from events.cloudevents import cloud_event
from events.log.cursor import Position
from events.models import Event

RETRY_MS = 2_000
COMMENT = b":\n\n"

_json = msgspec.json.Encoder().encode


def event_frame(
    row: Event,
    position: Position,
    *,
    schema: str | None,
    show_origin: bool,
    data: str | None = None,
) -> bytes:
    """One event of the log. Its JSON holds no line break, so it is one `data:` line. `data`: what
    the client sees in the stored one's stead."""
    event = cloud_event(row, schema=schema, show_origin=show_origin, data=data)
    return _frame(row.type, event, position)


def open_frame(position: Position, head: int) -> bytes:
    """The first frame of every stream, which also says how soon to come back."""
    data = _json({"after": position.seq, "head": max(head, position.seq)})
    return b"retry: %d\n" % RETRY_MS + _frame("stream-open", data, position)


def reset_frame(reason: str, position: Position) -> bytes:
    """The client's place is not in this log; it goes on from `position`, the log's head."""
    return _frame("stream-reset", _json({"reason": reason, "head": position.seq}), position)


def position_frame(position: Position) -> bytes:
    """Moves the client's position and hands it no event: for stretches that its filter skipped."""
    return b"id: %s\n\n" % position.id.encode()


def farewell_frame(reason: str) -> bytes:
    """A last comment, for the person who watches with curl."""
    return f": {reason}\n\n".encode()


def _frame(event_type: str, data: bytes, position: Position) -> bytes:
    frame: str = sse_encode_event(event_type, data.decode(), event_id=position.id)
    return frame.encode()
