"""Subscriptions: how far each is, what waits for a person, and what a person may do about it."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events.bus import event_bus
from events.durable.catching_up import catch_up
from events.models import Event, HeldStream, Rebuild, SubscriptionCheckpoint
from events.pages import subscriptions
from events.rebuilds.turn import Turn
from events.worker import heartbeat
from tests.pages.conftest import World, text_of
from tests.pages.html import fields_without_label, form_actions, what_the_policy_forbids

REASON = "Called by hand."
LIST = "integrations/subscriptions/"
ALERTS = f"{LIST}alerts/"
TASKS = f"{LIST}tasks/"
MOST_QUERIES = 14
DEEDS = ("retry", "skip", "resume", "rebuild")
NO_REASONS = ("", " ", "a\0b", "x" * 1_001, "a\u202eb")


def park(world: World, agent_id: str = "agent-1", name: str = "alerts") -> HeldStream:
    event = Event.objects.filter(tenant=world.acme, stream_id=agent_id).order_by("-seq")[0]
    return HeldStream.objects.create(
        tenant_id=world.acme,
        subscription=name,
        stream_type="agent",
        stream_id=agent_id,
        version=event.version,
        seq=event.seq,
        attempts=6,
        last_error="KeyError: 'No team is on duty.'",
        parked_at=timezone.now(),
    )


def read_all(world: World, *names: str) -> None:
    for name in names or ("alerts", "tasks"):
        catch_up(event_bus.subscriptions[name], world.acme)


def stop(world: World, name: str = "alerts") -> None:
    read_all(world, name)
    SubscriptionCheckpoint.objects.filter(tenant=world.acme, subscription=name).update(
        stopped_reason="The log has become shorter.", stopped_at=Now()
    )


def held(world: World) -> HeldStream | None:
    return HeldStream.objects.filter(tenant=world.acme).first()


def main_of(response: Any) -> str:
    (main,) = re.findall(r"<main.*?</main>", text_of(response), re.DOTALL)
    return str(main)


@pytest.fixture
def parked(world: World) -> HeldStream:
    world.active_agent()
    read_all(world)
    return park(world)


def test_the_list_says_how_far_each_is_and_puts_first_what_needs_a_person(
    world: World, parked: HeldStream
) -> None:
    stop(world, "fleet")

    page = world.carol.get(world.page(LIST))

    names = [each.state.name for each in page.context["standings"]]
    assert names[:2] == ["fleet", "alerts"]
    assert set(names) == set(event_bus.subscriptions)
    assert "The log has become shorter." in main_of(page)
    assert world.page(LIST) in text_of(world.carol.get(world.page("integrations/")))


def test_whoever_reads_for_it_now_is_named(world: World) -> None:
    world.create_agent()
    read_all(world)
    SubscriptionCheckpoint.objects.filter(tenant=world.acme, subscription="tasks").update(
        holder="host:7:abc", leased_until=timezone.now() + timedelta(seconds=60)
    )

    assert "host:7:abc" in main_of(world.bob.get(world.page(LIST)))
    assert "host:7:abc" in main_of(world.bob.get(world.page(TASKS)))


def test_a_parked_stream_leads_to_its_event_and_tells_its_error(
    world: World, parked: HeldStream
) -> None:
    event = Event.objects.get(tenant=world.acme, seq=parked.seq)

    main = main_of(world.carol.get(world.page(ALERTS)))

    assert world.page(f"events/{event.event_id}/") in main
    assert "No team is on duty." in main
    assert "<form" not in main


def test_a_parked_stream_is_tried_again(world: World, parked: HeldStream) -> None:
    response = world.bob.post(world.page(f"{ALERTS}retry/"), stream="agent-1")

    assert response.status_code == 302
    waiting = held(world)
    assert waiting is not None
    assert (waiting.parked_at, waiting.attempts) == (None, 0)


def test_one_event_is_skipped_with_a_reason_that_the_log_keeps(
    world: World, parked: HeldStream
) -> None:
    response = world.bob.post(world.page(f"{ALERTS}skip/"), stream="agent-1", reason=REASON)

    assert response.status_code == 302
    event = world.newest_event()
    assert (event.type, event.actor) == ("EventSkipped", f"user:{world.bob.username}")
    assert event.reason == REASON
    waiting = held(world)
    assert waiting is not None
    assert waiting.version == parked.version + 1


def test_without_a_reason_nothing_is_skipped_and_the_form_stays_open(
    world: World, parked: HeldStream
) -> None:
    for reason in NO_REASONS:
        response = world.bob.post(world.page(f"{ALERTS}skip/"), stream="agent-1", reason=reason)
        assert response.status_code == 400
        assert '<details class="deed" open>' in text_of(response)

    waiting = held(world)
    assert waiting is not None
    assert waiting.parked_at is not None


def test_a_stream_that_is_not_parked_is_refused(world: World, parked: HeldStream) -> None:
    for deed in ("retry", "skip"):
        path = world.page(f"{ALERTS}{deed}/")
        for stream in ("agent-2", "", "a\0b", "x" * 400, "\ufffd"):
            assert world.bob.post(path, stream=stream, reason=REASON).status_code == 400


def test_an_auditor_changes_nothing_and_mallory_meets_nothing(
    world: World, parked: HeldStream
) -> None:
    for deed in DEEDS:
        name = "tasks" if deed == "rebuild" else "alerts"
        path = world.page(f"{LIST}{name}/{deed}/")
        values = {"stream": "agent-1", "reason": REASON, "after": "head", "confirm": name}
        assert world.carol.post(path, **values).status_code == 403
        theirs = world.mallory.post(path, **values)
        absent = world.mallory.post(path.replace(world.acme, "no-such-tenant"), **values)
        assert (theirs.status_code, absent.status_code) == (404, 404)
    waiting = held(world)
    assert waiting is not None
    assert waiting.parked_at is not None
    assert not Rebuild.objects.filter(tenant=world.acme).exists()


def test_mallory_sees_what_she_would_see_if_there_were_nothing(
    world: World, parked: HeldStream
) -> None:
    for path in (LIST, ALERTS):
        assert world.mallory.get(world.page(path)).status_code == 404
    catch_up(event_bus.subscriptions["alerts"], world.globex)
    mine = main_of(world.mallory.get(f"/admin/t/{world.globex}/{ALERTS}"))
    assert "agent-1" not in mine
    assert "No stream waits" in mine


class TestAStoppedOne:
    def test_goes_on_where_an_admin_says_and_the_log_keeps_why(self, world: World) -> None:
        world.active_agent()
        stop(world)
        page = world.alice.get(world.page(ALERTS))
        assert "Type alerts to confirm" in main_of(page)

        response = world.alice.post(
            world.page(f"{ALERTS}resume/"), after="head", reason=REASON, confirm="alerts"
        )

        assert response.status_code == 302
        event = world.newest_event()
        assert (event.type, event.reason) == ("SubscriptionResumed", REASON)
        row = SubscriptionCheckpoint.objects.get(tenant=world.acme, subscription="alerts")
        assert (row.seq, row.stopped_reason) == (event.seq - 1, None)
        assert "let go subscription alerts" in text_of(
            world.alice.get(world.page(f"events/{event.event_id}/"))
        )
        read_all(world, "alerts")

    def test_is_not_an_operators_to_move(self, world: World) -> None:
        stop(world)
        values = {"after": "head", "reason": REASON, "confirm": "alerts"}

        assert world.bob.post(world.page(f"{ALERTS}resume/"), **values).status_code == 403
        assert "resume/" not in main_of(world.bob.get(world.page(ALERTS)))

    def test_stays_where_it_is_when_something_does_not_fit(self, world: World) -> None:
        stop(world)
        fitting = {"after": "0", "reason": REASON, "confirm": "alerts"}
        unfit = [
            ({"after": "7000"}, "has no event 7000"),
            ({"after": "-1"}, "must be a seq, 0 or head"),
            ({"after": "9" * 5_000}, "must be a seq, 0 or head"),
            ({"after": str(2**63)}, "must be a seq, 0 or head"),
            ({"after": "\N{SUPERSCRIPT TWO}"}, "must be a seq, 0 or head"),
            ({"after": ""}, "This field is required."),
            ({"confirm": "alert"}, "Type alerts, letter by letter."),
            ({"reason": ""}, "This field is required."),
        ]

        for values, why in unfit:
            response = world.alice.post(world.page(f"{ALERTS}resume/"), **(fitting | values))
            assert response.status_code == 400
            assert why in text_of(response)
        row = SubscriptionCheckpoint.objects.get(tenant=world.acme, subscription="alerts")
        assert row.stopped_reason is not None

    def test_is_the_only_one_that_is_moved(self, world: World) -> None:
        world.create_agent()
        read_all(world)
        values = {"after": "0", "reason": REASON, "confirm": "alerts"}

        response = world.alice.post(world.page(f"{ALERTS}resume/"), **values)

        assert response.status_code == 400
        assert "is not stopped" in text_of(response)
        assert "SubscriptionResumed" not in world.event_types()


class TestARebuild:
    def test_is_asked_for_by_an_admin_and_shows_its_progress(self, world: World) -> None:
        world.busy_agent()
        read_all(world)
        path = world.page(f"{TASKS}rebuild/")

        assert world.alice.post(path, reason=REASON).status_code == 302
        (asked,) = Rebuild.objects.filter(tenant=world.acme)
        assert (asked.projection, asked.requested_by) == ("tasks", f"user:{world.alice.username}")
        waiting = main_of(world.carol.get(world.page(TASKS)))
        assert "A worker takes it up" in waiting
        Rebuild.objects.filter(tenant=world.acme).update(
            status="running", seq=2, epoch=1, leased_until=timezone.now() + timedelta(seconds=60)
        )
        running = main_of(world.carol.get(world.page(TASKS)))
        assert f'<progress id="rebuild-progress" max="{asked.head}" value="2"' in running
        assert "The rows that are served stay until it is done." in running
        assert "rebuilding" in main_of(world.carol.get(world.page(LIST)))
        assert "is being rebuilt: seq 2" in main_of(world.carol.get(world.page("integrations/")))

    def test_is_done_by_the_worker_and_stays_in_the_list(self, world: World) -> None:
        world.busy_agent()
        read_all(world)
        world.alice.post(world.page(f"{TASKS}rebuild/"), reason=REASON)
        (asked,) = Rebuild.objects.filter(tenant=world.acme)

        assert Turn(asked, lambda: False).run()

        main = main_of(world.alice.get(world.page(TASKS)))
        assert "1 rows of" in main
        assert REASON in main
        assert "Have it rebuilt" in main

    def test_is_refused_while_one_is_open(self, world: World) -> None:
        world.create_agent()
        path = world.page(f"{TASKS}rebuild/")
        world.alice.post(path, reason=REASON)

        response = world.alice.post(path, reason=REASON)

        assert response.status_code == 400
        assert "is being rebuilt already" in text_of(response)
        assert "Have it rebuilt" not in main_of(response)
        assert Rebuild.objects.filter(tenant=world.acme).count() == 1

    def test_is_not_an_operators_to_ask_for(self, world: World) -> None:
        assert world.bob.post(world.page(f"{TASKS}rebuild/"), reason=REASON).status_code == 403
        assert "rebuild/" not in main_of(world.bob.get(world.page(TASKS)))

    def test_whose_worker_is_gone_says_so(self, world: World) -> None:
        world.create_agent()
        Rebuild.objects.create(
            tenant_id=world.acme,
            projection="tasks",
            status="running",
            requested_by="user:x",
            reason=REASON,
            head=9,
            seq=4,
            tries=2,
            leased_until=timezone.now() - timedelta(seconds=1),
        )
        main = main_of(world.carol.get(world.page(TASKS)))

        assert "The worker that was at it is gone." in main
        assert "2 times" in main

    def test_without_a_reason_is_none(self, world: World) -> None:
        for reason in NO_REASONS:
            response = world.alice.post(world.page(f"{TASKS}rebuild/"), reason=reason)
            assert response.status_code == 400
        assert not Rebuild.objects.filter(tenant=world.acme).exists()

    def test_of_what_keeps_no_rows_is_not_offered_and_refused(self, world: World) -> None:
        read_all(world, "alerts")
        response = world.alice.post(world.page(f"{ALERTS}rebuild/"), reason=REASON)

        assert response.status_code == 400
        assert "no rows that could be made anew" in text_of(response)
        assert "Have it rebuilt" not in main_of(response)


def test_a_name_that_nothing_has_is_not_found(world: World) -> None:
    for name in ("nobody", "%00", "a%00b", "%ff", "x" * 400, "tasks~rebuild"):
        assert world.carol.get(world.page(f"{LIST}{name}/")).status_code == 404
    for deed in DEEDS:
        assert world.carol.post(world.page(f"{LIST}a%00b/{deed}/"), reason="x").status_code == 404


def test_a_worker_that_nobody_sees_is_missed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for age, words in ((None, "No worker was ever seen"), (90.0, "for 1 min 30 s")):
        monkeypatch.setattr(heartbeat, "age_seconds", lambda age=age: age)
        assert words in main_of(world.carol.get(world.page(LIST)))


def test_more_parked_streams_cost_no_more_queries_and_so_many_are_shown(
    world: World, parked: HeldStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "HELD_SHOWN", 2)

    def asked(path: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert world.alice.get(world.page(path)).status_code == 200
        assert not [
            each["sql"]
            for each in captured.captured_queries
            if "COUNT(" in each["sql"].upper() and "events_event" in each["sql"]
        ]
        return len(captured)

    asked(LIST)
    few = asked(LIST), asked(ALERTS)
    for number in range(2, 5):
        world.create_agent(f"agent-{number}")
        park(world, f"agent-{number}")

    assert (asked(LIST), asked(ALERTS)) == few
    assert max(few) <= MOST_QUERIES
    page = world.alice.get(world.page(ALERTS))
    assert len(page.context["parked"]) == 2
    assert "4 parked" in main_of(page)


def test_the_pages_keep_the_policy_and_label_their_fields(world: World, parked: HeldStream) -> None:
    stop(world, "fleet")
    for path in (LIST, ALERTS, TASKS, f"{LIST}fleet/"):
        page = text_of(world.alice.get(world.page(path)))
        assert what_the_policy_forbids(page) == []
        assert fields_without_label(page) == []
    assert world.page(f"{ALERTS}skip/") in form_actions(text_of(world.bob.get(world.page(ALERTS))))
