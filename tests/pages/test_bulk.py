"""Many agents at once: choose, see what would happen, do it, see what came of it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import services
from agents.domain.state import Intent, Status
from agents.pages import bulk
from events.facts import utc_now
from events.models import Event, IdempotencyKey
from tests.pages.conftest import Person, World, text_of
from tests.pages.html import (
    fields_without_label,
    form_actions,
    hidden_values,
    what_the_policy_forbids,
)

UNFIT: list[tuple[dict[str, str], str]] = [
    ({}, "This field is required."),
    ({"reason": "  "}, "This field is required."),
    ({"reason": "x" * 1_001}, "must be at most 1000 characters"),
    ({"reason": "a\0b"}, "Null characters are not allowed."),
    ({"reason": "x", "until": "2001-01-01T00:00"}, "must be later than now."),
    ({"reason": "x", "until": "soon"}, "Enter a valid date/time."),
]


@pytest.fixture
def fleet(world: World) -> World:
    """Two that can be paused, of which one works, and two that cannot."""
    world.active_agent("idle-1")
    world.busy_agent("busy-1", "t-7")
    world.create_agent("reg-1")
    world.create_agent("old-1")
    services.terminate_agent(**world.to("old-1"), reason="Old")
    return world


def dry_run(world: World, command: str, *agent_ids: str, **more: object) -> Any:
    return world.bob.post(world.page("bulk/"), command=command, agent=list(agent_ids), **more)


def order(response: Any) -> dict[str, str]:
    """What the dry run's own form sends, without what a person types."""
    sent = hidden_values(text_of(response), "carry-out")
    sent.pop("csrfmiddlewaretoken", None)
    return sent


def do(world: World, sent: dict[str, str], **typed: str) -> Any:
    return world.bob.post(world.page("bulk/do/"), **(sent | typed))


def events_of(world: World, correlation: str) -> list[tuple[str, str, str | None]]:
    rows = Event.objects.filter(tenant=world.acme, correlation_id=correlation).order_by("seq")
    return list(rows.values_list("stream_id", "type", "reason"))


def test_the_dry_run_says_who_can_who_cannot_and_why_and_records_nothing(fleet: World) -> None:
    before = fleet.event_types()

    response = dry_run(fleet, "pause", "idle-1", "busy-1", "reg-1", "old-1", "none-1", "idle-1")

    text = text_of(response)
    assert "2 of 5 can be paused; these 3 cannot" in text
    assert "reg-1 is registered. Activate it first." in text
    assert "old-1 is terminated. Create a new one." in text
    assert "There is no agent &#x27;none-1&#x27;" in text
    assert "AVAILABLE → PAUSED" in text
    assert "stays BUSY; it may finish t-7" in text
    assert fleet.event_types() == before
    assert what_the_policy_forbids(text) == []
    assert fields_without_label(text) == []


def test_what_was_shown_is_done_under_one_correlation_id_and_told_agent_by_agent(
    fleet: World,
) -> None:
    sent = order(dry_run(fleet, "pause", "idle-1", "busy-1", "reg-1"))

    response = do(fleet, sent, reason="Night", until="2999-01-01T00:00")

    where = response["Location"]
    assert (response.status_code, fleet.agent("idle-1").intent) == (302, Intent.PAUSED)
    until = fleet.agent("busy-1").paused_until
    assert until is not None
    assert until.year == 2999
    assert events_of(fleet, sent["correlation"]) == [
        ("idle-1", "AgentPausedEvent", "Night"),
        ("idle-1", "AgentStatusChangedEvent", "Night"),
        ("busy-1", "AgentPausedEvent", "Night"),
    ]
    paused = Event.objects.get(tenant=fleet.acme, stream_id="busy-1", type="AgentPausedEvent")
    for person in (fleet.bob, fleet.carol):
        text = text_of(person.get(where))
        assert fleet.page(f"events/{paused.event_id}/") in text
        assert "2 paused, 1 not asked" in text
        assert "reg-1 is registered. Activate it first." in text
        assert f"?q=correlation%3A{sent['correlation']}%20seq%3A" in text


def test_who_changed_after_the_dry_run_is_told_of_and_the_others_are_done(fleet: World) -> None:
    fleet.active_agent("idle-2")
    sent = order(dry_run(fleet, "pause", "idle-1", "idle-2", "reg-1"))
    services.terminate_agent(**fleet.to("idle-1"), reason="Meanwhile")
    services.activate_agent(**fleet.to("reg-1"))

    text = text_of(fleet.bob.get(do(fleet, sent, reason="Night")["Location"]))

    assert "1 paused, 1 refused, 1 not asked" in text
    assert "They changed before it was." in text
    assert "idle-1 is terminated" in text
    assert "By the time the others were done it would have been possible." in text
    assert fleet.agent("reg-1").status is Status.AVAILABLE
    assert fleet.agent("idle-2").status is Status.PAUSED


def test_the_button_pressed_twice_does_it_once(fleet: World) -> None:
    sent = order(dry_run(fleet, "pause", "idle-1"))
    first = do(fleet, sent, reason="Night")
    services.resume_agent(**fleet.to("idle-1"))

    again = do(fleet, sent, reason="Night")

    assert again["Location"] in first["Location"]
    assert fleet.agent("idle-1").status is Status.AVAILABLE


def test_results_stay_when_what_was_refused_is_forgotten(fleet: World) -> None:
    sent = order(dry_run(fleet, "pause", "idle-1", "reg-1"))
    where = do(fleet, sent, reason="Night")["Location"]
    day_old = utc_now() - timedelta(hours=25)
    IdempotencyKey.objects.filter(tenant=fleet.acme).update(created_at=day_old)

    text = text_of(fleet.carol.get(where))

    assert "1 changed" in text
    assert "Who was refused is in no log" in text
    assert "AVAILABLE → PAUSED" in text
    assert fleet.carol.get(where.partition("?")[0]).status_code == 404


def test_terminating_asks_for_the_number_and_a_reason(fleet: World) -> None:
    sent = order(dry_run(fleet, "terminate", "idle-1", "reg-1", "busy-1"))

    for typed in ({"reason": "Old"}, {"reason": "Old", "confirmation": "3"}, {"confirmation": "2"}):
        response = do(fleet, sent, **typed)
        assert response.status_code == 400
        assert "Type how many you terminate: 2" in text_of(response)
    assert fleet.agent("idle-1").intent is Intent.ACTIVE

    do(fleet, sent, reason="Old", confirmation="2")
    assert fleet.agent("idle-1").intent is Intent.TERMINATED
    assert fleet.agent("busy-1").intent is Intent.ACTIVE


def test_force_fails_the_tasks_that_were_shown_and_no_other(fleet: World) -> None:
    careful = dry_run(fleet, "terminate", "idle-1", "busy-1")
    assert "1 of 2 can be terminated; this one cannot" in text_of(careful)
    assert "Look again with force" in text_of(careful)
    forced = fleet.bob.post(fleet.page("bulk/"), **order(careful), force="yes")
    assert "its task t-7 fails" in text_of(forced)
    sent = order(forced)
    services.assign_task(**fleet.to("idle-1"), task_id="t-8")  # after the dry run

    text = text_of(fleet.bob.get(do(fleet, sent, reason="Old", confirmation="2")["Location"]))

    assert "1 terminated, 1 refused" in text
    assert "idle-1 works on t-8" in text
    assert "its task t-7 failed; BUSY → TERMINATED" in text
    assert fleet.agent("idle-1").current_task_id == "t-8"


def test_what_cannot_be_recorded_is_said_at_its_field_and_nothing_is_done(fleet: World) -> None:
    sent = order(dry_run(fleet, "pause", "idle-1"))

    for typed, why in UNFIT:
        response = do(fleet, sent, **typed)
        assert response.status_code == 400
        assert why in text_of(response)
        assert order(response) == sent
    assert fleet.agent("idle-1").intent is Intent.ACTIVE


def test_the_page_and_all_that_match_can_be_chosen_and_many_are_cut_and_said(
    fleet: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = dry_run(fleet, "resume", scope="page", shown=["idle-1", "busy-1", "a b", "x" * 300])
    assert "None of the 2 can be resumed" in text_of(page)
    some = dry_run(fleet, "pause", scope="filter", filter="status=AVAILABLE&tag=")
    assert order(some)["agents"].split() == ["idle-1"]
    monkeypatch.setattr(bulk, "MOST_AGENTS", 2)
    cut = dry_run(fleet, "terminate", scope="filter", filter="")
    assert "These are the first 2 that match, up to idle-1." in text_of(cut)
    assert cut.context["rehearsed"].total == 2


def test_whoever_chose_nobody_is_led_back_to_what_they_looked_at(fleet: World) -> None:
    response = dry_run(fleet, "pause", filter="status=BUSY&x=1")

    assert (response.status_code, response["Location"]) == (
        302,
        fleet.page("agents/?status=BUSY"),
    )
    assert fleet.bob.get(fleet.page("bulk/")).status_code == 302
    assert fleet.bob.get(fleet.page("bulk/do/")).status_code == 302
    assert dry_run(fleet, "explode", "idle-1").status_code == 404


def test_an_auditor_is_offered_nothing_and_refused(fleet: World) -> None:
    assert form_actions(text_of(fleet.carol.get(fleet.page("agents/")))) == [""]
    for page in ("bulk/", "bulk/do/"):
        response = fleet.carol.post(fleet.page(page), command="pause", agent="idle-1", reason="x")
        assert response.status_code == 403
    assert fleet.agent("idle-1").intent is Intent.ACTIVE
    assert fleet.newest_event().type == "AccessDenied"


def test_mallory_reaches_no_agent_of_acme_and_sees_no_result(fleet: World) -> None:
    where = do(fleet, order(dry_run(fleet, "pause", "idle-1")), reason="x")["Location"]
    mallory: Person = fleet.mallory
    absent = mallory.get(f"/admin/t/{fleet.globex}/bulk/no-such-bulk/")
    own = f"/admin/t/{fleet.globex}/"

    for response in (
        mallory.get(where),
        mallory.get(where.replace(fleet.acme, fleet.globex)),
        mallory.post(fleet.page("bulk/"), command="pause", agent="busy-1"),
        mallory.post(fleet.page("bulk/do/"), command="pause", agents="busy-1", reason="x"),
    ):
        assert (response.status_code, response.content) == (404, absent.content)
    rehearsed = mallory.post(f"{own}bulk/", command="pause", agent=["busy-1", "none-1"])
    theirs, none = (each.why for each in rehearsed.context["rehearsed"].unable)
    assert theirs == none.replace("none-1", "busy-1")
    mallory.post(f"{own}bulk/do/", command="pause", agents="busy-1", reason="x")
    assert fleet.agent("busy-1").intent is Intent.ACTIVE


def test_more_agents_cost_no_more_queries(fleet: World) -> None:
    def queries(*agent_ids: str) -> list[int]:
        numbers = []
        with CaptureQueriesContext(connection) as captured:
            response = dry_run(fleet, "resume", *agent_ids)
        numbers.append(len(captured))
        with CaptureQueriesContext(connection) as captured:
            where = do(fleet, order(dry_run(fleet, "pause", *agent_ids)), reason="x")["Location"]
        numbers.append(len(captured))
        with CaptureQueriesContext(connection) as captured:
            fleet.bob.get(where)
        numbers.append(len(captured))
        assert response.status_code == 200
        return numbers

    many = [f"agent-{number}" for number in range(8)]
    for agent_id in (*many, "one-1", "two-1", "two-2"):
        fleet.active_agent(agent_id)
    queries("one-1")  # the first visit notes the tenant in the session

    assert queries(*many) == queries("two-1", "two-2")
