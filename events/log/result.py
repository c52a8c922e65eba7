"""What an append gives back."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from events import registry
from events.facts import Envelope, Fact
from events.log import chain
from events.log.proposal import Batch, Proposal, Sealed


@dataclass(frozen=True)
class Appended:
    """An acknowledged append: durable, and visible to every reader that reads from now on.

    seq: of the last event. recorded_at: of all of them, UTC. prior_hash: of the event before the
    first (32 bytes).
    """

    tenant: str
    seq: int
    recorded_at: datetime
    prior_hash: bytes
    batch: Batch

    @property
    def first_seq(self) -> int:
        return self.seq - sum(len(sealed) for _, sealed in self.batch) + 1

    @cached_property
    def events(self) -> tuple[Fact, ...]:
        """The facts with their envelopes, as a reader of the log gets them, in seq order."""
        facts, seq, tip = [], self.first_seq, self.prior_hash
        for proposal, sealed in self.batch:
            for fact, event in zip(proposal.facts, sealed, strict=True):
                tip = chain.link(tip, seq, self.recorded_at, event.leaf)
                envelope = self._envelope(proposal, event, seq, tip)
                facts.append(registry.represent(fact, None).with_envelope(envelope))
                seq += 1
        return tuple(facts)

    def _envelope(self, proposal: Proposal, event: Sealed, seq: int, tip: bytes) -> Envelope:
        context = proposal.context
        return Envelope(
            event_id=event.event_id,
            tenant=self.tenant,
            seq=seq,
            stream_type=proposal.stream_type,
            stream_id=proposal.stream_id,
            stream_version=event.version,
            type=event.type,
            schema_version=event.schema_version,
            occurred_at=event.occurred_at,
            recorded_at=self.recorded_at,
            actor=context.actor,
            reason=context.reason,
            correlation_id=context.correlation_id,
            causation_id=context.causation_id,
            traceparent=context.traceparent,
            origin=context.origin,
            hash=tip,
        )
