"""Folding events into rows with nothing but a dict, and logs to fold that no database has seen."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import msgspec
from django.db import models

from events import registry
from events.facts import DomainEvent, Envelope, Fact
from events.log import read
from events.patterns import Pattern
from events.readmodels import Key, ReadModel

Row = TypeVar("Row", bound=msgspec.Struct)
BEGIN = datetime(2026, 1, 5, 9, tzinfo=UTC)


class Folded:
    """The rows of one read model, and the `known` that a projection asks."""

    def __init__(self, read_model: ReadModel) -> None:
        self.read_model = read_model
        self.rows: dict[tuple[type[msgspec.Struct], Key], msgspec.Struct] = {}

    def __call__(self, table: type[Row], *key: Any) -> Row | None:
        return cast("Row | None", self.rows.get((table, key)))

    def take(self, event: Fact) -> None:
        for row in self.read_model.project(event, self):
            self.rows[type(row), self.read_model.key(row)] = row

    def table(self, table: type[Row]) -> dict[Any, Row]:
        """The rows of one kind by their keys; a key of one field is that field's value."""
        found: dict[Any, Any] = {}
        for (kind, key), row in self.rows.items():
            if kind is table:
                found[key[0] if len(key) == 1 else key] = row
        return found


def fold(
    read_model: ReadModel, types: str, events: Iterable[Fact], onto: Folded | None = None
) -> Folded:
    """The rows after these events, of which those of other types are passed over."""
    folded = onto or Folded(read_model)
    wanted = Pattern.of(types)
    for event in events:
        if wanted.fits(event.type):
            folded.take(event)
    return folded


def keep(folded: Folded, tenant: str, generation: int = 1) -> None:
    """Put the rows into the read model's tables."""
    for table, model in folded.read_model.tables.items():
        rows: models.Manager[Any] = model._default_manager
        rows.bulk_create(
            model(tenant_id=tenant, generation=generation, **msgspec.structs.asdict(row))
            for row in folded.table(table).values()
        )


def read_back(read_model: ReadModel, tenant: str, generation: int = 1) -> Folded:
    """The rows that stand in the read model's tables."""
    folded = Folded(read_model)
    for table, model in read_model.tables.items():
        rows: models.Manager[Any] = model._default_manager
        found = rows.filter(tenant=tenant, generation=generation)
        for values in found.values_list(*table.__struct_fields__):
            row = table(*values)
            folded.rows[table, read_model.key(row)] = row
    return folded


def logged(facts: Sequence[Fact], *, actor: str = "user:alice") -> list[Any]:
    """The facts as they come out of a log that has them in this order, a second apart."""
    versions: dict[str, int] = {}
    events: list[Any] = []
    for seq, fact in enumerate(facts, 1):
        stream = fact.agent_id if isinstance(fact, DomainEvent) else "acme"
        versions[stream] = versions.get(stream, 0) + 1
        envelope = Envelope(
            event_id=uuid.UUID(int=seq),
            tenant="acme",
            seq=seq,
            stream_type="agent" if isinstance(fact, DomainEvent) else "tenant",
            stream_id=stream,
            stream_version=versions[stream],
            type=fact.type,
            schema_version=fact.version,
            occurred_at=fact.occurred_at,
            recorded_at=BEGIN + timedelta(seconds=seq),
            actor=actor,
            hash=seq.to_bytes(32),
        )
        stored = msgspec.json.encode(fact)
        events.append(registry.decoder(fact.type, fact.version)(stored).with_envelope(envelope))
    return events


def whole_log(tenant: str) -> list[Any]:
    """Every event of a tenant's log, as the worker would publish it."""
    return [read.fact(row) for row in read.after(tenant, 0, 100_000)]
