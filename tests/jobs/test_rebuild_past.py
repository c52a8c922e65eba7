"""Stored states of the past can be lost or spoilt, and come back as the log tells them."""

import threading
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.db import connection

from agents import history, rebuild, services
from agents.current import rebuild_agent
from agents.models import AgentState
from agents.rebuild import compare
from tests.jobs.conftest import ALICE, make_agent, manage

VERSIONS = 50


def live(tenant: str, agent_id: str, versions: int) -> None:
    for number in range(versions):
        services.update_agent(tenant=tenant, agent_id=agent_id, metadata={"n": number}, by=ALICE)


@pytest.fixture
def lived(acme: str) -> str:
    make_agent(acme, "one")
    make_agent(acme, "two")
    live(acme, "one", VERSIONS - 1)
    return acme


def rows(tenant: str) -> list[dict[str, Any]]:
    found = AgentState.objects.filter(tenant=tenant).order_by("agent_id", "version").values()
    return [{name: value for name, value in row.items() if name != "id"} for row in found]


def differences(tenant: str) -> list[str]:
    return [str(each) for each in compare(tenant)[1]]


def test_live_states_equal_rebuilt_states(lived: str) -> None:
    said = manage("rebuild", "agents", "--tenant", lived, "--check")

    assert said.out == (
        f"{lived}: 2 agents, 0 tasks and 3 past states compared, all as the log tells.\n"
    )
    for row in rows(lived):
        then = rebuild_agent(lived, "one", version=row["version"])
        assert history.agent_at_seq(lived, "one", row["seq"]) == then


@pytest.mark.parametrize("every", [1, 2])
def test_states_that_were_dropped_come_back_as_they_were(
    lived: str, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "AT_ONCE", 2)
    before = rows(lived)
    for row in before[::every]:
        AgentState.objects.filter(tenant=lived, version=row["version"]).delete()

    with pytest.raises(CommandError, match="differences"):
        manage("rebuild", "--all", "--check", "--tenant", lived)
    assert f"{lived}: agent one at version 16 has no row." in differences(lived)
    said = manage("rebuild", "--all", "--tenant", lived)

    assert f"past states rebuilt, {len(before[::every])} rows written.\n" in said.out
    assert rows(lived) == before


@pytest.mark.parametrize(
    ("column", "value"),
    [("state", "{}"), ("seq", 3), ("seq", 2**40), ("fold", 0)],
)
def test_a_wrong_value_is_named_by_check_and_put_right_by_rebuild(
    lived: str, column: str, value: object
) -> None:
    before = rows(lived)
    AgentState.objects.filter(tenant=lived, version=32).update(**{column: value})

    (found,) = differences(lived)
    assert found.startswith(f"{lived}: agent one at version 32: {column} is ")
    manage("rebuild", "agents", "--tenant", lived)

    assert rows(lived) == before


def test_a_state_that_reads_well_and_is_not_true_is_found(lived: str) -> None:
    row = AgentState.objects.get(tenant=lived, version=32)
    AgentState.objects.filter(pk=row.pk, tenant=lived).update(
        state=row.state.replace("An agent", "No agent")
    )

    assert len(differences(lived)) == 1


def test_states_of_versions_that_are_not_kept_or_never_were_are_removed(lived: str) -> None:
    before = rows(lived)
    for agent_id, version in (("one", 17), ("one", 64), ("one", 0), ("two", 16), ("ghost", 16)):
        AgentState.objects.create(
            tenant_id=lived, agent_id=agent_id, version=version, seq=1, fold=1, state="{}"
        )

    assert sorted(differences(lived)) == sorted(
        f"{lived}: agent {name} is not kept."
        for name in (
            "one at version 17",
            "one at version 64",
            "one at version 0",
            "two at version 16",
            "ghost at version 16",
        )
    )
    manage("rebuild", "agents", "--tenant", lived)
    assert rows(lived) == before


def test_another_tenants_states_are_left_alone(lived: str, globex: str) -> None:
    make_agent(globex, "one")
    live(globex, "one", 16)
    AgentState.objects.filter(tenant=globex).update(state="{}")

    manage("rebuild", "agents", "--tenant", lived)

    assert differences(lived) == []
    assert len(differences(globex)) == 1


def test_a_rebuild_beside_running_commands_spoils_nothing(lived: str) -> None:
    failures: list[Exception] = []

    def work() -> None:
        try:
            for agent_id in ("one", "two"):
                live(lived, agent_id, 40)
        except Exception as error:  # noqa: BLE001 -- looked at below
            failures.append(error)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    while worker.is_alive():
        AgentState.objects.filter(tenant=lived, version__in=[16, 48]).delete()
        rebuild.rebuild(lived)
    worker.join()
    rebuild.rebuild(lived)

    assert failures == []
    assert differences(lived) == []
    assert len(rows(lived)) == (VERSIONS + 40) // 16 + 41 // 16
