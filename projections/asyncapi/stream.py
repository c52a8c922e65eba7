"""The stream of server-sent events: one channel of each tenant."""

from events import registry
from events.api.openapi.shape import Schema
from events.cloudevents import schemas as pins
from projections.asyncapi.events import CONTENT_TYPE, event_ref, name_of, newest
from projections.stream import positions
from projections.stream.follower import SIGN_OF_LIFE_SECONDS
from projections.stream.frames import RETRY_MS
from projections.stream.wishes import HEADER, PARAMETERS

CHANNEL = "stream"
_MESSAGES = "#/components/messages/"
_ID: Schema = {
    "type": "string",
    "pattern": f"^{positions.ID}$",
    "description": "`<seq>-<first 8 hex digits of that event's hash>`: a place to go on from.",
}
_PATTERN = "Alternatives between commas; `*` only at the end."
_QUERY: dict[str, Schema] = {
    "after": {**_ID, "description": "Begin after this seq or id; 0 is before the first."},
    "agent": {"type": "string", "description": f"Whose events. {_PATTERN}"},
    "lastEventId": {
        **_ID,
        "description": f"Like the header {HEADER}, for who cannot send one, and before `after`.",
    },
    "schema": {
        "type": "string",
        "enum": list(pins()),
        "description": "Pins each type's highest version up to this one; the newest without it.",
    },
    "types": {"type": "string", "description": f"Which types. {_PATTERN}"},
}
_DESCRIPTION = f"""\
`text/event-stream`. It begins at `{HEADER}`, else `lastEventId`, else `after`, else at the head of
the log; 0 is the beginning. From any point, on any process: nothing lost, repeated or out of order.

The first frame is `stream-open`. Of an event of the log `id:` is its place, `event:` its type and
`data:` the CloudEvent on one line. A client whose place is not in the log (it was restored) gets
`stream-reset` and goes on from the head. At least every 15 s there is a comment (a line that begins
with `:`) or, where a filter has skipped events, an `id:` alone, which moves the client's place. The
first frame's `retry:` says how many milliseconds to wait before coming back. A comment says why the
server ends a stream.
"""


def channel() -> Schema:
    names = ["stream-open", "stream-reset", *(name_of(kind) for kind in registry.kinds())]
    return {
        "address": "/tenants/{tenant}/stream",
        "title": "A tenant's log, live and from any point",
        "description": _DESCRIPTION,
        "servers": [{"$ref": "#/servers/web"}],
        "parameters": {"tenant": {"description": "The tenant's slug.", "examples": ["acme"]}},
        "messages": {name: {"$ref": f"{_MESSAGES}{CHANNEL}.{name}"} for name in names},
        "x-server-sent-events": {
            "retryMs": RETRY_MS,
            "signOfLifeSeconds": SIGN_OF_LIFE_SECONDS,
            "requestHeaders": {HEADER: _ID},
        },
    }


def operation() -> Schema:
    query = {"type": "object", "properties": {name: _QUERY[name] for name in PARAMETERS}}
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{CHANNEL}"},
        "title": "Follow a tenant's log",
        "summary": "AgentMesh sends every event that the query asks for, in the order of the log.",
        "security": [{"$ref": "#/components/securitySchemes/bearer"}],
        "bindings": {
            "http": {
                "method": "GET",
                "query": {**query, "additionalProperties": False},
                "bindingVersion": "0.3.0",
            }
        },
    }


def messages() -> dict[str, Schema]:
    newest_kinds = newest()
    found = {
        "stream-open": _frame("stream-open", "Where the client is, and where the log ends.", _OPEN),
        "stream-reset": _frame("stream-reset", "The client's place is not in the log.", _RESET),
    }
    for kind in registry.kinds():
        older = "" if kind in newest_kinds else f" Sent to who pinned {kind.version}."
        summary = f"One event of the log.{older}"
        frame = _frame(kind.type, summary, event_ref(kind), CONTENT_TYPE)
        found[name_of(kind)] = frame
    return {f"{CHANNEL}.{name}": message for name, message in found.items()}


def _frame(
    event: str, summary: str, payload: Schema, content_type: str = "application/json"
) -> Schema:
    return {
        "name": event,
        "summary": summary,
        "contentType": content_type,
        "headers": {
            "type": "object",
            "description": "The frame's fields beside `data:`.",
            "properties": {"id": _ID, "event": {"const": event}},
            "required": ["id", "event"],
        },
        "payload": payload,
    }


_SEQ: Schema = {"type": "integer", "minimum": 0}
_OPEN: Schema = {
    "type": "object",
    "properties": {"after": _SEQ, "head": _SEQ},
    "required": ["after", "head"],
    "additionalProperties": False,
}
_RESET: Schema = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "head": _SEQ},
    "required": ["reason", "head"],
    "additionalProperties": False,
}
