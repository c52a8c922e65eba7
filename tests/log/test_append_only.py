"""The database itself refuses to rewrite the log, whoever asks and however.

Every attempt runs in the shared database inside a transaction that is rolled back whatever happens,
or on a foreign connection that never commits.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest
from django.db import DatabaseError, connection, models, transaction

from events.log.append import append
from events.models import Event, Tenant, TenantHead
from tests.log.sample import ON_POSTGRESQL, fault, head, heartbeats, proposed, stored

EVENT = "The log is append-only: events are never changed or deleted."
HEAD = "A tenant's head only moves forward, by appending."
TENANT = "A tenant keeps its slug and its log for ever."


class RolledBack(Exception):
    pass


@contextmanager
def rolled_back() -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
            _roll_back()
    except RolledBack:
        pass


def _roll_back() -> NoReturn:
    raise RolledBack


@pytest.fixture
def filled(acme: str) -> Iterator[str]:
    """A tenant with three events, which are there untouched when the test is over."""
    append(acme, proposed(*heartbeats(3)))
    before = stored(acme), head(acme)
    yield acme
    assert (stored(acme), head(acme)) == before
    assert fault(acme) is None


def refused(attempt: Callable[[], object], why: str) -> None:
    with rolled_back(), pytest.raises(DatabaseError, match=why), transaction.atomic():
        attempt()


def run(sql: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


COLUMNS = [field.column for field in Event._meta.concrete_fields]


@pytest.mark.parametrize("column", COLUMNS)
def test_no_column_of_an_event_can_be_updated(filled: str, column: str) -> None:
    sql = f"UPDATE events_event SET {column} = {column} WHERE tenant_id = %s"
    refused(lambda: run(sql, filled), EVENT)


ON_EVENTS = {
    "DELETE": "DELETE FROM events_event WHERE tenant_id = '{0}'",
    "DELETE of all": "DELETE FROM events_event",
    "ON CONFLICT DO UPDATE": (
        "INSERT INTO events_event SELECT * FROM events_event WHERE tenant_id = '{0}' "
        "ON CONFLICT (event_id) DO UPDATE SET data = ''"
    ),
    "ON CONFLICT by seq": (
        "INSERT INTO events_event SELECT * FROM events_event WHERE tenant_id = '{0}' "
        "ON CONFLICT (tenant_id, seq) DO UPDATE SET data = ''"
    ),
}
ON_POSTGRESQL_EVENTS = {
    "UPDATE of none": "UPDATE events_event SET data = '' WHERE false",
    "TRUNCATE": "TRUNCATE events_event",
    "TRUNCATE of all": "TRUNCATE events_event, events_tenanthead, agents_taskclaim",
    "DELETE as a replica": (
        "SET LOCAL session_replication_role = replica; "
        "DELETE FROM events_event WHERE tenant_id = '{0}'"
    ),
    "UPDATE as a replica": (
        "SET LOCAL session_replication_role = replica; UPDATE events_event SET data = ''"
    ),
    "TRUNCATE as a replica": "SET LOCAL session_replication_role = replica; TRUNCATE events_event",
    "MERGE": (
        "MERGE INTO events_event AS e USING events_tenant AS t ON e.tenant_id = t.slug "
        "AND t.slug = '{0}' WHEN MATCHED THEN UPDATE SET data = ''"
    ),
    "a CTE": "WITH gone AS (DELETE FROM events_event RETURNING 1) SELECT count(*) FROM gone",
}


if ON_POSTGRESQL:
    ON_EVENTS |= ON_POSTGRESQL_EVENTS


@pytest.mark.parametrize("name", ON_EVENTS)
def test_events_can_be_changed_by_no_statement(filled: str, name: str) -> None:
    refused(lambda: run(ON_EVENTS[name].format(filled)), EVENT)


ORM: dict[str, Callable[[models.QuerySet[Event]], object]] = {
    "update": lambda events: events.update(data="{}"),
    "update of nothing new": lambda events: events.update(data=models.F("data")),
    "delete": lambda events: events.delete(),
    "raw delete": lambda events: events._raw_delete(events.db),
    "save": lambda events: events[0].save(),
    "save one field": lambda events: events[1].save(update_fields=["reason"]),
    "delete one": lambda events: events[2].delete(),
    "bulk_update": lambda events: events.bulk_update([events[0]], ["data"]),
    "update_or_create": lambda events: events.update_or_create(seq=1, defaults={"data": "{}"}),
    "bulk_create over it": lambda events: Event.objects.bulk_create(
        list(events),
        update_conflicts=True,
        update_fields=["data"],
        unique_fields=["event_id"],
    ),
}


@pytest.mark.parametrize("way", ORM)
def test_the_orm_cannot_change_an_event(filled: str, way: str) -> None:
    refused(lambda: ORM[way](Event.objects.filter(tenant=filled).order_by("seq")), EVENT)


ON_HEADS = {
    "seq back": "UPDATE events_tenanthead SET seq = seq - 1 WHERE tenant_id = '{0}'",
    "the same seq, another hash": (
        "UPDATE events_tenanthead SET hash = prior_hash WHERE tenant_id = '{0}'"
    ),
    "time back": (
        "UPDATE events_tenanthead SET seq = seq + 1, recorded_at = '2020-01-01 00:00:00' "
        "WHERE tenant_id = '{0}'"
    ),
    "another tenant's": (
        "UPDATE events_tenanthead SET seq = seq + 1, tenant_id = 'x' WHERE tenant_id = '{0}'"
    ),
    "gone": "DELETE FROM events_tenanthead WHERE tenant_id = '{0}'",
    "upsert": (
        "INSERT INTO events_tenanthead SELECT * FROM events_tenanthead WHERE tenant_id = '{0}' "
        "ON CONFLICT (tenant_id) DO UPDATE SET seq = 0"
    ),
}
ON_POSTGRESQL_HEADS = {
    "TRUNCATE": "TRUNCATE events_tenanthead",
    "seq back as a replica": (
        "SET LOCAL session_replication_role = replica; UPDATE events_tenanthead SET seq = 0"
    ),
    "gone as a replica": (
        "SET LOCAL session_replication_role = replica; DELETE FROM events_tenanthead"
    ),
}


if ON_POSTGRESQL:
    ON_HEADS |= ON_POSTGRESQL_HEADS


@pytest.mark.parametrize("name", ON_HEADS)
def test_a_head_only_moves_forward(filled: str, name: str) -> None:
    refused(lambda: run(ON_HEADS[name].format(filled)), HEAD)


def test_the_orm_cannot_move_a_head_back(filled: str) -> None:
    standing = TenantHead.objects.get(tenant=filled)

    refused(standing.save, HEAD)
    refused(standing.delete, HEAD)
    refused(lambda: TenantHead.objects.filter(tenant=filled).update(seq=1), HEAD)


ON_TENANTS = {
    "slug": "UPDATE events_tenant SET slug = slug || 'x' WHERE slug = '{0}'",
    "log": "UPDATE events_tenant SET log_id = '{1}' WHERE slug = '{0}'",
    "gone": "DELETE FROM events_tenant WHERE slug = '{0}'",
    "upsert": (
        "INSERT INTO events_tenant (slug, name, log_id, created_at) "
        "SELECT slug, name, log_id, created_at FROM events_tenant WHERE slug = '{0}' "
        "ON CONFLICT (slug) DO UPDATE SET log_id = '{1}'"
    ),
}
if ON_POSTGRESQL:
    AS_REPLICA = "SET LOCAL session_replication_role = replica; "
    ON_TENANTS |= {f"{name} as a replica": AS_REPLICA + sql for name, sql in ON_TENANTS.items()}
    ON_TENANTS["TRUNCATE"] = "TRUNCATE events_tenant CASCADE"
ANOTHER_ID = "0" * 31 + "1"


@pytest.mark.parametrize("name", ON_TENANTS)
def test_a_tenant_keeps_its_slug_and_its_log(filled: str, name: str) -> None:
    refused(lambda: run(ON_TENANTS[name].format(filled, ANOTHER_ID)), TENANT)


def test_a_tenants_name_may_change(filled: str) -> None:
    Tenant.objects.filter(slug=filled).update(name="Acme & Sons")

    assert Tenant.objects.get(slug=filled).name == "Acme & Sons"
