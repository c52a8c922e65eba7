"""What only PostgreSQL can do to a guard: switch it off, move it, hollow out its function."""

import pytest

from events.log import guard
from tests.log.test_guard import POSTGRESQL_TRIGGERS, drop, named_by_check, run

pytestmark = pytest.mark.usefixtures("in_scratch_database")


@pytest.mark.parametrize("state", ["DISABLE", "ENABLE", "ENABLE REPLICA"])
@pytest.mark.parametrize("trigger", POSTGRESQL_TRIGGERS)
def test_a_trigger_that_does_not_fire_always_is_named(trigger: str, state: str) -> None:
    run(f"ALTER TABLE {POSTGRESQL_TRIGGERS[trigger]} {state} TRIGGER {trigger}")

    assert named_by_check(trigger)

    guard.install()
    assert guard.faults() == []


def test_a_trigger_of_the_same_name_on_another_table_is_no_guard() -> None:
    run(
        drop("events_tenanthead_forward"),
        "CREATE TRIGGER events_tenanthead_forward BEFORE UPDATE ON agents_taskclaim "
        "FOR EACH ROW EXECUTE FUNCTION agentmesh_refuse_change('x')",
        "ALTER TABLE agents_taskclaim ENABLE ALWAYS TRIGGER events_tenanthead_forward",
    )
    try:
        assert named_by_check("events_tenanthead_forward")
    finally:
        run("DROP TRIGGER events_tenanthead_forward ON agents_taskclaim")


def test_a_hollow_trigger_function_is_seen_by_the_probe() -> None:
    run(
        "CREATE OR REPLACE FUNCTION agentmesh_refuse_change() RETURNS trigger "
        "LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
    )

    assert any("let through" in sentence for sentence in guard.faults())
