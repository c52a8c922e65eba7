"""The promises that the database itself keeps, whoever is connected: append-only, heads that only
move forward. Installed after every migrate, because a table rebuild drops triggers in silence.

There is no switch to get past them. A database owner who disables a trigger is seen by `faults()`,
which the system checks and the readiness probe ask.
"""

import re

from django.db import DatabaseError, connection, transaction

_IMMUTABLE = "The log is append-only: events are never changed or deleted."
_HEAD = "A tenant''s head only moves forward, by appending."
_TENANT = "A tenant keeps its slug and its log for ever."

_POSTGRESQL = f"""
CREATE OR REPLACE FUNCTION agentmesh_refuse(arm text) RETURNS integer
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'AM001', MESSAGE = arm;
END $$;

CREATE OR REPLACE FUNCTION agentmesh_refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'AM002', MESSAGE = TG_ARGV[0];
END $$;

CREATE OR REPLACE TRIGGER events_event_immutable
    BEFORE DELETE OR UPDATE OR TRUNCATE ON events_event
    FOR EACH STATEMENT EXECUTE FUNCTION agentmesh_refuse_change('{_IMMUTABLE}');
ALTER TABLE events_event ENABLE ALWAYS TRIGGER events_event_immutable;

CREATE OR REPLACE TRIGGER events_tenanthead_forward
    BEFORE UPDATE ON events_tenanthead FOR EACH ROW
    WHEN (NEW.tenant_id <> OLD.tenant_id OR NEW.seq <= OLD.seq OR NEW.recorded_at < OLD.recorded_at)
    EXECUTE FUNCTION agentmesh_refuse_change('{_HEAD}');
ALTER TABLE events_tenanthead ENABLE ALWAYS TRIGGER events_tenanthead_forward;

CREATE OR REPLACE TRIGGER events_tenanthead_kept
    BEFORE DELETE OR TRUNCATE ON events_tenanthead
    FOR EACH STATEMENT EXECUTE FUNCTION agentmesh_refuse_change('{_HEAD}');
ALTER TABLE events_tenanthead ENABLE ALWAYS TRIGGER events_tenanthead_kept;

CREATE OR REPLACE TRIGGER events_tenant_kept
    BEFORE UPDATE OF slug, log_id ON events_tenant FOR EACH ROW
    WHEN (NEW.slug <> OLD.slug OR NEW.log_id <> OLD.log_id)
    EXECUTE FUNCTION agentmesh_refuse_change('{_TENANT}');
ALTER TABLE events_tenant ENABLE ALWAYS TRIGGER events_tenant_kept;

CREATE OR REPLACE TRIGGER events_tenant_there
    BEFORE DELETE OR TRUNCATE ON events_tenant
    FOR EACH STATEMENT EXECUTE FUNCTION agentmesh_refuse_change('{_TENANT}');
ALTER TABLE events_tenant ENABLE ALWAYS TRIGGER events_tenant_there;
"""

# INSERT OR REPLACE deletes without firing delete triggers unless recursive_triggers is on, which
# only our own connections promise; so the insert itself is guarded for all keys of the table.
_SQLITE = {
    "events_event_no_update": f"""
        BEFORE UPDATE ON events_event
        BEGIN SELECT RAISE(ABORT, '{_IMMUTABLE}'); END""",
    "events_event_no_delete": f"""
        BEFORE DELETE ON events_event
        BEGIN SELECT RAISE(ABORT, '{_IMMUTABLE}'); END""",
    "events_event_no_replace": f"""
        BEFORE INSERT ON events_event
        WHEN EXISTS (SELECT 1 FROM events_event WHERE event_id = NEW.event_id)
          OR EXISTS (SELECT 1 FROM events_event
                     WHERE tenant_id = NEW.tenant_id AND seq = NEW.seq)
          OR EXISTS (SELECT 1 FROM events_event
                     WHERE tenant_id = NEW.tenant_id AND stream_type = NEW.stream_type
                       AND stream_id = NEW.stream_id AND version = NEW.version)
        BEGIN SELECT RAISE(ABORT, '{_IMMUTABLE}'); END""",
    "events_tenanthead_forward": f"""
        BEFORE UPDATE ON events_tenanthead
        WHEN NEW.tenant_id <> OLD.tenant_id OR NEW.seq <= OLD.seq
          OR NEW.recorded_at < OLD.recorded_at
        BEGIN SELECT RAISE(ABORT, '{_HEAD}'); END""",
    "events_tenanthead_kept": f"""
        BEFORE DELETE ON events_tenanthead
        BEGIN SELECT RAISE(ABORT, '{_HEAD}'); END""",
    "events_tenanthead_no_replace": f"""
        BEFORE INSERT ON events_tenanthead
        WHEN EXISTS (SELECT 1 FROM events_tenanthead WHERE tenant_id = NEW.tenant_id)
        BEGIN SELECT RAISE(ABORT, '{_HEAD}'); END""",
    "events_tenant_kept": f"""
        BEFORE UPDATE ON events_tenant
        WHEN NEW.slug <> OLD.slug OR NEW.log_id <> OLD.log_id
        BEGIN SELECT RAISE(ABORT, '{_TENANT}'); END""",
    "events_tenant_there": f"""
        BEFORE DELETE ON events_tenant
        BEGIN SELECT RAISE(ABORT, '{_TENANT}'); END""",
    "events_tenant_no_replace": f"""
        BEFORE INSERT ON events_tenant
        WHEN EXISTS (SELECT 1 FROM events_tenant WHERE slug = NEW.slug OR log_id = NEW.log_id)
        BEGIN SELECT RAISE(ABORT, '{_TENANT}'); END""",
}

_TRIGGER = re.compile(r"CREATE OR REPLACE (TRIGGER (\w+)\s.*?);", re.DOTALL)
_FUNCTION = re.compile(r"CREATE OR REPLACE FUNCTION (\w+)\(.*?AS \$\$(.*?)\$\$;", re.DOTALL)
# PostgreSQL gives a definition back with brackets, casts and a schema of its own.
_ADDED = re.compile(r"[()\s]|::text\b|(?<=\bon )\w+\.")
_LOCK_NOT_AVAILABLE = "55P03"
_ALWAYS = {
    "events_event_immutable": "events_event",
    "events_tenanthead_forward": "events_tenanthead",
    "events_tenanthead_kept": "events_tenanthead",
    "events_tenant_kept": "events_tenant",
    "events_tenant_there": "events_tenant",
}


def _sqlite_text(name: str) -> str:
    return f"CREATE TRIGGER {name} {' '.join(_SQLITE[name].split())}"


def install() -> None:
    """Put every guard in place; harmless where it stands already."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_POSTGRESQL)
            return
        for name in _SQLITE:
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
            cursor.execute(_sqlite_text(name))


def faults() -> list[str]:
    """What is missing or disabled, one sentence each; empty when the log is guarded.

    Looks at the catalogue, and on PostgreSQL also tries to change nothing and expects the refusal.
    """
    if connection.vendor == "postgresql":
        return _postgresql_faults()
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        present = dict(cursor.fetchall())
    return [
        f"Trigger {name} is missing or altered."
        for name in _SQLITE
        if present.get(name) != _sqlite_text(name)
    ]


def _postgresql_faults() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname, tgrelid::regclass::text, tgenabled, pg_get_triggerdef(oid) "
            "FROM pg_trigger WHERE NOT tgisinternal AND tgname = ANY(%s)",
            [list(_ALWAYS)],
        )
        present = {(name, table): rest for name, table, *rest in cursor.fetchall()}
        cursor.execute(
            "SELECT proname, prosrc FROM pg_proc WHERE proname = ANY(%s) "
            "AND pg_function_is_visible(oid)",
            [list(_functions())],
        )
        sources = cursor.fetchall()
    found = []
    for name, table in _ALWAYS.items():
        if (name, table) not in present:
            found.append(f"Trigger {name} is missing.")
            continue
        enabled, definition = present[name, table]
        if enabled not in ("A", b"A"):
            found.append(f"Trigger {name} is disabled or does not fire always.")
        if _bare(definition.removeprefix("CREATE ")) != _bare(_triggers()[name]):
            found.append(f"Trigger {name} is altered.")
    found += [
        f"Function {name} is missing or altered."
        for name, source in _functions().items()
        if (name, source) not in sources
    ]
    for probe in (
        "UPDATE events_event SET seq = seq WHERE false",
        "DELETE FROM events_event WHERE false",
        "DELETE FROM events_tenanthead WHERE false",
        "DELETE FROM events_tenant WHERE false",
    ):
        if not _refused(probe):
            found.append(f"The database let through: {probe}.")
    return found


def _triggers() -> dict[str, str]:
    return {name: text for text, name in _TRIGGER.findall(_POSTGRESQL)}


def _functions() -> dict[str, str]:
    return dict(_FUNCTION.findall(_POSTGRESQL))


def _bare(definition: str) -> str:
    """A trigger's definition without what PostgreSQL adds when it is asked for it."""
    return _ADDED.sub("", " ".join(definition.lower().split()))


def _refused(sql: str) -> bool:
    """Also when a migration has the table now: who asks for our readiness shall not wait for it."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '200ms'")
            cursor.execute(sql)
    except DatabaseError as error:
        return getattr(error.__cause__, "sqlstate", None) in {"AM002", _LOCK_NOT_AVAILABLE}
    return False


def after_migrate(**_: object) -> None:
    """Receiver of post_migrate."""
    if "events_event" in connection.introspection.table_names():
        install()
