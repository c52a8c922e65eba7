"""Questions to the read models' rows: lists, one task, the fleet's counts."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Model

from agents import services
from events import generations
from events.models import Event, SubscriptionCheckpoint
from events.patterns import Pattern
from projections.fleet import queries as fleet_queries
from projections.fleet import readmodel as fleet
from projections.models import FleetRow, TaskRow
from projections.tasks import queries
from projections.tasks import readmodel as tasks
from projections.tasks.queries import Wanted
from tests.projections.folding import fold, keep, whole_log
from tests.services.conftest import ALICE, create

EVERYTHING = Wanted()


def work(tenant: str, agent_id: str, *task_ids: str, fails: bool = False) -> None:
    to: dict[str, Any] = {"tenant": tenant, "agent_id": agent_id, "by": ALICE}
    for task_id in task_ids:
        services.assign_task(**to, task_id=task_id, input={"password": "hunter2"})
        if fails:
            services.fail_task(**to, task_id=task_id, error_message="no")
        else:
            services.complete_task(**to, task_id=task_id, execution_time_ms=3)


def project(tenant: str) -> None:
    keep(fold(tasks.tasks, tasks.TYPES, whole_log(tenant)), tenant)
    keep(fold(fleet.fleet, fleet.TYPES, whole_log(tenant)), tenant)


@pytest.fixture
def busy(acme: str) -> str:
    """Acme, where t-1 … t-3 went well on a-1, t-4 and t-5 badly on a-2, and b-1 works on t-6."""
    for agent_id in ("a-1", "a-2", "b-1"):
        create(acme, agent_id)
    work(acme, "a-1", "t-1", "t-2", "t-3")
    work(acme, "a-2", "t-4", "t-5", fails=True)
    services.assign_task(tenant=acme, agent_id="b-1", task_id="t-6", by=ALICE)
    project(acme)
    return acme


def listed(tenant: str, wanted: Wanted = EVERYTHING) -> list[str]:
    return [task.task_id for task in queries.page(tenant, wanted, limit=100).tasks]


def assigned_at(tenant: str, task_id: str) -> Any:
    """When the task's assignment was recorded."""
    events = Event.objects.filter(tenant=tenant, type="AgentTaskAssignedEvent")
    return events.get(data__contains=f'"{task_id}"').recorded_at


def test_tasks_are_found_by_how_their_ids_begin_as_they_are_written(acme: str) -> None:
    create(acme)
    work(acme, "a-1", "t-1", "t-2", "T-9", "t_9")
    project(acme)

    assert listed(acme, Wanted(task=Pattern((), ("t-",)))) == ["t-2", "t-1"]
    assert listed(acme, Wanted(task=Pattern((), ("t_",)))) == ["t_9"]
    assert listed(acme, Wanted(task=Pattern.of("t-1,T-*"))) == ["T-9", "t-1"]


def test_tasks_are_listed_newest_first(busy: str) -> None:
    assert listed(busy) == ["t-6", "t-5", "t-4", "t-3", "t-2", "t-1"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(statuses=["failed"]), ["t-5", "t-4"]),
        (Wanted(statuses=["assigned", "failed"]), ["t-6", "t-5", "t-4"]),
        (Wanted(statuses=[]), []),
        (Wanted(agent=Pattern.of("a-1")), ["t-3", "t-2", "t-1"]),
        (Wanted(agent=Pattern.of("A-1")), []),
        (Wanted(agent=Pattern.of("b-1,a-2")), ["t-6", "t-5", "t-4"]),
        (Wanted(agent=Pattern.of("a-*")), ["t-5", "t-4", "t-3", "t-2", "t-1"]),
        (Wanted(agent=Pattern.of("a-*"), statuses=["completed"]), ["t-3", "t-2", "t-1"]),
        (Wanted(agent=Pattern.of("a-1"), statuses=["failed"]), []),
    ],
)
def test_tasks_are_narrowed_by_status_and_agent(
    busy: str, wanted: Wanted, found: list[str]
) -> None:
    assert listed(busy, wanted) == found


def test_since_is_inclusive_and_until_exclusive_and_both_compare_recorded_at(busy: str) -> None:
    recorded = {task_id: assigned_at(busy, task_id) for task_id in listed(busy)}
    instant = timedelta(microseconds=1)

    for since in (recorded["t-2"], recorded["t-2"] + instant, None):
        for until in (recorded["t-5"], recorded["t-5"] + instant, None):
            assert listed(busy, Wanted(since=since, until=until)) == [
                task_id
                for task_id, moment in recorded.items()
                if (since is None or since <= moment) and (until is None or moment < until)
            ]


def test_pages_follow_each_other_and_the_last_says_so(busy: str) -> None:
    first = queries.page(busy, EVERYTHING, limit=4)
    second = queries.page(busy, EVERYTHING, limit=4, before=first.next)

    assert [task.task_id for task in first.tasks] == ["t-6", "t-5", "t-4", "t-3"]
    assert first.next == first.tasks[-1].assigned_seq
    assert [task.task_id for task in second.tasks] == ["t-2", "t-1"]
    assert second.next is None
    assert queries.page(busy, EVERYTHING, limit=6).next is None


@pytest.mark.parametrize("agent", [None, Pattern.of("a-1"), Pattern.of("a-*")])
def test_a_page_examines_no_more_than_its_share_and_the_next_goes_on(
    busy: str, monkeypatch: pytest.MonkeyPatch, agent: Pattern | None
) -> None:
    monkeypatch.setattr(queries, "EXAMINED", 2)
    wanted = Wanted(statuses=["completed"], agent=agent)

    found, sizes, before = [], [], None
    for _ in range(5):
        page = queries.page(busy, wanted, limit=10, before=before)
        found += [task.task_id for task in page.tasks]
        sizes.append(len(page.tasks))
        before = page.next
        if before is None:
            break

    assert found == ["t-3", "t-2", "t-1"]
    assert before is None
    assert sizes == ([2, 1] if agent == Pattern.of("a-1") else [0, 1, 2])


def test_a_list_that_passes_nothing_over_is_as_long_as_its_limit(
    busy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "EXAMINED", 2)

    assert len(listed(busy)) == 6
    assert len(listed(busy, Wanted(agent=Pattern.of("a-1")))) == 3


def test_a_task_is_found_with_where_its_input_and_result_stand(busy: str) -> None:
    found = queries.find(busy, "t-2")

    assert found is not None
    assert (found.status, found.execution_time_ms, found.usage) == ("completed", 3, None)
    assert found.ended_in is not None
    for place, kind in ((found.assigned_in, "Assigned"), (found.ended_in, "Completed")):
        event = Event.objects.get(
            tenant=busy, stream_id=place.agent_id, version=place.version, stream_type="agent"
        )
        assert (event.type, '"t-2"' in event.data) == (f"AgentTask{kind}Event", True)


def test_an_open_task_has_no_end(busy: str) -> None:
    found = queries.find(busy, "t-6")

    assert found is not None
    assert (found.status, found.ended_at, found.ended_in) == ("assigned", None, None)
    assert [each.status for each in found.attempts] == ["assigned"]


def test_no_table_holds_an_input(busy: str) -> None:
    for row in TaskRow.objects.filter(tenant=busy):
        assert "hunter2" not in repr(vars(row))


def test_mallory_sees_nothing_of_acme(busy: str, globex: str) -> None:
    assert listed(globex) == []
    assert queries.find(globex, "t-1") is None
    assert fleet_queries.find(globex, "a-1") is None
    assert fleet_queries.failing(globex, limit=10) == []
    assert fleet_queries.counts(globex).by_status == {}


def test_the_generation_that_counts_is_read_and_no_other(busy: str) -> None:
    keep(fold(tasks.tasks, tasks.TYPES, whole_log(busy)[:1]), busy, generation=2)
    services.fail_task(tenant=busy, agent_id="b-1", task_id="t-6", error_message="no", by=ALICE)
    keep(fold(tasks.tasks, tasks.TYPES, whole_log(busy)), busy, generation=3)
    before = queries.find(busy, "t-6")

    SubscriptionCheckpoint.objects.update_or_create(
        tenant_id=busy,
        subscription="tasks",
        defaults={
            "generation": 3,
            "seq": 0,
            "hash": b"",
            "updated_at": assigned_at(busy, "t-6"),
        },
    )

    after = queries.find(busy, "t-6")
    assert before is not None
    assert after is not None
    assert (before.status, after.status) == ("assigned", "failed")
    assert len(listed(busy)) == 6


@pytest.mark.parametrize("model", [TaskRow, FleetRow])
def test_which_generation_counts_is_asked_once_and_not_for_each_row(
    busy: str, model: type[Model]
) -> None:
    plan = generations.live(model, "tasks", busy).explain()

    assert "SubPlan" not in plan  # PostgreSQL's word for what is asked for each row
    assert "CORRELATED" not in plan  # and SQLite's


@pytest.fixture
def fleet_in_trouble(acme: str) -> str:
    """Of acme's agents two are unhealthy, two failed at their tasks, one is well; and old-1, who
    was unhealthy, is terminated."""
    for agent_id in ("well", "sick-1", "sick-2", "fails-1", "fails-2", "old-1"):
        create(acme, agent_id)
    create(acme, "new-1", active=False)
    work(acme, "well", "t-0")
    work(acme, "fails-1", "t-1", fails=True)
    work(acme, "fails-2", "t-2", "t-3", fails=True)
    work(acme, "old-1", "t-4", fails=True)
    for agent_id in ("sick-2", "sick-1", "old-1"):
        services.record_health_failure(tenant=acme, agent_id=agent_id, reason="gone", by=ALICE)
    services.terminate_agent(tenant=acme, agent_id="old-1", reason="old", by=ALICE)
    project(acme)
    return acme


def test_the_fleet_is_counted_by_status_and_health(fleet_in_trouble: str) -> None:
    counts = fleet_queries.counts(fleet_in_trouble)

    assert counts.by_status == {"AVAILABLE": 3, "UNHEALTHY": 2, "TERMINATED": 1, "REGISTERED": 1}
    assert counts.by_health == {"unknown": 4, "unhealthy": 2}
    assert counts.by_status["BUSY"] == 0


def test_agents_in_trouble_are_listed_worst_first_without_terminated_ones(
    fleet_in_trouble: str,
) -> None:
    failing = fleet_queries.failing(fleet_in_trouble, limit=10)

    assert [agent.agent_id for agent in failing] == ["sick-2", "sick-1", "fails-2", "fails-1"]
    assert [agent.consecutive_failures for agent in failing] == [0, 0, 2, 1]
    assert fleet_queries.failing(fleet_in_trouble, limit=1) == failing[:1]


def test_one_agent_is_found_with_its_outage(fleet_in_trouble: str) -> None:
    agent = fleet_queries.find(fleet_in_trouble, "sick-1")

    assert agent is not None
    assert (agent.status, agent.last_outage_reason, agent.outages) == ("UNHEALTHY", "gone", 1)
    assert agent.unhealthy_since is not None
