"""The relay: a subject of a NATS JetStream stream for each tenant, type and agent."""

from events import registry
from events.api.openapi.shape import Schema
from projections.asyncapi.events import CONTENT_TYPE, event_ref, newest
from projections.relay.messages import ALL_SUBJECTS, HASH, MSG_ID, NAME, NO_AGENT, PREFIX, SEQ

CHANNEL = "relay"
_DESCRIPTION = f"""\
The JetStream stream `{NAME}` holds `{ALL_SUBJECTS}`: every tenant's log from its first event, each
tenant's events in the order of their seq, each once, without a gap. The body is the event as an
auditor sees it, without its origin, in the newest version. Read it with a durable pull consumer.
"""


def channel() -> Schema:
    return {
        "address": f"{PREFIX}.{{tenant}}.{{type}}.{{agent}}",
        "title": "The logs of all tenants, as messages",
        "description": _DESCRIPTION,
        "servers": [{"$ref": "#/servers/broker"}],
        "parameters": {
            "tenant": {"description": "The tenant's slug.", "examples": ["acme"]},
            "type": {"description": "The event's type.", "enum": list(registry.types())},
            "agent": {
                "description": f"The agent's id; `{NO_AGENT}` for a tenant's own facts.",
                "examples": ["a-1", NO_AGENT],
            },
        },
        "messages": {
            kind.type: {"$ref": f"#/components/messages/{CHANNEL}.{kind.type}"} for kind in newest()
        },
    }


def operation() -> Schema:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{CHANNEL}"},
        "title": "Relay the log",
        "summary": "AgentMesh publishes every event of every tenant. On with AGENTMESH_NATS_URL.",
    }


def messages() -> dict[str, Schema]:
    return {
        f"{CHANNEL}.{kind.type}": {
            "name": kind.type,
            "summary": "One event of the log.",
            "contentType": CONTENT_TYPE,
            "headers": _HEADERS,
            "payload": event_ref(kind),
        }
        for kind in newest()
    }


_HEADERS: Schema = {
    "type": "object",
    "properties": {
        MSG_ID: {"type": "string", "format": "uuid", "description": "The event's id."},
        SEQ: {
            "type": "string",
            "pattern": "^[1-9][0-9]{0,18}$",
            "description": "Its place in the tenant's log.",
        },
        HASH: {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "Its hash."},
    },
    "required": [MSG_ID, SEQ, HASH],
}
