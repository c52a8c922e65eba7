"""The AsyncAPI document as a whole."""

from functools import cache

import msgspec

from events.api.openapi.shape import Schema
from projections.asyncapi import events, relay, stream

VERSION = "3.0.0"
_DESCRIPTION = """\
AgentMesh is the system of record for a fleet of autonomous agents: whatever happens to an agent is
written once, as an immutable fact, in its tenant's log. Here is what it sends to who follows a log:
a stream of server-sent events, and messages on NATS JetStream where the relay is on. What is asked
and answered is in the OpenAPI document, `/api/v1/openapi.json`.
"""


@cache
def document() -> Schema:
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "AgentMesh",
            "version": "1",
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "url": "https://spdx.org/licenses/MIT.html"},
        },
        "defaultContentType": events.CONTENT_TYPE,
        "servers": {
            "web": {
                "host": "{host}",
                "pathname": "/api/v1",
                "protocol": "https",
                "description": "Wherever this document was had from.",
                "variables": {"host": {"default": "127.0.0.1:8000"}},
            },
            "broker": {
                "host": "{host}",
                "protocol": "nats",
                "description": "The broker that the relay writes to; yours.",
                "variables": {"host": {"default": "127.0.0.1:4222"}},
            },
        },
        "channels": {stream.CHANNEL: stream.channel(), relay.CHANNEL: relay.channel()},
        "operations": {"followStream": stream.operation(), "relayEvents": relay.operation()},
        "components": {
            "schemas": events.schemas(),
            "messages": stream.messages() | relay.messages(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of the tenant, made by an admin: `am_…`.",
                }
            },
        },
    }


@cache
def served() -> bytes:
    """The document as readers get it, and as docs/asyncapi.json keeps it."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n"
