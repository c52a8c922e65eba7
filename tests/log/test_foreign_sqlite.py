"""A foreign connection to the SQLite file, which need not have our settings.

INSERT OR REPLACE deletes without firing a delete trigger unless recursive_triggers is on.
"""

import sqlite3
from contextlib import closing

import pytest
from django.db import connection

from events.log.append import append
from tests.log.sample import fault, head, heartbeats, proposed, stored

OTHERS = (
    "stream_type, stream_id, type, schema_version, occurred_at, recorded_at, actor, reason, "
    "correlation_id, causation_id, traceparent, origin, data, hash, tenant_id"
)
INTO_EVENTS = f"REPLACE INTO events_event (event_id, seq, version, {OTHERS})"
FROM_EVENTS = f"{OTHERS} FROM events_event WHERE tenant_id = ?"
INTO_TENANTS = "REPLACE INTO events_tenant (slug, name, log_id, created_at)"
ATTEMPTS = {
    "an event by its id": f"{INTO_EVENTS} SELECT event_id, seq + 9, version + 9, {FROM_EVENTS}",
    "an event by its place": f"{INTO_EVENTS} SELECT hex(seq), seq, version + 9, {FROM_EVENTS}",
    "an event by its version": f"{INTO_EVENTS} SELECT hex(seq), seq + 9, version, {FROM_EVENTS}",
    "an event by an update": "UPDATE OR REPLACE events_event SET seq = 1 WHERE tenant_id = ?",
    "an event by deleting it": "DELETE FROM events_event WHERE tenant_id = ?",
    "a head": "REPLACE INTO events_tenanthead SELECT * FROM events_tenanthead WHERE tenant_id = ?",
    "a head by deleting it": "DELETE FROM events_tenanthead WHERE tenant_id = ?",
    "a tenant": f"{INTO_TENANTS} VALUES (?, 'x', '00000000000000000000000000000001', '2020-01-01')",
    "a tenant by its log": (
        f"{INTO_TENANTS} SELECT slug || 'x', name, log_id, created_at "
        "FROM events_tenant WHERE slug = ?"
    ),
    "a tenant by deleting it": "DELETE FROM events_tenant WHERE slug = ?",
}


@pytest.mark.parametrize("recursive", ["ON", "OFF"])
@pytest.mark.parametrize("what", ATTEMPTS)
def test_nothing_is_replaced(acme: str, what: str, recursive: str) -> None:
    append(acme, proposed(*heartbeats(3)))
    before = stored(acme), head(acme)

    with closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=30)) as foreign:
        foreign.execute(f"PRAGMA recursive_triggers={recursive}")
        foreign.execute("PRAGMA foreign_keys=OFF")
        with pytest.raises(sqlite3.IntegrityError, match=r"append-only|forward|for ever"):
            foreign.execute(ATTEMPTS[what], (acme,))
        foreign.rollback()

    assert (stored(acme), head(acme)) == before
    assert fault(acme) is None
