"""Facts of the past as an exported log: chained, signed, in the form that `import_log` reads."""

import hashlib
import random
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO

from events import signing
from events.cloudevents import AGENT_STREAM
from events.encoding import encode
from events.facts import DomainEvent, Fact
from events.log import chain
from events.log.checkpoint import Checkpoint
from events.log.proposal import Context, uuid7_of
from events.moments import rfc3339
from events.tenants import STREAM as TENANT_STREAM
from events.transfer.format import (
    Header,
    Line,
    encoded,
    footer_from_digest,
    footer_up_to_digest,
)

COMMIT = timedelta(milliseconds=3)  # from the decision to the log


@dataclass(frozen=True, slots=True)
class _Taken:
    event_id: uuid.UUID
    fact: Fact
    by: Context


@dataclass(slots=True)
class Tape:
    """Of one tenant, from the moment its log began. Facts may come in any order of time; those of
    one stream come in theirs."""

    tenant: str
    name: str
    began_at: datetime
    chance: random.Random
    log_id: uuid.UUID = field(default_factory=uuid.uuid4)
    _taken: list[_Taken] = field(default_factory=list)

    def take(self, facts: Sequence[Fact], by: Context) -> list[str]:
        """Keep the facts of one append; returns their event ids, for others to name as causes."""
        kept = [_Taken(self._id_at(fact.occurred_at), fact, by) for fact in facts]
        self._taken += kept
        return [str(each.event_id) for each in kept]

    def file(self) -> BytesIO:
        """The whole log, as `export_log` would write it."""
        start = chain.genesis(self.log_id)
        header = Header(
            tenant=self.tenant,
            name=self.name,
            created_at=rfc3339(self.began_at),
            log_id=self.log_id,
            from_seq=1,
            to_seq=len(self._taken),
            prior_hash=start.hex(),
            filters=None,
        )
        covered, file = hashlib.sha256(), BytesIO()

        def write(part: bytes) -> None:
            covered.update(part)
            file.write(part)

        write(encoded(header))
        tip, recorded_at = start, self.began_at
        for line, recorded_at, tip in self._lines(start):  # noqa: B007 -- the last ones are wanted
            write(encoded(line))
        stands = Checkpoint(
            name=signing.key_name(),
            tenant=self.tenant,
            seq=len(self._taken),
            hash=tip,
            log_id=self.log_id,
            recorded_at=recorded_at,
        )
        write(footer_up_to_digest(stands.note()))
        file.write(footer_from_digest(covered.hexdigest()))
        file.seek(0)
        return file

    def _lines(self, tip: bytes) -> Iterator[tuple[Line, datetime, bytes]]:
        versions: dict[tuple[str, str], int] = defaultdict(int)
        recorded_at = self.began_at
        in_order = sorted(self._taken, key=lambda each: each.fact.occurred_at)
        for seq, each in enumerate(in_order, 1):
            fact, by = each.fact, each.by
            stream = self._stream(fact)
            versions[stream] += 1
            recorded_at = max(recorded_at, fact.occurred_at + COMMIT)
            data = encode(fact)
            leaf = chain.leaf(
                event_id=each.event_id,
                tenant=self.tenant,
                stream_type=stream[0],
                stream_id=stream[1],
                version=versions[stream],
                type=fact.type,
                schema_version=fact.version,
                occurred_at=fact.occurred_at,
                actor=by.actor,
                reason=by.reason,
                correlation_id=by.correlation_id,
                causation_id=by.causation_id,
                traceparent=by.traceparent,
                origin=by.origin,
                data=data,
            )
            tip = chain.link(tip, seq, recorded_at, leaf)
            line = Line(
                seq,
                each.event_id,
                *stream,
                versions[stream],
                fact.type,
                fact.version,
                rfc3339(fact.occurred_at),
                rfc3339(recorded_at),
                by.actor,
                by.reason,
                by.correlation_id,
                by.causation_id,
                by.traceparent,
                by.origin,
                data,
                tip.hex(),
            )
            yield line, recorded_at, tip

    def _stream(self, fact: Fact) -> tuple[str, str]:
        if isinstance(fact, DomainEvent):
            return AGENT_STREAM, fact.agent_id
        return TENANT_STREAM, self.tenant

    def _id_at(self, moment: datetime) -> uuid.UUID:
        return uuid7_of(chain.microseconds(moment) // 1_000, self.chance.getrandbits(80))
