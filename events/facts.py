"""What a fact is: a frozen value that says what happened, to whom and when.

Facts are msgspec structs: they are built in Python by the aggregate, encoded once into the JSON
text that the log stores and hashes, and decoded from exactly that text ever after. What only the
log knows (seq, actor, hash …) is not part of a fact; it travels beside it as the `envelope`.
"""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

import msgspec
from msgspec import Meta

Moment = Annotated[datetime, Meta(tz=True)]
Level = Annotated[int, Meta(ge=1, le=5)]
Number = int | float
JSON = Any


def utc_now() -> datetime:
    return datetime.now(UTC)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What the log knows of one event. Times are aware, in UTC, with microseconds."""

    event_id: uuid.UUID
    tenant: str
    seq: int
    stream_type: str
    stream_id: str
    stream_version: int
    type: str
    schema_version: str
    occurred_at: datetime
    recorded_at: datetime
    actor: str
    reason: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None
    origin: str | None = None
    hash: bytes


class Fact(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    dict=True,  # room for the envelope, which is neither compared nor encoded
    forbid_unknown_fields=True,
):
    """Something that happened. Subclasses add their fields; `version` is the schema's version."""

    version: ClassVar[str] = "1.0"

    occurred_at: Moment = msgspec.field(default_factory=utc_now)

    @property
    def envelope(self) -> Envelope | None:
        """What the log knows of this fact; None until it has been read from the log."""
        return self.__dict__.get("envelope")

    @classmethod
    def wire_type(cls) -> str:
        """The fact's name in the log and on the wire: the class's own, save for an ancestor."""
        return cls.__name__

    @property
    def type(self) -> str:
        return self.wire_type()

    def with_envelope(self, envelope: Envelope) -> Self:
        """The same fact, knowing its place in the log."""
        twin = msgspec.structs.replace(self)
        twin.__dict__["envelope"] = envelope
        return twin


class DomainEvent(Fact, frozen=True):
    """A fact about one agent."""

    agent_id: str

    @property
    def aggregate_id(self) -> str:
        return self.agent_id


class TenantFact(Fact, frozen=True):
    """A fact about a tenant rather than about one of its agents."""

    @property
    def aggregate_id(self) -> str:
        return self.envelope.stream_id if self.envelope else ""
