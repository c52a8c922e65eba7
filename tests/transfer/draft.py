"""Export files made by hand, right or wrong: from docs/export.md, without the code that exports.

A story is the same bytes wherever it is told: ids, moments and the key that signs are fixed.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from events.ancestors.agent_task_completed_1_0 import AgentTaskCompletedEventV1
from events.encoding import encode
from events.facts import DomainEvent, Fact
from events.moments import rfc3339
from events.notes import Signer
from events.tenant_facts import TokenIssued
from events.vocabulary import (
    AgentActivatedEvent,
    AgentCreatedEvent,
    AgentHealthCheckPassedEvent,
    AgentPausedEvent,
    AgentStatusChangedEvent,
    AgentTaskAssignedEvent,
    AgentTaskFailedEvent,
    Capability,
)
from tests.log import chain_by_hand

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIGNER = Signer("mesh.example.org", bytes(range(32)))
Event = dict[str, Any]


def spelt(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@dataclass
class Draft:
    """A header, events and who signs; `file()` is the whole file, chained and signed anew."""

    header: dict[str, Any]
    events: list[Event] = field(default_factory=list)
    signer: Signer | None = SIGNER

    @property
    def slug(self) -> str:
        return str(self.header["tenant"])

    def chained(self) -> "Draft":
        """With the hashes that fit, as a forger makes them who knows the formulas."""
        tip = bytes.fromhex(self.header["prior_hash"])
        for event in self.events:
            tip = chain_by_hand.link(tip, as_stored(self.slug, event))
            event["hash"] = tip.hex()
        self.header["to_seq"] = self.header["from_seq"] + len(self.events) - 1
        return self

    def checkpoint(self, **other: object) -> str:
        last = self.events[-1] if self.events else None
        stands = {
            "name": "mesh.example.org",
            "seq": self.header["to_seq"],
            "hash": last["hash"] if last else self.header["prior_hash"],
            "log_id": self.header["log_id"],
            "recorded_at": last["recorded_at"] if last else self.header["created_at"],
            "tenant": self.slug,
        } | other
        digest = base64.b64encode(bytes.fromhex(str(stands["hash"]))).decode()
        body = (
            f"{stands['name']}/tenants/{stands['tenant']}\n{stands['seq']}\n{digest}\n"
            f"log_id {stands['log_id']}\nrecorded_at {stands['recorded_at']}\n"
        )
        return self.signer.sign(body) if self.signer else body

    def file(self, note: str | None = None) -> bytes:
        lines = b"".join(map(spelt, (self.header, *self.events)))
        start = spelt({"checkpoint": note or self.checkpoint(), "sha256": ""})[: -len('"}\n')]
        digest = hashlib.sha256(lines + start).hexdigest()
        return lines + start + digest.encode() + b'"}\n'

    def copy(self) -> "Draft":
        return deepcopy(self)


def as_stored(slug: str, event: Event) -> Event:
    return event | {
        "tenant": slug,
        "event_id": UUID(event["event_id"]),
        "occurred_at": datetime.fromisoformat(event["occurred_at"]),
        "recorded_at": datetime.fromisoformat(event["recorded_at"]),
    }


def draft(slug: str, facts: Sequence[Fact], *, ids: str = "") -> Draft:
    """A log of these facts, one second after the other. `ids`: what its ids are made from."""
    log_id = uuid5(NAMESPACE_URL, f"{ids or slug}/log")
    header = {
        "format": "agentmesh-log",
        "format_version": 1,
        "tenant": slug,
        "name": "Acme & Söhne",
        "created_at": rfc3339(NOON),
        "log_id": str(log_id),
        "from_seq": 1,
        "to_seq": 0,
        "prior_hash": chain_by_hand.genesis(log_id).hex(),
        "filters": None,
    }
    made = Draft(header)
    versions: dict[str, int] = {}
    for seq, fact in enumerate(facts, 1):
        agent_id = fact.agent_id if isinstance(fact, DomainEvent) else None
        stream = agent_id or slug
        versions[stream] = versions.get(stream, 0) + 1
        made.events.append(
            {
                "seq": seq,
                "event_id": str(uuid5(NAMESPACE_URL, f"{ids or slug}/{seq}")),
                "stream_type": "agent" if agent_id else "tenant",
                "stream_id": stream,
                "version": versions[stream],
                "type": fact.type,
                "schema_version": fact.version,
                "occurred_at": rfc3339(fact.occurred_at),
                "recorded_at": rfc3339(NOON + timedelta(seconds=seq // 2, microseconds=seq % 2)),
                "actor": "user:alice",
                "reason": None if seq % 3 else "",
                "correlation_id": f"c-{seq}" if seq % 2 else None,
                "causation_id": None,
                "traceparent": None,
                "origin": '{"address":"192.0.2.7","user_agent":"Ünïcode \\"quoted\\""}',
                "data": encode(fact),
                "hash": "",
            }
        )
    return made.chained()


def story(slug: str, *, ids: str = "") -> Draft:
    """An agent's life with a task of each outcome, one completed in the form before tokens were
    counted, one still open; and a token. Texts beyond ASCII and beyond what spreadsheets like."""
    at: dict[str, Any] = {"occurred_at": NOON}
    one = "agent-1"
    moved = [("REGISTERED", "AVAILABLE"), ("AVAILABLE", "BUSY"), ("BUSY", "AVAILABLE")]
    changes = [
        AgentStatusChangedEvent(one, from_status=old, to_status=new, changed_at=NOON, **at)
        for old, new in moved
    ]
    tasks = [
        AgentTaskAssignedEvent(one, task_id=f"t-{number}", assigned_at=NOON, input=given, **at)
        for number, given in enumerate(({"ü": "=1+1\t\u2028\U0001f980"}, None, [1.0, -2, 1e300]))
    ]
    return draft(
        slug,
        [
            AgentCreatedEvent(
                one,
                tenant_id=slug,
                capabilities=(Capability("python", 3),),
                name="=cmd()",
                metadata={"deep": [{"er": None}]},
                **at,
            ),
            AgentActivatedEvent(one, activated_at=NOON, **at),
            changes[0],
            TokenIssued(token_id=str(UUID(int=7)), name="ci", role="auditor", occurred_at=NOON),
            tasks[0],
            changes[1],
            AgentTaskCompletedEventV1(
                one, task_id="t-0", result="é", execution_time_ms=7.5, completed_at=NOON, **at
            ),
            changes[2],
            tasks[1],
            AgentTaskFailedEvent(one, task_id="t-1", error_message="No.", failed_at=NOON, **at),
            AgentHealthCheckPassedEvent(one, checked_at=NOON, **at),
            tasks[2],
            AgentPausedEvent(one, reason="Drains.\n", paused_at=NOON, **at),
        ],
        ids=ids,
    )
