"""The worker keeps the statistics: followed in whatever steps, they are what a rebuild makes."""

from datetime import timedelta

import pytest
from django.utils import timezone

from agents import services
from events.bus import event_bus
from events.durable import rebuilding
from events.durable.catching_up import catch_up
from events.log import read
from events.vocabulary import Capability, Usage
from projections.analytics.queries import TaskStatistics, completion_rate, task_statistics
from tests.services.conftest import ALICE

ANALYTICS = event_bus.subscriptions["analytics"]


def create(tenant: str, agent_id: str, agent_type: str) -> None:
    services.create_agent(
        tenant=tenant,
        agent_id=agent_id,
        name="Translator",
        agent_type=agent_type,
        capabilities=[Capability("translate", 2)],
        by=ALICE,
    )
    services.activate_agent(tenant=tenant, agent_id=agent_id, by=ALICE)


def work(tenant: str, agent_id: str, number: int) -> None:
    """One task, of which every third fails."""
    task_id = f"{agent_id}-{number}"
    services.assign_task(tenant=tenant, agent_id=agent_id, task_id=task_id, by=ALICE)
    if number % 3 == 0:
        services.fail_task(
            tenant=tenant, agent_id=agent_id, task_id=task_id, error_message="no", by=ALICE
        )
        return
    services.complete_task(
        tenant=tenant,
        agent_id=agent_id,
        task_id=task_id,
        execution_time_ms=number * 1000.5,
        usage=Usage(2**63 - 1, number),
        by=ALICE,
    )


@pytest.fixture
def followed(acme: str) -> str:
    """Acme, whose fleet was followed in steps of all sizes."""
    create(acme, "a-one", "writer")
    create(acme, "a-two", "reader")
    for number in range(9):
        work(acme, "a-one", number)
        if number % 4 != 1:
            catch_up(ANALYTICS, acme)
        work(acme, "a-two", number)
    catch_up(ANALYTICS, acme)
    return acme


def last_day(tenant: str) -> TaskStatistics:
    now = timezone.now()
    return task_statistics(tenant, now - timedelta(days=1), now, "day")


def test_what_agents_do_is_counted(followed: str) -> None:
    found = last_day(followed)

    assert (found.total.completed, found.total.failed) == (12, 6)
    assert found.total.tokens.input_tokens == 12 * (2**63 - 1)
    assert found.total.execution_time_ms.max == 8004
    assert [(each.name, each.completed) for each in found.types.items] == [
        ("reader", 6),
        ("writer", 6),
    ]
    end = read.head(followed)
    assert end is not None
    assert found.seq == end.seq
    assert completion_rate(followed, 60).rate == 12 / 18


def test_followed_rows_are_those_that_a_rebuild_makes(followed: str) -> None:
    before = last_day(followed)

    _, differences = rebuilding.check(ANALYTICS, followed)
    rebuilding.rebuild(ANALYTICS, followed)

    assert list(differences) == []
    assert last_day(followed) == before


def test_another_tenants_rebuild_changes_nothing_here(followed: str, globex: str) -> None:
    before = last_day(followed)

    rebuilding.rebuild(ANALYTICS, globex)

    assert last_day(followed) == before
    assert last_day(globex).total.completed == 0
