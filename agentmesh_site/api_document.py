"""What the OpenAPI document says of the API as a whole; each door says the rest."""

from typing import Any

DESCRIPTION = """\
AgentMesh is the system of record for a fleet of autonomous agents: whatever happens to an agent is
written once, as an immutable fact, in its tenant's log.

**Who asks.** `Authorization: Bearer am_…` with a token of the tenant, or the browser's session;
then whatever changes something needs the CSRF token, too. What another tenant owns answers exactly
like what does not exist.

**Refusals** are `application/problem+json`, on every path, with a `code` for programs. A method
that a path does not have is 405 with `Allow`. Parameters and fields that a path does not know are
refused: 400. A request has at most 1 MiB (of `/commands` 8 MiB), a payload 64 KiB, JSON at most 64
levels; no text holds NUL or a lone surrogate. A whole number is written as one (5, not 5.0) and has
at most 64 bits; any number has at most 64 characters.

**The same request again** under its `Idempotency-Key` gets its first answer.

**Moments** are RFC 3339 with an offset; answers have UTC with microseconds. `seq` is 1, 2, 3 … in
the order of commits.
"""
TAGS = {
    "agents": "The fleet: what agents are, were, and are told to do.",
    "tasks": "Work: who has it, how it ended.",
    "events": "The log itself, in pages, as a stream and as a file; and what vouches for it.",
    "analytics": "How tasks ended.",
    "alerts": "What is in trouble, by which rule, and who is told.",
    "subscriptions": "How far each reader of the log has come, and what is parked.",
    "access": "Members and tokens of a tenant; who asks.",
    "about": "What needs no login: this document, the events' schemas, the public keys.",
}
SETTINGS: dict[str, Any] = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "AgentMesh",
    "VERSION": "1",
    "DESCRIPTION": DESCRIPTION,
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "SERVERS": [{"url": "/", "description": "Wherever this document was had from."}],
    "TAGS": [{"name": name, "description": text} for name, text in TAGS.items()],
    "POSTPROCESSING_HOOKS": [],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "A token of the tenant, made by an admin: `am_…`.",
            },
            "session": {
                "type": "apiKey",
                "in": "cookie",
                "name": "sessionid",
                "description": "Whoever is signed in to the pages.",
            },
            "csrf": {
                "type": "apiKey",
                "in": "header",
                "name": "X-CSRFToken",
                "description": "The value of the cookie `csrftoken`, with a session.",
            },
        }
    },
}
