"""Live rows equal rebuilt rows, and can be lost."""

import threading
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.db import connection

from agents import services
from agents.domain.errors import RuleViolated
from agents.models import CurrentAgent, TaskClaim
from agents.rebuild import AT_ONCE, Difference, compare, rebuild
from events.models import Event
from tests.jobs.conftest import ALICE, live_a_little, make_agent, manage


@pytest.fixture
def lived(acme: str) -> str:
    live_a_little(acme)
    return acme


def differences(tenant: str) -> list[Difference]:
    return list(compare(tenant)[1])


def rows(tenant: str) -> list[dict[str, Any]]:
    """Every row without its number; a claim's seq may be any of its append's."""
    found: list[dict[str, Any]] = []
    for model in (CurrentAgent, TaskClaim):
        found += [
            {name: value for name, value in row.items() if name != "id"}
            for row in model._default_manager.filter(tenant=tenant).values()
        ]
    return sorted(found, key=lambda row: (row.get("task_id", ""), row["agent_id"]))


def test_live_rows_equal_rebuilt_rows(lived: str) -> None:
    said = manage("rebuild", "agents", "--tenant", lived, "--check")

    assert (
        said.out
        == f"{lived}: 3 agents, 2 tasks and 0 past states compared, all as the log tells.\n"
    )


def test_rows_that_were_dropped_come_back_as_they_were(lived: str) -> None:
    before = rows(lived)
    CurrentAgent.objects.filter(tenant=lived).delete()
    TaskClaim.objects.filter(tenant=lived).delete()

    said = manage("rebuild", "--all", "--tenant", lived)

    first, *_, last = said.out.splitlines()
    assert first == f"{lived}: 3 agents, 2 tasks and 0 past states rebuilt, 5 rows written."
    assert last.startswith("1 tenants, agents, tasks, fleet")
    assert rows(lived) == before


@pytest.mark.parametrize(
    ("model", "name", "column", "value"),
    [
        (CurrentAgent, "two", "state", "{}"),
        (CurrentAgent, "two", "status", "BUSY"),
        (CurrentAgent, "two", "version", 1),
        (CurrentAgent, "two", "version", 99),
        (CurrentAgent, "two", "seq", 2**40),
        (CurrentAgent, "two", "fold", 0),
        (CurrentAgent, "two", "labels", "{}"),
        (CurrentAgent, "two", "last_seen", None),
        (TaskClaim, "t-1", "agent_id", "one"),
        (TaskClaim, "t-1", "status", "assigned"),
        (TaskClaim, "t-1", "attempts", "[]"),
        (TaskClaim, "t-1", "seq", 1),
        (TaskClaim, "t-1", "seq", 2**40),
        (TaskClaim, "t-2", "assigned_version", 3),
    ],
)
def test_a_wrong_value_is_named_by_check_and_put_right_by_rebuild(
    lived: str, model: Any, name: str, column: str, value: object
) -> None:
    before = rows(lived)
    key = {"agent_id" if model is CurrentAgent else "task_id": name}
    model.objects.filter(tenant=lived, **key).update(**{column: value})

    (found,) = differences(lived)
    with pytest.raises(CommandError, match="1 differences"):
        manage("rebuild", "--all", "--check", "--tenant", lived)
    after_check = rows(lived)
    rebuild(lived)

    assert f"{name}: {column} is " in str(found)
    assert after_check != before
    assert differences(lived) == []
    assert [row | {"seq": 0} for row in rows(lived)] == [row | {"seq": 0} for row in before]


def test_rows_without_events_are_named_and_removed(lived: str) -> None:
    for model in (CurrentAgent, TaskClaim):
        row = model._default_manager.filter(tenant=lived).first()
        assert row is not None
        row.pk = None
        row.agent_id = "ghost"
        if isinstance(row, TaskClaim):
            row.task_id = "t-ghost"
        row.save(force_insert=True)

    found = [str(each) for each in differences(lived)]
    rebuild(lived)

    assert found == [
        f"{lived}: agent ghost has a row and no events.",
        f"{lived}: task t-ghost has a row and no events.",
    ]
    assert differences(lived) == []
    assert CurrentAgent.objects.filter(tenant=lived).count() == 3


def test_another_tenants_rows_are_left_alone(lived: str, globex: str) -> None:
    live_a_little(globex)
    CurrentAgent.objects.filter(tenant=globex).update(status="BUSY")

    rebuild(lived)

    assert differences(lived) == []
    assert len(differences(globex)) == 3


def test_more_rows_than_one_batch_come_back(acme: str) -> None:
    make_agent(acme, "one")
    services.activate_agent(tenant=acme, agent_id="one", by=ALICE)
    for number in range(30):
        services.assign_task(tenant=acme, agent_id="one", task_id=f"t-{number}", by=ALICE)
        services.complete_task(
            tenant=acme, agent_id="one", task_id=f"t-{number}", execution_time_ms=1, by=ALICE
        )
    TaskClaim.objects.filter(tenant=acme).delete()

    assert AT_ONCE > 30
    assert rebuild(acme).written == 30
    assert differences(acme) == []


def test_an_order_that_a_lost_row_would_have_refused_is_refused_again(lived: str) -> None:
    TaskClaim.objects.filter(tenant=lived).delete()
    rebuild(lived)

    make_agent(lived, "new")
    services.activate_agent(tenant=lived, agent_id="new", by=ALICE)

    with pytest.raises(RuleViolated, match="never assigned again"):
        services.assign_task(tenant=lived, agent_id="new", task_id="t-1", by=ALICE)


def test_a_rebuild_beside_running_commands_spoils_nothing(acme: str) -> None:
    agents = ["one", "two", "three"]
    for agent_id in agents:
        make_agent(acme, agent_id)
        services.activate_agent(tenant=acme, agent_id=agent_id, by=ALICE)
    failures: list[Exception] = []

    def work() -> None:
        try:
            for number in range(40):
                for agent_id in agents:
                    services.record_heartbeat(
                        tenant=acme,
                        agent_id=agent_id,
                        success_rate=1,
                        response_time_ms=number,
                        cpu_usage_percent=1,
                        memory_usage_percent=1,
                        by=ALICE,
                    )
        except Exception as error:  # noqa: BLE001 -- to be looked at below
            failures.append(error)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    while worker.is_alive():
        CurrentAgent.objects.filter(tenant=acme, agent_id="two").delete()
        rebuild(acme)
    worker.join()

    assert failures == []
    assert differences(acme) == []
    assert Event.objects.filter(tenant=acme).count() == 3 * (1 + 2 + 40)


def test_an_unknown_thing_to_rebuild_is_refused(acme: str) -> None:
    with pytest.raises(CommandError, match="There is no 'nothing' to rebuild"):
        manage("rebuild", "nothing")
    with pytest.raises(CommandError, match="one of the arguments"):
        manage("rebuild")
    with pytest.raises(CommandError, match="There is no tenant"):
        manage("rebuild", "--all", "--tenant", "nowhere")
