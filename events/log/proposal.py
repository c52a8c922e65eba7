"""What an append is given: facts for one stream, and what is known about them."""

import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from events.encoding import UnfitFact, encode
from events.facts import Fact
from events.log import chain
from events.log.rows import Put

_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Who acts, why and in which chain of causes; recorded with every event of the append.

    actor: `user:alice`, `token:ci`, `agent:a1`, `system:health`. origin: JSON text with the address
    and user agent the command came from.
    """

    actor: str
    reason: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """Facts decided for one stream when it stood at `expected_version` (0: it does not exist)."""

    stream_type: str
    stream_id: str
    expected_version: int
    facts: Sequence[Fact]
    context: Context
    rows: Sequence[Put] = ()


@dataclass(frozen=True, slots=True)
class Sealed:
    """One fact as it will be stored, with its leaf; only seq, recorded_at and hash are missing."""

    event_id: uuid.UUID
    version: int
    type: str
    schema_version: str
    occurred_at: datetime
    data: str
    leaf: bytes


Batch = Sequence[tuple[Proposal, Sequence[Sealed]]]


def seal(tenant: str, proposal: Proposal) -> list[Sealed]:
    """The proposal's facts in their stored form. Raises `events.encoding.UnfitFact`."""
    context = proposal.context
    _refuse_unfit_context(context)
    _refuse_unfit_text("stream_type", proposal.stream_type, 32)
    _refuse_unfit_text("stream_id", proposal.stream_id, 256)
    sealed = []
    for version, fact in enumerate(proposal.facts, proposal.expected_version + 1):
        event_id = uuid7()
        data = encode(fact)
        if not _EARLIEST <= fact.occurred_at <= _LATEST:
            raise UnfitFact(f"{fact.type} cannot be stored: its moment has no form in UTC.")
        sealed.append(
            Sealed(
                event_id,
                version,
                fact.type,
                fact.version,
                fact.occurred_at,
                data,
                chain.leaf(
                    event_id=event_id,
                    tenant=tenant,
                    stream_type=proposal.stream_type,
                    stream_id=proposal.stream_id,
                    version=version,
                    type=fact.type,
                    schema_version=fact.version,
                    occurred_at=fact.occurred_at,
                    actor=context.actor,
                    reason=context.reason,
                    correlation_id=context.correlation_id,
                    causation_id=context.causation_id,
                    traceparent=context.traceparent,
                    origin=context.origin,
                    data=data,
                ),
            )
        )
    return sealed


@lru_cache(maxsize=512)
def _refuse_unfit_context(context: Context) -> None:
    """Once per context, not per event: the proposals of a bulk have one in common."""
    _refuse_unfit_text("actor", context.actor, 300)
    _refuse_unfit_text("reason", context.reason)
    _refuse_unfit_text("correlation_id", context.correlation_id, 255)
    _refuse_unfit_text("causation_id", context.causation_id, 255)
    _refuse_unfit_text("traceparent", context.traceparent, 255)
    _refuse_unfit_text("origin", context.origin)


def _refuse_unfit_text(name: str, value: str | None, most: int | None = None) -> None:
    """SQLite would keep, and PostgreSQL refuse, what is too long or holds a NUL."""
    if value is None:
        return
    if most is not None and len(value) > most:
        raise UnfitFact(f"{name} cannot be stored: it has more than {most} characters.")
    if "\0" in value:
        raise UnfitFact(f"{name} cannot be stored: it holds a NUL character.")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise UnfitFact(f"{name} cannot be stored: it holds a lone surrogate.") from None


def uuid7() -> uuid.UUID:
    """A new time-ordered id, of now."""
    return uuid7_of(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10), "big"))


def uuid7_of(milliseconds: int, random: int) -> uuid.UUID:
    """As RFC 9562 §5.7 has it: 48 bits of ms since 1970, then 74 of the 80 random bits given."""
    high = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
    return uuid.UUID(
        int=high | 0x7 << 76 | (random >> 68) << 64 | 0b10 << 62 | random & 0x3FFF_FFFF_FFFF_FFFF
    )
