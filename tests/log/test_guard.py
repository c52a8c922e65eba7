"""A guard that is missing, switched off or hollowed out is seen, and put back by migrate.

In a scratch database: the shared one is never unguarded.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import DatabaseError, connection, models

from events import checks
from events.log import guard
from events.log.append import append
from events.models import Event, TenantHead
from tests.log.sample import ON_POSTGRESQL, fault, heartbeat, proposed, stored

pytestmark = pytest.mark.usefixtures("in_scratch_database")

POSTGRESQL_TRIGGERS = {
    "events_event_immutable": "events_event",
    "events_tenanthead_forward": "events_tenanthead",
    "events_tenanthead_kept": "events_tenanthead",
    "events_tenant_kept": "events_tenant",
    "events_tenant_there": "events_tenant",
}
SQLITE_TRIGGERS = {
    "events_event_no_update": "events_event",
    "events_event_no_delete": "events_event",
    "events_event_no_replace": "events_event",
    "events_tenanthead_forward": "events_tenanthead",
    "events_tenanthead_kept": "events_tenanthead",
    "events_tenanthead_no_replace": "events_tenanthead",
    "events_tenant_kept": "events_tenant",
    "events_tenant_there": "events_tenant",
    "events_tenant_no_replace": "events_tenant",
}
TRIGGERS = POSTGRESQL_TRIGGERS if ON_POSTGRESQL else SQLITE_TRIGGERS
# Of the right name, on the right table, and of no use.
ALTERED = "CREATE TRIGGER events_tenant_kept BEFORE UPDATE ON events_tenant " + (
    "FOR EACH ROW WHEN (false) EXECUTE FUNCTION agentmesh_refuse_change('x')"
    if ON_POSTGRESQL
    else "WHEN false BEGIN SELECT RAISE(ABORT, 'x'); END"
)


def run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def drop(trigger: str) -> str:
    return f"DROP TRIGGER {trigger}" + (f" ON {TRIGGERS[trigger]}" if ON_POSTGRESQL else "")


def named_by_check(trigger: str) -> bool:
    found = checks.the_log_is_guarded(None, databases=["default"])
    assert all(message.id == "events.E001" for message in found)
    assert all("migrate" in (message.hint or "") for message in found)
    return any(trigger in message.msg for message in found)


def test_a_guarded_log_has_no_faults() -> None:
    assert guard.faults() == []
    assert checks.the_log_is_guarded(None, databases=["default"]) == []


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_missing_trigger_is_named_and_migrate_brings_it_back(trigger: str) -> None:
    run(drop(trigger))

    assert any(trigger in sentence for sentence in guard.faults())
    assert named_by_check(trigger)

    call_command("migrate", verbosity=0)
    assert guard.faults() == []


def test_the_check_fails_when_it_is_asked_about_the_database() -> None:
    run(*(drop(trigger) for trigger in TRIGGERS))

    with pytest.raises(SystemCheckError, match=r"events\.E001"):
        call_command("check", databases=["default"], verbosity=0)


def test_the_check_leaves_the_database_alone_when_it_is_not_asked() -> None:
    run(*(drop(trigger) for trigger in TRIGGERS))

    assert checks.the_log_is_guarded(None) == []


def test_an_altered_trigger_is_named() -> None:
    run(drop("events_tenant_kept"), ALTERED)

    assert named_by_check("events_tenant_kept")


@pytest.fixture
def longer_actor() -> Iterator[Callable[[], None]]:
    """Alters a column of the events as a migration would, and changes it back after the test."""
    before = Event._meta.get_field("actor")
    after = models.CharField(max_length=301)
    after.set_attributes_from_name("actor")
    after.model = Event

    def alter() -> None:
        with connection.schema_editor() as editor:
            editor.alter_field(Event, before, after, strict=True)

    yield alter
    with connection.schema_editor() as editor:
        editor.alter_field(Event, after, before)


def test_a_table_that_a_migration_rebuilt_is_guarded_again(
    acme_in_scratch: str, longer_actor: Callable[[], None]
) -> None:
    append(acme_in_scratch, proposed(heartbeat()))

    longer_actor()
    if not ON_POSTGRESQL:  # a rebuilt table has lost its triggers, and the log can be rewritten
        assert named_by_check("events_event_no_update")
        assert named_by_check("events_event_no_replace")
    call_command("migrate", verbosity=0)

    assert guard.faults() == []
    with pytest.raises(DatabaseError, match="append-only"):
        Event.objects.filter(tenant=acme_in_scratch).delete()
    append(acme_in_scratch, proposed(heartbeat(), version=1))
    assert len(stored(acme_in_scratch)) == 2
    assert fault(acme_in_scratch) is None


def test_installing_twice_harms_nothing(acme_in_scratch: str) -> None:
    guard.install()
    guard.install()

    assert guard.faults() == []
    append(acme_in_scratch, proposed(heartbeat()))
    assert fault(acme_in_scratch) is None


@pytest.mark.parametrize("damage", ["data", "hash", "gone", "head"])
def test_what_an_owner_does_without_the_guard_breaks_the_chain(
    acme_in_scratch: str, damage: str
) -> None:
    append(acme_in_scratch, proposed(heartbeat(), heartbeat(), heartbeat()))
    run(*(drop(trigger) for trigger in TRIGGERS))
    second: Any = Event.objects.filter(tenant=acme_in_scratch, seq=2)

    if damage == "data":
        second.update(data=stored(acme_in_scratch)[1]["data"].replace("a-1", "a-2"))
    elif damage == "hash":
        second.update(hash=b"\0" * 32)
    elif damage == "gone":
        second.delete()
    else:
        TenantHead.objects.filter(tenant=acme_in_scratch).update(seq=2)

    assert fault(acme_in_scratch) is not None
