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


@pytest.mark.parametrize(
    ("trigger", "before", "hollow"),
    [
        ("events_tenant_kept", "UPDATE OF slug, log_id", "FOR EACH ROW WHEN (false)"),
        ("events_tenant_kept", "UPDATE OF name", "FOR EACH ROW"),
        ("events_tenanthead_forward", "UPDATE", "FOR EACH ROW WHEN (NEW.seq < OLD.seq)"),
        ("events_event_immutable", "DELETE OR UPDATE", "FOR EACH STATEMENT"),
        ("events_tenant_there", "DELETE OR TRUNCATE", "FOR EACH STATEMENT"),
    ],
)
def test_a_trigger_that_was_hollowed_out_and_fires_always_is_named(
    trigger: str, before: str, hollow: str
) -> None:
    table = POSTGRESQL_TRIGGERS[trigger]
    function = "agentmesh_refuse_change('x')" if "tenant_there" not in trigger else "agentmesh_x()"
    run(
        "CREATE FUNCTION agentmesh_x() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN END $$",
        drop(trigger),
        f"CREATE TRIGGER {trigger} BEFORE {before} ON {table} {hollow} EXECUTE FUNCTION {function}",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}",
    )

    found = guard.faults()
    guard.install()
    run("DROP FUNCTION agentmesh_x()")

    assert f"Trigger {trigger} is altered." in found
    assert guard.faults() == []


@pytest.mark.parametrize("function", ["agentmesh_refuse_change()", "agentmesh_refuse(arm text)"])
def test_an_altered_function_is_named(function: str) -> None:
    returns = "integer" if "arm" in function else "trigger"
    run(
        f"CREATE OR REPLACE FUNCTION {function} RETURNS {returns} "
        "LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
    )

    name = function.partition("(")[0]
    assert f"Function {name} is missing or altered." in guard.faults()
