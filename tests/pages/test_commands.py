"""The buttons of an agent's page, and the form that makes a new agent."""

import json
from datetime import UTC, timedelta
from typing import Any

import pytest
from django.test import Client

from agents import services
from agents.domain.state import Health, Intent, Status
from agents.pages import commands
from events.facts import utc_now
from events.models import Event
from tests.pages.conftest import Person, World, text_of
from tests.pages.html import form_actions, what_the_policy_forbids


def send(world: World, slug: str, **values: object) -> Any:
    """Bob sends a command to agent-1."""
    return send_as(world.bob, world, slug, **values)


def send_as(person: Person, world: World, slug: str, **values: object) -> Any:
    return person.post(world.page(f"agents/agent-1/{slug}/"), **values)


def offered(world: World, person: Person) -> list[str]:
    """The commands whose forms stand on the page."""
    actions = form_actions(text_of(person.get(world.page("agents/agent-1/"))))
    start = world.page("agents/agent-1/")
    ours = [action for action in actions if action.startswith(start)]
    return [action.removeprefix(start).rstrip("/") for action in ours]


LEARN = ["add-capability", "upgrade-capability", "edit", "terminate"]


def test_a_registered_agent_can_be_activated(world: World) -> None:
    world.create_agent()

    assert offered(world, world.bob) == ["activate", *LEARN]


def test_an_available_agent_can_be_given_a_task_or_paused(world: World) -> None:
    world.active_agent()

    assert offered(world, world.alice) == ["assign", "pause", "report-unhealthy", *LEARN]


def test_a_busy_agent_can_end_its_task(world: World) -> None:
    world.busy_agent()

    assert offered(world, world.bob) == ["complete", "fail", "pause", "report-unhealthy", *LEARN]


def test_a_paused_agent_can_be_resumed(world: World) -> None:
    world.active_agent()
    services.pause_agent(**world.to(), reason="Upgrade")

    assert offered(world, world.bob) == ["resume", "report-unhealthy", *LEARN]


def test_an_unhealthy_agent_is_not_reported_again(world: World) -> None:
    world.active_agent()
    services.record_health_failure(**world.to(), reason="No answer")

    assert offered(world, world.bob) == ["pause", *LEARN]


def test_a_capability_at_the_top_is_not_offered_for_an_upgrade(world: World) -> None:
    world.create_agent()
    services.upgrade_capability(**world.to(), name="translation", proficiency_level=5)

    assert "upgrade-capability" not in offered(world, world.bob)


def test_a_terminated_agent_has_no_commands(world: World) -> None:
    world.create_agent()
    services.terminate_agent(**world.to(), reason="Old")

    assert offered(world, world.bob) == []


def test_activate(world: World) -> None:
    world.create_agent()

    response = send(world, "activate")

    assert (response.status_code, response["Location"]) == (302, world.page("agents/agent-1/"))
    assert world.agent().status is Status.AVAILABLE
    assert "agent-1 is in service." in text_of(world.bob.get(response["Location"]))


def test_a_command_is_recorded_with_who_why_and_from_where(world: World) -> None:
    world.active_agent()

    world.bob.client.post(
        world.page("agents/agent-1/pause/"),
        {"reason": "Model upgrade"},
        headers={"user-agent": "Test\N{LATIN SMALL LETTER E WITH ACUTE}Browser"},
        REMOTE_ADDR="192.0.2.7",
    )

    paused, changed = Event.objects.filter(tenant=world.acme).order_by("-seq")[:2][::-1]
    assert [paused.type, changed.type] == ["AgentPausedEvent", "AgentStatusChangedEvent"]
    for event in (paused, changed):
        assert event.actor == f"user:{world.bob.username}"
        assert event.reason == "Model upgrade"
        assert event.correlation_id == paused.correlation_id is not None
        assert json.loads(event.origin or "")["address"] == "192.0.2.7"


def test_pause_until_a_moment_which_is_read_as_utc(world: World) -> None:
    world.active_agent()
    until = (utc_now() + timedelta(hours=2)).replace(second=0, microsecond=0)

    send(world, "pause", reason="Night", until=until.strftime("%Y-%m-%dT%H:%M"))

    agent = world.agent()
    assert (agent.intent, agent.pause_reason) == (Intent.PAUSED, "Night")
    assert agent.paused_until == until.astimezone(UTC)


def test_pause_for_a_duration(world: World) -> None:
    world.active_agent()
    before = utc_now()

    send(world, "pause", reason="Night", duration="14400")

    until = world.agent().paused_until
    assert until is not None
    assert before + timedelta(hours=4) <= until <= utc_now() + timedelta(hours=4)


def test_resume(world: World) -> None:
    world.active_agent()
    services.pause_agent(**world.to(), reason="Upgrade")

    send(world, "resume", reason="Done")

    assert world.agent().intent is Intent.ACTIVE
    assert world.newest_event().reason == "Done"


@pytest.mark.parametrize("slug", sorted(commands.BY_SLUG))
def test_every_command_asks_for_a_reason(world: World, slug: str) -> None:
    agent = world.busy_agent()

    assert "reason" in commands.BY_SLUG[slug](agent).fields


def test_a_reason_that_nothing_else_asks_for_stands_beside_the_event(world: World) -> None:
    world.create_agent()

    send(world, "activate", reason="Tested for a week")
    send(world, "assign", task_id="t-1", reason="")

    events = Event.objects.filter(tenant=world.acme, stream_id="agent-1").order_by("version")
    reasons = [(event.type, event.reason) for event in events[1:4]]
    assert reasons == [
        ("AgentActivatedEvent", "Tested for a week"),
        ("AgentStatusChangedEvent", "Tested for a week"),
        ("AgentTaskAssignedEvent", None),
    ]


def test_report_unhealthy(world: World) -> None:
    world.active_agent()

    send(world, "report-unhealthy", reason="It answers nonsense")

    assert world.agent().health is Health.UNHEALTHY


def test_assign_complete_and_fail(world: World) -> None:
    world.active_agent()

    send(world, "assign", task_id="t-1", input='{"page": 3}')
    assert world.agent().current_task_id == "t-1"
    send(world, "complete", task_id="t-1", execution_time_ms="120", result="[1, 2]")
    send(world, "assign", task_id="t-2")
    send(world, "fail", task_id="t-2", error_message="No answer\r\nat all", error_code="TIMEOUT")

    agent = world.agent()
    assert (agent.tasks_completed, agent.tasks_failed, agent.current_task_id) == (1, 1, None)
    failed = Event.objects.get(tenant=world.acme, type="AgentTaskFailedEvent")
    assert json.loads(failed.data)["error_message"] == "No answer\nat all"


def test_add_and_upgrade_a_capability(world: World) -> None:
    world.create_agent()

    send(world, "add-capability", name="ocr", proficiency_level="2")
    send(world, "upgrade-capability", name="ocr", proficiency_level="4")

    assert world.agent().level_of("ocr") == 4


def edit_form(world: World) -> dict[str, str]:
    """The edit form as the browser would send it back untouched."""
    form = commands.EditDetails(world.agent())
    now = {name: str(form[name].value()) for name in form.fields}
    return {**now, **{f"initial-{name}": value for name, value in now.items()}}


def test_edit_sends_only_what_was_changed(world: World) -> None:
    world.create_agent(tags=["a"], metadata={"k": 1}, description="first\nsecond")
    sent = edit_form(world)
    services.update_agent(**world.to(), description="changed by somebody else meanwhile")

    send(world, "edit", **(sent | {"name": "New name", "tags": "b, c"}))

    agent = world.agent()
    assert (agent.name, agent.tags, agent.metadata) == ("New name", ("b", "c"), {"k": 1})
    assert agent.description == "changed by somebody else meanwhile"
    changed = json.loads(world.newest_event().data)["changed"]
    assert changed == {"name": "New name", "tags": ["b", "c"]}


def test_an_edit_that_changes_nothing_records_nothing_and_says_so(world: World) -> None:
    world.create_agent(description="first\nsecond", metadata={"a": [1, {"b": None}]})
    before = world.event_types()
    sent = {name: text.replace("\n", "\r\n") for name, text in edit_form(world).items()}

    response = send(world, "edit", **sent)

    assert world.event_types() == before
    assert "nothing was recorded" in text_of(world.bob.get(response["Location"]))


def test_terminate_wants_the_id_typed(world: World) -> None:
    world.create_agent()

    refused = send(world, "terminate", reason="Old", confirmation="agent-2")
    assert refused.status_code == 400
    assert "must be the agent&#x27;s id, agent-1." in text_of(refused)
    assert world.agent().intent is Intent.REGISTERED

    send(world, "terminate", reason="Old", confirmation="agent-1")
    assert world.agent().intent is Intent.TERMINATED


def test_terminating_a_busy_agent_needs_force_and_the_page_says_so(world: World) -> None:
    world.busy_agent(task_id="t-7")

    refused = send(world, "terminate", reason="Old", confirmation="agent-1")
    assert refused.status_code == 409
    assert "agent-1 works on t-7." in text_of(refused)

    send(world, "terminate", reason="Old", confirmation="agent-1", force="on")
    assert world.agent().intent is Intent.TERMINATED


@pytest.mark.parametrize(
    ("slug", "values", "why"),
    [
        ("activate", {}, "Only a registered agent is activated; agent-1 is active."),
        ("resume", {}, "Only a paused agent can be resumed; agent-1 is active."),
        ("assign", {"task_id": "t-8"}, "agent-1 works on t-7."),
        (
            "complete",
            {"task_id": "t-6", "execution_time_ms": "1"},
            "Task t-6 is not current; agent-1 works on t-7.",
        ),
        (
            "add-capability",
            {"name": "translation", "proficiency_level": "3"},
            "agent-1 has translation already, at level 2.",
        ),
        (
            "upgrade-capability",
            {"name": "translation", "proficiency_level": "1"},
            "translation of agent-1 is at level 2 and only rises.",
        ),
    ],
)
def test_a_command_that_a_rule_forbids_is_refused_with_the_rules_own_words(
    world: World, slug: str, values: dict[str, str], why: str
) -> None:
    world.busy_agent()
    before = world.event_types()

    response = send(world, slug, **values)

    assert response.status_code == 409
    assert f"<strong>Nothing was recorded.</strong> {why}" in text_of(response)
    assert world.event_types() == before


@pytest.mark.parametrize(
    ("slug", "values", "why"),
    [
        ("pause", {"reason": ""}, "Reason: This field is required."),
        ("pause", {"reason": "x" * 1_001}, "Reason must be at most 1000 characters"),
        ("pause", {"reason": "a\0b"}, "Reason: Null characters are not allowed."),
        (
            "pause",
            {"reason": "x", "until": "2020-01-01T00:00"},
            "Until must be later than now",
        ),
        (
            "pause",
            {"reason": "x", "duration": "3600", "until": "2999-01-01T00:00"},
            "Until and a duration are two answers.",
        ),
        ("pause", {"reason": "x", "duration": "9" * 5_000}, "Select a valid choice"),
        ("assign", {"task_id": "t", "reason": "x" * 1_001}, "Reason must be at most 1000"),
        ("pause", {"reason": "x", "until": "soon"}, "Until: Enter a valid date/time."),
        (
            "pause",
            {"reason": "x", "until": "9999-12-31T23:59:59-14:00"},
            "Until must lie within the years 1 to 9999 in UTC.",
        ),
        ("assign", {"task_id": "-t"}, "Task id must be 1 to 256 of A-Z"),
        ("assign", {"task_id": "t", "input": "{"}, "Input (JSON) must be JSON"),
        ("assign", {"task_id": "t", "input": "NaN"}, "NaN is no JSON number"),
        ("assign", {"task_id": "t", "input": '{"a":1,"a":2}'}, "a key stands twice"),
        ("assign", {"task_id": "t", "input": "9" * 5_000}, "Input (JSON) must be JSON"),
        ("assign", {"task_id": "t", "input": str(2**63)}, "an integer beyond 64 bits"),
        ("assign", {"task_id": "t", "input": "1e999"}, "NaN or infinity"),
        ("assign", {"task_id": "t", "input": '"\\ud800"'}, "NUL or a lone surrogate"),
        ("assign", {"task_id": "t", "input": "[" * 20_000}, "is nested too deeply"),
        ("assign", {"task_id": "t", "input": f'"{"x" * 70_000}"'}, "must be at most 65536 bytes"),
        (
            "add-capability",
            {"name": "ocr", "proficiency_level": "6"},
            "Select a valid choice",
        ),
        ("edit", {"name": "n", "health_check_timeout_seconds": "1" * 5_000}, "a whole number"),
        ("edit", {"name": "n", "health_check_timeout_seconds": "1"}, "must be 5 to 86400."),
    ],
)
def test_a_value_that_no_agent_could_take_is_refused_and_named(
    world: World, slug: str, values: dict[str, str], why: str
) -> None:
    world.active_agent()
    before = world.event_types()

    response = send(world, slug, **values)

    assert response.status_code == 400
    assert why in text_of(response)
    assert what_the_policy_forbids(text_of(response)) == []
    assert world.event_types() == before


def test_a_refused_form_stays_open_as_it_was_typed(world: World) -> None:
    world.active_agent()

    text = text_of(send(world, "pause", reason="For the night", until="soon"))

    assert 'value="For the night"' in text
    assert 'id="pause" open' in text
    assert 'aria-invalid="true"' in text


@pytest.mark.parametrize("slug", sorted(commands.BY_SLUG))
def test_an_auditor_is_refused_every_command_and_the_attempt_is_recorded(
    world: World, slug: str
) -> None:
    world.active_agent()

    response = send_as(world.carol, world, slug, reason="I may not")

    assert response.status_code == 403
    denied = world.newest_event()
    assert (denied.type, denied.actor) == ("AccessDenied", f"user:{world.carol.username}")


def test_an_auditor_cannot_create_an_agent(world: World) -> None:
    assert world.carol.get(world.page("new-agent/")).status_code == 403
    assert world.carol.post(world.page("new-agent/"), name="x").status_code == 403
    assert not world.event_types().count("AgentCreatedEvent")


def test_mallory_s_command_meets_what_an_absent_agent_gives(world: World) -> None:
    world.active_agent()

    theirs = send_as(world.mallory, world, "pause", reason="Mine")
    absent = world.mallory.post(
        f"/admin/t/{world.globex}/agents/no-such-agent/pause/", reason="Mine"
    )

    assert (theirs.status_code, theirs.content) == (404, absent.content)
    assert world.agent().intent is Intent.ACTIVE


def test_an_auditor_is_told_that_an_agent_is_absent_before_that_they_may_not(world: World) -> None:
    assert send_as(world.carol, world, "pause", reason="x").status_code == 404


def test_a_command_needs_the_csrf_token(world: World) -> None:
    world.create_agent()
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = world.bob.client.cookies

    assert browser.post(world.page("agents/agent-1/activate/")).status_code == 403
    assert world.agent().intent is Intent.REGISTERED


def test_the_address_of_a_command_leads_back_to_the_agent_and_records_nothing(world: World) -> None:
    world.create_agent()

    response = world.bob.get(world.page("agents/agent-1/activate/"))

    assert (response.status_code, response["Location"]) == (302, world.page("agents/agent-1/"))
    assert world.agent().intent is Intent.REGISTERED
    assert world.bob.get(world.page("agents/agent-1/explode/")).status_code == 404


def test_an_operator_creates_an_agent(world: World) -> None:
    response = world.bob.post(
        world.page("new-agent/"),
        name="Ada",
        agent_id="ada-1",
        agent_type="translator",
        capability=["translation", "", "ocr"],
        level=["4", "", "2"],
        tags="eu, prod",
        metadata='{"owner": "team-a"}',
        health_check_timeout_seconds="60",
    )

    assert (response.status_code, response["Location"]) == (302, world.page("agents/ada-1/"))
    agent = world.agent("ada-1")
    assert [(each.name, each.proficiency_level) for each in agent.capabilities] == [
        ("translation", 4),
        ("ocr", 2),
    ]
    assert (agent.tags, agent.metadata) == (("eu", "prod"), {"owner": "team-a"})
    assert agent.health_check_timeout_seconds == 60
    assert world.newest_event().actor == f"user:{world.bob.username}"


@pytest.mark.parametrize(
    ("values", "status", "why"),
    [
        ({"agent_id": "taken-1"}, 409, "Agent taken-1 exists already. Choose another id."),
        ({"agent_id": "no"}, 400, "Id must be 3 to 256 of A-Z"),
        ({"capability": "nlp", "level": ""}, 400, "needs a level in row 1, for nlp."),
        ({"capability": ["ocr"] * 2, "level": ["2", "3"]}, 400, "stands before already"),
        ({"capability": "ocr", "level": "9"}, 400, "Capabilities needs a level in row 1"),
        ({"capability": "o c r"}, 400, "Capabilities, entry 1, name, must be 1 to 256"),
        ({"capability": " "}, 400, "Capabilities must name at least one capability."),
        ({"metadata": "[1]"}, 400, "Metadata (JSON) must be an object."),
        ({"tags": "a, a"}, 400, "Tags, entry 2, must be given once"),
        ({"name": "x" * 300}, 400, "Name must be at most 256 characters"),
    ],
)
def test_a_refused_creation_says_why_and_keeps_what_was_typed(
    world: World, values: dict[str, object], status: int, why: str
) -> None:
    world.create_agent("taken-1")
    sent: dict[str, object] = {"name": "Ada", "capability": "ocr", "level": "1"}
    sent["health_check_timeout_seconds"] = "90"

    response = world.bob.post(world.page("new-agent/"), **(sent | values))

    assert response.status_code == status
    assert "<strong>Nothing was recorded.</strong>" in text_of(response)
    assert why in text_of(response)
    assert "Ada" in text_of(response) or "x" * 300 in text_of(response)
    assert world.event_types().count("AgentCreatedEvent") == 1


def test_another_row_for_a_capability_comes_without_a_script_and_keeps_what_was_typed(
    world: World,
) -> None:
    response = world.bob.post(
        world.page("new-agent/"), name="Ada", capability="ocr", level="", more="1"
    )

    text = text_of(response)
    assert response.status_code == 200
    assert 'value="Ada"' in text
    assert text.count('name="capability"') == 4
    assert "Nothing was recorded" not in text
    assert "AgentCreatedEvent" not in world.event_types()
