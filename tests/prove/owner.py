"""What the owner of the database can do, and an exact picture of the tables before and after."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from events.log import guard
from events.models import Event
from tests.log import chain_by_hand

ON_POSTGRESQL = connection.vendor == "postgresql"
EVENT_COLUMNS = tuple(field.column or "" for field in Event._meta.concrete_fields)
HEAD_COLUMNS = ("tenant_id", "seq", "recorded_at", "hash", "prior_hash")


@contextmanager
def owning() -> Iterator[CursorWrapper]:
    """No trigger, no key and no constraint on the events any more; all is undone at the end."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            _take_guards_off(cursor)
            yield cursor
        transaction.set_rollback(True)


def _take_guards_off(cursor: CursorWrapper) -> None:
    if not ON_POSTGRESQL:
        for name in guard._SQLITE:
            cursor.execute(f"DROP TRIGGER {name}")
        for table in ("events_event", "events_tenanthead"):
            _loosen_sqlite(cursor, table)
        cursor.execute("CREATE INDEX loose_seq ON events_event (tenant_id, seq)")
        return
    for table in ("event", "tenanthead", "tenant"):
        cursor.execute(f"ALTER TABLE events_{table} DISABLE TRIGGER USER")
    cursor.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'events_event'::regclass "
        "AND contype IN ('p', 'u', 'c')"
    )
    for (name,) in cursor.fetchall():
        cursor.execute(f'ALTER TABLE events_event DROP CONSTRAINT "{name}"')
    for name in EVENT_COLUMNS:
        cursor.execute(f"ALTER TABLE events_event ALTER COLUMN {name} DROP NOT NULL")
    for name in ("seq", "recorded_at", "hash", "prior_hash"):
        cursor.execute(f"ALTER TABLE events_tenanthead ALTER COLUMN {name} DROP NOT NULL")
    cursor.execute("CREATE INDEX loose_seq ON events_event (tenant_id, seq)")


def _loosen_sqlite(cursor: CursorWrapper, table: str) -> None:
    """Columns of the same names and types, and nothing that is promised of them."""
    cursor.execute(f"PRAGMA table_info({table})")
    columns = {row[1]: row[2] for row in cursor.fetchall()}
    typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    names = ", ".join(columns)
    cursor.execute(f"CREATE TABLE loose ({typed})")
    cursor.execute(f"INSERT INTO loose ({names}) SELECT {names} FROM {table}")
    cursor.execute(f"DROP TABLE {table}")
    cursor.execute(f"ALTER TABLE loose RENAME TO {table}")


class Picture(NamedTuple):
    """rows: (tenant, seq, all columns) of every event, in one exact spelling; heads and tenants:
    their columns by tenant's slug, likewise."""

    rows: list[tuple[Any, Any, str]]
    heads: dict[Any, tuple[Any, ...]]
    tenants: dict[Any, Any]


def picture(cursor: CursorWrapper) -> Picture:
    """Whatever differs between two tables differs between their pictures."""
    if ON_POSTGRESQL:
        cursor.execute("SELECT tenant_id, seq, e::text FROM events_event e")
        rows = cursor.fetchall()
        cursor.execute(
            "SELECT tenant_id, seq, recorded_at::text, encode(hash, 'hex'), "
            "encode(prior_hash, 'hex') FROM events_tenanthead"
        )
        heads = cursor.fetchall()
        cursor.execute("SELECT slug, log_id::text FROM events_tenant")
    else:
        spelt = " || '|' || ".join(map(_spelt, EVENT_COLUMNS))
        cursor.execute(
            f"SELECT CASE WHEN typeof(tenant_id) = 'text' THEN CAST(tenant_id AS BLOB) END, "
            f"seq, {spelt} FROM events_event"
        )
        rows = [(_text(name), seq, all_) for name, seq, all_ in cursor.fetchall()]
        others = ", ".join(map(_spelt, HEAD_COLUMNS[2:]))
        cursor.execute(f"SELECT CAST(tenant_id AS BLOB), seq, {others} FROM events_tenanthead")
        heads = [(_text(name), *rest) for name, *rest in cursor.fetchall()]
        cursor.execute(f"SELECT CAST(slug AS BLOB), {_spelt('log_id')} FROM events_tenant")
    tenants = cursor.fetchall()
    return Picture(
        rows,
        {head[0]: tuple(head[1:]) for head in heads},
        {_text(slug): log_id for slug, log_id in tenants},
    )


def _spelt(column: str) -> str:
    return f"(typeof({column}) || hex({column}))"


def _text(stored: Any) -> Any:
    return stored.decode("utf-8", "backslashreplace") if isinstance(stored, bytes) else stored


def load(tenant: str) -> list[dict[str, Any]]:
    """The tenant's events as the by-hand chain takes them, in the order of seq."""
    rows = Event.objects.filter(tenant=tenant).order_by("seq").values()
    return [{**row, "tenant": row["tenant_id"], "hash": bytes(row["hash"])} for row in rows]


def chain_again(log_id: uuid.UUID, rows: list[dict[str, Any]]) -> None:
    """Number the rows 1, 2, 3 … and compute every hash, as an append would have."""
    tip = chain_by_hand.genesis(log_id)
    for seq, row in enumerate(rows, 1):
        row["seq"] = seq
        tip = row["hash"] = chain_by_hand.link(tip, row)


def replace(
    cursor: CursorWrapper, tenant: str, log_id: uuid.UUID, rows: list[dict[str, Any]]
) -> None:
    """Put these rows in place of the tenant's, and a head that fits."""
    cursor.execute("DELETE FROM events_event WHERE tenant_id = %s", [tenant])
    Event.objects.bulk_create(
        [Event(**{name: row[name] for name in row if name != "tenant"}) for row in rows]
    )
    set_head(cursor, tenant, log_id, rows)


def set_head(
    cursor: CursorWrapper, tenant: str, log_id: uuid.UUID, rows: list[dict[str, Any]]
) -> None:
    begins = chain_by_hand.genesis(log_id)
    hashes = [begins, *(row["hash"] for row in rows)]
    cursor.execute(
        "UPDATE events_tenanthead SET seq = %s, hash = %s, prior_hash = %s WHERE tenant_id = %s",
        [len(rows), hashes[-1], hashes[max(0, len(rows) - 1)], tenant],
    )
    if rows:
        moment = connection.ops.adapt_datetimefield_value(rows[-1]["recorded_at"])
        cursor.execute(
            "UPDATE events_tenanthead SET recorded_at = %s WHERE tenant_id = %s", [moment, tenant]
        )
