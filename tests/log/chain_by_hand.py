"""A verifier as a stranger would write it from docs/chain.md: nothing of ours is used.

An event is a mapping of the documented columns: text, None, whole numbers, `uuid.UUID`, 32 bytes
for a hash, and aware datetimes.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

COLUMNS = (
    "event_id",
    "tenant",
    "stream_type",
    "stream_id",
    "version",
    "type",
    "schema_version",
    "occurred_at",
    "actor",
    "reason",
    "correlation_id",
    "causation_id",
    "traceparent",
    "origin",
    "data",
)


def micros(moment: datetime) -> int:
    utc = moment.astimezone(UTC)
    days = utc.date().toordinal() - datetime(1970, 1, 1, tzinfo=UTC).date().toordinal()
    seconds = ((days * 24 + utc.hour) * 60 + utc.minute) * 60 + utc.second
    return seconds * 1_000_000 + utc.microsecond


def eight_bytes(number: int) -> bytes:
    return number.to_bytes(8, "big", signed=True)


def field(value: Any) -> bytes:
    if value is None:
        return bytes.fromhex("ffffffff")
    if isinstance(value, UUID):
        raw = bytes.fromhex(value.hex)
    elif isinstance(value, datetime):
        raw = eight_bytes(micros(value))
    elif isinstance(value, int):
        raw = eight_bytes(value)
    else:
        raw = bytes(value, "utf-8")
    return len(raw).to_bytes(4, "big") + raw


def leaf_input(event: Mapping[str, Any]) -> bytes:
    return b"agentmesh.event.v1" + bytes(1) + b"".join(field(event[name]) for name in COLUMNS)


def leaf(event: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(leaf_input(event)).digest()


def genesis(log_id: UUID) -> bytes:
    return hashlib.sha256(b"agentmesh.log.v1" + bytes(1) + bytes.fromhex(log_id.hex)).digest()


def link(previous: bytes, event: Mapping[str, Any]) -> bytes:
    placed = eight_bytes(event["seq"]) + eight_bytes(micros(event["recorded_at"]))
    return hashlib.sha256(previous + placed + leaf(event)).digest()


def first_fault(log_id: UUID, events: Iterable[Mapping[str, Any]]) -> str | None:
    """Why the log does not hold, naming the first bad seq; None when it holds."""
    tip, recorded_at = genesis(log_id), None
    versions: dict[tuple[str, str], int] = {}
    for seq, event in enumerate(events, 1):
        if event["seq"] != seq:
            return f"{seq}: missing, {event['seq']} comes instead"
        if recorded_at is not None and event["recorded_at"] < recorded_at:
            return f"{seq}: recorded before its predecessor"
        recorded_at = event["recorded_at"]
        stream = (event["stream_type"], event["stream_id"])
        versions[stream] = versions.get(stream, 0) + 1
        if event["version"] != versions[stream]:
            return f"{seq}: version {versions[stream]} of {stream} is missing"
        tip = link(tip, event)
        if bytes(event["hash"]) != tip:
            return f"{seq}: hash differs"
    return None
