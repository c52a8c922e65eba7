"""An event as a message: `agentmesh.<tenant>.<type>.<agent>`, the CloudEvent as its body.

The headers say which event it is, so that neither a consumer nor the relay has to open the body:

    Nats-Msg-Id      the event's id, by which the server refuses a second one for a while
    AgentMesh-Seq    its place in the tenant's log
    AgentMesh-Hash   its hash, in hex

The body is what an auditor sees of the event, without its origin: confidential payloads are sealed,
since whoever may read the stream is the broker's to decide and not ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from events.cloudevents import AGENT_STREAM, cloud_event
from events.confidential import reveal
from events.log import cursor
from events.log.cursor import Position
from events.models import Event

NAME = "AGENTMESH"  # of the one stream that holds them all
PREFIX = "agentmesh"
ALL_SUBJECTS = f"{PREFIX}.>"
NO_AGENT = "_"  # of a tenant's own facts; an agent's id has three characters at least

MSG_ID = "Nats-Msg-Id"
SEQ = "AgentMesh-Seq"
HASH = "AgentMesh-Hash"


@dataclass(frozen=True, slots=True)
class Message:
    """position: in the tenant's log, after this event."""

    tenant: str
    position: Position
    subject: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Unfit:
    """An event that no message can be made of. Nothing of its log goes on without it."""

    seq: int
    reason: str


def page(tenant: str, after: Position, limit: int) -> list[Message | Unfit]:
    """The next events as messages, at most `limit`; less mean that the log ends there.

    Asks the database. Raises what `events.log.cursor.page` raises.
    """
    rows = cursor.page(tenant, after, limit)
    shown = reveal.of_rows(rows, plain=False)
    return [_message(row, shown.get(row.seq)) for row in rows]


def _message(row: Event, data: str | None) -> Message | Unfit:
    try:
        body = cloud_event(row, schema=None, show_origin=False, data=data)
    except Exception as error:  # noqa: BLE001 -- one tenant's bad event is no other's business
        return Unfit(row.seq, f"{type(error).__name__}: {error}")
    position = Position(row.seq, bytes(row.hash))
    headers = {MSG_ID: str(row.event_id), SEQ: str(row.seq), HASH: position.hash.hex()}
    return Message(row.tenant_id, position, subject_of(row), body, headers)


def subject_of(row: Event) -> str:
    agent = row.stream_id if row.stream_type == AGENT_STREAM else NO_AGENT
    return f"{PREFIX}.{row.tenant_id}.{row.type}.{agent}"


def subjects_of(tenant: str) -> str:
    """All of a tenant's subjects."""
    return f"{PREFIX}.{tenant}.>"


def position_in(headers: Mapping[str, str]) -> Position | None:
    """Which event a message of the stream is; None when the relay has not written it."""
    try:
        position = Position(int(headers[SEQ]), bytes.fromhex(headers[HASH]))
    except (KeyError, ValueError):
        return None
    return position if position.seq > 0 else None
