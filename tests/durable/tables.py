"""A read model of the tests' own, and its tables: in no app, so that no migration knows of them."""

from collections.abc import Iterator
from typing import Any, ClassVar, Self

import msgspec
from django.db import connection, models
from django.db.models import F, Sum

from events.models import Tenant
from events.readmodels import Known, ReadModel
from events.scoping import TenantManager


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How many events an agent has had."""

    agent_id: str
    events: int
    last_seq: int
    load: float | None = None
    extra: Any = None


class TallyRow(models.Model):
    tenant = models.ForeignKey(
        Tenant, models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    generation = models.IntegerField(default=1)
    agent_id = models.CharField(max_length=16)
    events = models.IntegerField()
    last_seq = models.BigIntegerField()
    load = models.FloatField(null=True)
    extra = models.JSONField(null=True)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        app_label = "tests_durable"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "generation", "agent_id"], name="tally_once")
        ]

    def __str__(self) -> str:
        return self.agent_id


class CountRow(models.Model):
    """What a handler counts: nothing but the checkpoint keeps it from counting twice."""

    tenant = models.CharField(max_length=63)
    agent_id = models.CharField(max_length=16)
    events = models.IntegerField(default=0)
    seqs = models.BigIntegerField(default=0)
    # Asked by the database when a transaction commits, and no earlier.
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="+")

    objects: ClassVar[models.Manager[Self]] = models.Manager()

    class Meta:
        app_label = "tests_durable"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "agent_id"], name="count_once")
        ]

    def __str__(self) -> str:
        return self.agent_id


def make_tables() -> None:
    """In the database that is connected now, unless they are there."""
    if TallyRow._meta.db_table in connection.introspection.table_names():
        return
    with connection.schema_editor() as editor:
        editor.create_model(TallyRow)
        editor.create_model(CountRow)


def tally(event: Any, known: Known) -> Iterator[Tally]:
    place = event.envelope
    row = known(Tally, place.stream_id) or Tally(agent_id=place.stream_id, events=0, last_seq=0)
    yield msgspec.structs.replace(row, events=row.events + 1, last_seq=place.seq)


def tallies(name: str, project: Any = tally, **more: Any) -> ReadModel:
    return ReadModel(name, {Tally: TallyRow}, project, **more)


def count(event: Any) -> None:
    """A projection's handler: as many statements as one has that knows no better."""
    place = event.envelope
    mine = CountRow.objects.filter(tenant=place.tenant, agent_id=place.stream_id)
    if not mine.update(events=F("events") + 1, seqs=F("seqs") + place.seq):
        CountRow.objects.create(
            tenant=place.tenant, agent_id=place.stream_id, events=1, seqs=place.seq
        )


def counted(tenant: str) -> dict[str, tuple[int, int]]:
    """Of each agent how many events were counted, and the sum of their seqs."""
    rows = CountRow.objects.filter(tenant=tenant).values_list("agent_id", "events", "seqs")
    return {agent_id: (events, seqs) for agent_id, events, seqs in rows}


def counted_in_all(tenant: str) -> int:
    found: int | None = CountRow.objects.filter(tenant=tenant).aggregate(n=Sum("events"))["n"]
    return found or 0


def tallied(tenant: str) -> dict[str, tuple[int, int]]:
    """Of each agent how many events were tallied, and the last one's seq."""
    rows = TallyRow.objects.filter(tenant=tenant).values_list("agent_id", "events", "last_seq")
    return {agent_id: (events, last) for agent_id, events, last in rows}
