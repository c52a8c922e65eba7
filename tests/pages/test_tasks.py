"""Tasks: the list, one task with its attempts, giving a new one, erasing what one held."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from agents import services, trials
from agents.domain.routing import Requirement
from agents.pages.values import requirements_of
from events import tenant_settings
from events.models import Event, PayloadKey
from events.vocabulary import Capability, Usage
from projections.pages import tasks as task_pages
from projections.tasks import queries as queries_of_tasks
from projections.tasks import readmodel
from projections.tasks.models import TaskRow
from tests.pages.conftest import SETUP, World, text_of
from tests.pages.html import form_actions
from tests.projections.folding import fold, keep, whole_log

LIST_QUERIES = 6
PAGE_QUERIES = 9


def project(world: World) -> None:
    """As the worker does it."""
    TaskRow.objects.filter(tenant=world.acme).delete()
    keep(fold(readmodel.tasks, readmodel.TYPES, whole_log(world.acme)), world.acme)


def assign(world: World, task_id: str, agent_id: str = "agent-1", **given: Any) -> None:
    services.assign_task(**world.to(agent_id), task_id=task_id, **given)


def fail(world: World, task_id: str, agent_id: str = "agent-1") -> None:
    services.fail_task(
        **world.to(agent_id), task_id=task_id, error_message="no answer", error_code="BAD"
    )


def complete(world: World, task_id: str, agent_id: str = "agent-1", **given: Any) -> None:
    services.complete_task(
        **world.to(agent_id), task_id=task_id, execution_time_ms=1_234.5, **given
    )


def worked(world: World) -> None:
    """t-1 and job-2 completed, t-3 failed by agent-1; agent-2 works on t-4."""
    world.active_agent("agent-1")
    world.active_agent("agent-2")
    for task_id in ("t-1", "job-2"):
        assign(world, task_id)
        complete(world, task_id)
    assign(world, "t-3")
    fail(world, "t-3")
    assign(world, "t-4", "agent-2")
    project(world)


def listed(world: World, **query: str) -> list[str]:
    response = world.carol.get(world.page("tasks/"), **query)
    return [task.task_id for task in response.context["page"].tasks]


def test_the_list_is_newest_first_and_each_filter_narrows_it(world: World) -> None:
    worked(world)
    third = Event.objects.get(tenant=world.acme, type="AgentTaskFailedEvent").recorded_at

    assert listed(world) == ["t-4", "t-3", "job-2", "t-1"]
    assert listed(world, status="completed") == ["job-2", "t-1"]
    assert listed(world, agent="agent-2") == ["t-4"]
    assert listed(world, agent="agent-*", status="failed") == ["t-3"]
    assert listed(world, task="t-") == ["t-4", "t-3", "t-1"]
    assert listed(world, task="T-") == []
    assert listed(world, since=third.isoformat()) == ["t-4"]
    assert listed(world, until=third.isoformat()) == ["t-3", "job-2", "t-1"]


def test_the_list_leads_to_each_task_and_its_agent_and_tells_how_it_ended(world: World) -> None:
    worked(world)

    text = text_of(world.carol.get(world.page("tasks/")))

    assert world.page("tasks/t-3/") in text
    assert world.page("agents/agent-2/") in text
    assert "no answer" in text
    assert "1.23 s" in text


def test_pages_of_tasks_follow_each_other_to_the_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_pages, "PAGE", 3)
    worked(world)

    first = world.carol.get(world.page("tasks/"))
    second = world.carol.get(world.page("tasks/") + first.context["older"])

    assert [task.task_id for task in second.context["page"].tasks] == ["t-1"]
    assert second.context["older"] is None


def test_a_task_asked_for_by_its_whole_id_is_found_however_old_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries_of_tasks, "EXAMINED", 2)
    worked(world)

    assert listed(world, task="t-1") == ["t-1"]
    assert listed(world, task="t-1", status="failed") == []


def test_a_filter_that_cannot_be_read_is_marked_and_nothing_is_looked_for(world: World) -> None:
    worked(world)

    response = world.carol.get(world.page("tasks/"), since="yesterday", agent="a,,b")

    text = text_of(response)
    assert response.context["page"].tasks == []
    assert "Nothing was looked for." in text
    assert "Enter a valid date/time." in text
    assert "must have something between its commas." in text
    assert 'value="yesterday"' in text


def test_an_empty_list_says_what_to_do_to_whoever_may(world: World) -> None:
    operator = text_of(world.bob.get(world.page("tasks/")))
    auditor = text_of(world.carol.get(world.page("tasks/")))

    assert "No tasks yet." in operator
    assert world.page("new-task/") in operator
    assert world.page("new-task/") not in auditor
    assert "No task matches." in text_of(world.carol.get(world.page("tasks/"), task="x"))


def test_a_task_has_its_page_before_any_read_model_knows_it(world: World) -> None:
    world.active_agent()
    assign(world, "t-7", input={"prompt": "Go"})

    response = world.bob.get(world.page("tasks/t-7/"))

    text = text_of(response)
    assert "&quot;prompt&quot;: &quot;Go&quot;" in text
    assert "It is being worked on." in text
    assert [event.type for event in response.context["trial"].events] == [
        "AgentTaskAssignedEvent",
        "AgentStatusChangedEvent",
    ]


def test_a_task_that_ended_tells_what_came_of_it_and_what_happened_meanwhile(
    world: World,
) -> None:
    world.busy_agent("agent-1", "t-7")
    beat(world)
    services.pause_agent(**world.to(), reason="Night")
    complete(world, "t-7", result={"pages": 3}, usage=Usage(5_000, 90))
    services.resume_agent(**world.to(), reason="Day")

    response = world.bob.get(world.page("tasks/t-7/"))

    text = text_of(response)
    assert "1,234.5 ms" in text
    assert "5,000 in, 90 out" in text
    assert "&quot;pages&quot;: 3" in text
    assert [event.type for event in response.context["trial"].events] == [
        "AgentTaskAssignedEvent",
        "AgentStatusChangedEvent",
        "AgentPausedEvent",
        "AgentTaskCompletedEvent",
        "AgentStatusChangedEvent",
    ]
    assert not response.context["trial"].has_gap


def beat(world: World, agent_id: str = "agent-1") -> None:
    services.record_heartbeat(
        **world.to(agent_id),
        success_rate=1,
        response_time_ms=1,
        cpu_usage_percent=1,
        memory_usage_percent=1,
    )


def twice_tried(world: World) -> None:
    """t-7 failed at agent-1, and agent-2 has it now."""
    world.busy_agent("agent-1", "t-7")
    fail(world, "t-7")
    assign(world, "t-8")
    world.active_agent("agent-2")
    assign(world, "t-7", "agent-2", input={"again": True})


def test_each_attempt_has_its_agent_its_error_and_its_events(world: World) -> None:
    twice_tried(world)
    project(world)

    newest = world.bob.get(world.page("tasks/t-7/"))
    first = world.bob.get(world.page("tasks/t-7/"), attempt=1)

    assert [each.attempt.agent_id for each in newest.context["attempts"]] == ["agent-1", "agent-2"]
    assert "no answer" in text_of(newest)
    assert {event.stream_id for event in newest.context["trial"].events} == {"agent-2"}
    assert [event.type for event in first.context["trial"].events] == [
        "AgentTaskAssignedEvent",
        "AgentStatusChangedEvent",
        "AgentTaskFailedEvent",
        "AgentStatusChangedEvent",
    ]


def test_of_an_earlier_attempt_it_is_said_that_the_read_model_is_not_there_yet(
    world: World,
) -> None:
    twice_tried(world)

    text = text_of(world.bob.get(world.page("tasks/t-7/"), attempt=1))

    assert "the read model has not come so far" in text


def test_of_a_long_task_the_beginning_and_the_end_are_shown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "WINDOW", 3)
    world.busy_agent("agent-1", "t-7")
    for number in range(5):
        services.update_agent(**world.to(), name=f"Name {number}")
    complete(world, "t-7")

    response = world.bob.get(world.page("tasks/t-7/"))

    trial = response.context["trial"]
    assert [event.type for event in trial.events] == [
        "AgentTaskAssignedEvent",
        "AgentStatusChangedEvent",
        "AgentDetailsChangedEvent",
        "AgentDetailsChangedEvent",
        "AgentTaskCompletedEvent",
        "AgentStatusChangedEvent",
    ]
    assert "not all of it stands here" in text_of(response)


def test_the_operator_is_offered_what_can_be_done_and_the_auditor_nothing(world: World) -> None:
    worked(world)

    failed = text_of(world.bob.get(world.page("tasks/t-3/")))
    open_one = text_of(world.bob.get(world.page("tasks/t-4/")))
    audited = text_of(world.carol.get(world.page("tasks/t-3/")))

    assert world.page("new-task/") + "?task_id=t-3" in failed
    assert "on its agent’s page" in open_one  # noqa: RUF001
    assert "new-task" not in audited
    assert form_actions(audited) == []


def test_pages_of_tasks_cost_as_many_queries_whatever_happened(world: World) -> None:
    twice_tried(world)
    project(world)
    world.bob.get(world.page("tasks/"))  # the first visit notes the tenant in the session
    few = [queries(world, "tasks/"), queries(world, "tasks/t-7/")]
    for number in range(12):
        world.busy_agent(f"other-{number}", f"o-{number}")
        beat(world, f"other-{number}")
    project(world)
    many = [queries(world, "tasks/"), queries(world, "tasks/t-7/")]

    assert few == many == [LIST_QUERIES, PAGE_QUERIES]


def queries(world: World, page: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        world.bob.get(world.page(page))
    return len(asked)


def test_mallory_sees_of_a_task_what_she_would_see_if_it_did_not_exist(
    world: World, fresh_slug: Callable[[str], str]
) -> None:
    world.busy_agent("agent-1", "t-7")
    absent = world.mallory.get(f"/admin/t/{fresh_slug('absent')}/tasks/t-7/")

    for page in ("tasks/t-7/", "tasks/t-7/erase/"):
        for tenant in (world.acme, world.globex):
            answer = world.mallory.get(f"/admin/t/{tenant}/{page}")
            assert (answer.status_code, answer.content) == (404, absent.content)
    sent = world.mallory.post(world.page("new-task/"), **order())
    assert (sent.status_code, sent.content) == (404, absent.content)
    assert world.event_types().count("AgentTaskAssignedEvent") == 1


def order(**changes: str) -> dict[str, str]:
    return {"task_id": "t-9", "required_capabilities": "translation 2", **changes}


def test_a_new_task_goes_to_the_best_agent_and_it_is_said_why(world: World) -> None:
    world.active_agent("agent-1")
    world.active_agent("agent-2", capabilities=[Capability("translation", 5)])

    sent = world.bob.post(world.page("new-task/"), **order(input='{"file": "a.py"}'))
    page = text_of(world.bob.get(sent["Location"]))

    assert (sent.status_code, sent["Location"]) == (302, world.page("tasks/t-9/"))
    assert world.agent("agent-2").current_task_id == "t-9"
    assert "Name of agent-2 has t-9: the best of those available, score" in page
    assert "&quot;file&quot;: &quot;a.py&quot;" in page
    assert world.newest_event().actor == f"user:{world.bob.username}"


def test_a_preferred_agent_comes_first(world: World) -> None:
    world.active_agent("agent-1", tags=["eu", "day"])
    world.active_agent("agent-2", capabilities=[Capability("translation", 5)])

    world.bob.post(world.page("new-task/"), **order(prefer_tags="eu, day"))

    assert world.agent("agent-1").current_task_id == "t-9"


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"required_capabilities": "flying 3"}, 409, "No agent has flying at level 3 or more."),
        ({"required_capabilities": "translation 5"}, 409, "1 agent has it at level 2 or less."),
        ({"required_capabilities": "translation"}, 409, "1 that could is BUSY."),
        ({"task_id": "t-7"}, 409, "Task t-7 is held by agent-1."),
        ({"task_id": "-"}, 400, "must be 1 to 256 of A-Z"),
        ({"task_id": ""}, 400, "This field is required."),
        ({"required_capabilities": "a 1\nb 2 3"}, 400, "least level, in line 2"),
        ({"required_capabilities": "translation 6"}, 400, "entry 1, min level, must be 1 to 5."),
        ({"required_capabilities": "translation 99999999999"}, 400, "in line 1"),
        ({"required_capabilities": "a\na"}, 400, "must be given once"),
        ({"input": "{"}, 400, "must be JSON"),
        ({"input": '{"a": 18446744073709551616}'}, 400, "beyond 64 bits"),
        ({"prefer_agent": "x"}, 400, "must be 3 to 256 of"),
        ({"prefer_tags": "a, a"}, 400, "must be given once"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_given_is_refused_where_it_was_typed(
    world: World, changes: dict[str, str], status: int, said: str
) -> None:
    world.busy_agent("agent-1", "t-7")
    before = world.newest_event().seq

    response = world.bob.post(world.page("new-task/"), **order(**changes))

    text = text_of(response)
    assert response.status_code == status
    assert "Nothing was recorded." in text
    assert said.replace("'", "&#x27;") in text
    assert 'class="errorlist"' in text
    assert world.newest_event().seq == before


def test_a_task_that_failed_is_given_again_under_its_id(world: World) -> None:
    world.busy_agent("agent-1", "t-7")
    fail(world, "t-7")

    form = text_of(world.bob.get(world.page("new-task/"), task_id="t-7"))
    sent = world.bob.post(world.page("new-task/"), **order(task_id="t-7"))

    assert 'value="t-7"' in form
    assert sent.status_code == 302
    assert world.agent("agent-1").current_task_id == "t-7"


def test_an_auditor_gives_no_task(world: World) -> None:
    world.active_agent()

    assert world.carol.get(world.page("new-task/")).status_code == 403
    assert world.carol.post(world.page("new-task/"), **order()).status_code == 403
    assert world.agent().current_task_id is None


@pytest.fixture
def secret(world: World, settings: Settings) -> World:
    """A world of which the payloads are confidential, where agent-1 works on t-7."""
    settings.ENCRYPTION_KEYS = (bytes(range(32)),)
    tenant_settings.change_settings(world.acme, confidential_payloads=True, by=SETUP)
    world.active_agent()
    assign(world, "t-7", input={"patient": "Ada"})
    return world


def test_whoever_may_not_read_payloads_sees_that_they_are_sealed(secret: World) -> None:
    operator = text_of(secret.bob.get(secret.page("tasks/t-7/")))
    auditor = text_of(secret.carol.get(secret.page("tasks/t-7/")))

    assert "Ada" in operator
    assert "Ada" not in auditor
    assert "Sealed: your role does not read confidential payloads." in auditor


def test_an_admin_erases_a_task_by_typing_its_id_and_saying_why(secret: World) -> None:
    page = secret.page("tasks/t-7/erase/")

    offered = text_of(secret.alice.get(secret.page("tasks/t-7/")))
    untyped = secret.alice.post(page, reason="Asked for", confirm="t-8")
    sent = secret.alice.post(page, reason="Asked for", confirm="t-7")
    after = text_of(secret.alice.get(secret.page("tasks/t-7/")))

    assert page in offered
    assert (untyped.status_code, sent.status_code) == (400, 302)
    assert "Type t-7, letter by letter." in text_of(untyped)
    assert "Erased: the key that opened it was destroyed." in after
    assert page not in after
    erased = secret.newest_event()
    assert (erased.type, erased.actor) == ("PayloadErased", f"user:{secret.alice.username}")
    assert '"Asked for"' in erased.data


def test_erasing_is_for_admins_alone(secret: World) -> None:
    page = secret.page("tasks/t-7/erase/")

    for person in (secret.bob, secret.carol):
        assert page not in text_of(person.get(secret.page("tasks/t-7/")))
        assert person.get(page).status_code == 403
        assert person.post(page, reason="x", confirm="t-7").status_code == 403
    assert not PayloadKey.objects.filter(tenant=secret.acme, wrapped=None).exists()


def test_where_nothing_is_confidential_erasing_is_not_offered_and_is_refused(
    world: World,
) -> None:
    world.busy_agent("agent-1", "t-7")
    page = world.page("tasks/t-7/erase/")

    sent = world.alice.post(page, reason="x", confirm="t-7")

    assert page not in text_of(world.alice.get(world.page("tasks/t-7/")))
    assert sent.status_code == 409
    assert "There is nothing confidential to erase" in text_of(sent)
    assert world.alice.post(page, reason="x\0", confirm="t-7").status_code == 400


def test_what_an_agent_reports_stays_text(world: World) -> None:
    world.busy_agent("agent-1", "t-7")
    services.fail_task(
        **world.to(), task_id="t-7", error_message="<script>alert(1)</script>", error_code="<i>"
    )
    project(world)

    for page in ("tasks/", "tasks/t-7/"):
        text = text_of(world.alice.get(world.page(page)))
        assert "<script>alert" not in text
        assert "<i>" not in text


def test_ids_of_an_imported_log_that_have_no_address_here_are_shown_all_the_same(
    world: World,
) -> None:
    TaskRow.objects.create(
        tenant_id=world.acme, task_id="/ ?", agent_id="a/b", status="assigned",
        assigned_at="2026-03-04T12:00:00Z", assigned_seq=1, assigned_version=1, seq=1, earlier="[]",
    )  # fmt: skip

    text = text_of(world.carol.get(world.page("tasks/")))

    assert '<span class="id">/ ?</span>' in text
    assert '<span class="id">a/b</span>' in text


def test_requirements_are_read_a_line_each() -> None:
    assert requirements_of("a\n\n  b   4 ") == [Requirement("a"), Requirement("b", 4)]
