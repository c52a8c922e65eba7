"""Rows of the log that no log holds: any kind of event, as it would be stored."""

import uuid
from datetime import UTC, datetime
from typing import Any

from events import registry
from events.models import Event
from events.registry import Kind
from events.schemas.lock import golden

OCCURRED = datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)
RECORDED = datetime(2026, 1, 1, 0, 0, 1, 654321, tzinfo=UTC)
# What an event may have and many have not.
OPTIONAL: dict[str, str] = {
    "origin": '{"address":"192.0.2.7","user_agent":"ünï \\"x\\" 100%"}',
    "reason": 'because of "ünï" 100%',
    "correlation_id": "c-1",
    "causation_id": "c-0",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}


def is_of_agent(kind: Kind) -> bool:
    return "agent_id" in registry.fact_type(*kind).__struct_fields__ and kind.type in {
        fact.wire_type() for fact in registry.DOMAIN_EVENTS
    }


def row_of(kind: Kind, *, is_full: bool, **changed: Any) -> Event:
    """With the version's golden payload; `is_full`: with all that it may have."""
    of_agent = is_of_agent(kind)
    columns: dict[str, Any] = {
        "event_id": uuid.UUID("0192d3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"),
        "tenant_id": "acme",
        "seq": 9_007_199_254_740_993,  # beyond what a double holds
        "stream_type": "agent" if of_agent else "tenant",
        "stream_id": "a-1" if of_agent else "acme",
        "version": 3,
        "type": kind.type,
        "schema_version": kind.version,
        "occurred_at": OCCURRED,
        "recorded_at": RECORDED,
        "actor": "user:alice",
        "data": golden(kind)[0].decode(),
        "hash": bytes(range(32)),
        **(OPTIONAL if is_full else {}),
        **changed,
    }
    return Event(**columns)
