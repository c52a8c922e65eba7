"""Alerts in the browser: what is wrong first, who cares for it, and whether anybody was reached."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events.log.proposal import Context
from projections.alerts import alert_services, rule_services
from projections.alerts.models import Alert, Kind, State
from projections.alerts.rules import Rule
from projections.notify.models import Channel, Digest, Happened, Notice
from projections.notify.outbox import NO_LONGER_NAMED
from projections.pages import alerts
from tests.pages.conftest import SETUP, World, text_of
from tests.pages.html import fields_without_label, what_the_policy_forbids

ALICE = Context(actor="user:alice")


def stand(world: World, subject: str = "agent-1", rule: str = "mine", **other: Any) -> Alert:
    """An alert that stands."""
    now = timezone.now()
    fields: dict[str, Any] = {
        "troubles": ["AgentHealthCheckFailedEvent"],
        "detail": "AgentHealthCheckFailedEvent: silent for 90 s",
        "opened_at": now - timedelta(hours=3, minutes=20, seconds=5),
        "opened_seq": 1,
        "last_at": now,
        "last_seq": 1,
        "event_id": uuid.uuid4(),
    }
    return Alert.objects.create(
        tenant_id=world.acme, rule=rule, subject=subject, **(fields | other)
    )


def acknowledge(world: World, alert: Alert, note: str = "") -> None:
    alert_services.acknowledge_alert(tenant=world.acme, alert_id=alert.pk, note=note, by=ALICE)


def end(world: World, alert: Alert, reason: str = "Over.") -> None:
    alert_services.resolve_alert(tenant=world.acme, alert_id=alert.pk, reason=reason, by=ALICE)


def again(alert: Alert) -> Alert:
    return Alert.objects.get(tenant=alert.tenant_id, pk=alert.pk)


def told(alert: Alert, channel: Channel, address: str, **digest: Any) -> Notice:
    """A notice of its opening; in a message that stands so, when anything is said of it."""
    made = None
    if digest:
        now = timezone.now()
        made = Digest.objects.create(
            tenant_id=alert.tenant_id,
            channel=channel,
            address=address,
            title="acme: mine, agent-1",
            body="",
            **({"made_at": now, "next_try_at": now} | digest),
        )
    return Notice.objects.create(
        tenant_id=alert.tenant_id,
        channel=channel,
        address=address,
        alert=alert,
        happened=Happened.OPENED,
        digest=made.pk if made else None,
    )


def words(response: Any) -> str:
    """The page's words, without tags and breaks."""
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text_of(response)))
    return re.sub(r" ([.,:;])", r"\1", text)


def shown(response: Any) -> list[Alert]:
    return [each.alert for each in response.context["alerts"]]


def test_where_nothing_is_wrong_the_page_says_how_many_rules_watch(world: World) -> None:
    page = words(world.carol.get(world.page("alerts/")))

    assert "Nothing is wrong, and nothing was. 2 rules watch." in page


def test_what_is_wrong_comes_first_then_what_somebody_cares_for_then_what_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [stand(world, f"agent-{number}") for number in range(6)]
    end(world, made[5])
    end(world, made[0])
    acknowledge(world, made[4], "I am at it")
    acknowledge(world, made[1])
    wanted = [made[3], made[2], made[4], made[1], made[5], made[0]]

    page = world.carol.get(world.page("alerts/"))
    assert shown(page) == wanted
    assert "user:alice I am at it" in words(page)
    assert "for 3 h 20 min" in words(page)
    assert f'href="{world.page("agents/agent-3/")}"' in text_of(page)

    monkeypatch.setattr(alerts, "PAGE", 1)
    found, query = [], ""
    for _ in range(7):
        context = world.carol.get(world.page("alerts/") + query).context
        found += [each.alert for each in context["alerts"]]
        if context["older"] is None:
            break
        query = context["older"]
    assert found == wanted


def test_alerts_are_narrowed_by_state_rule_and_agent(world: World) -> None:
    first, second = stand(world, "agent-1", "one"), stand(world, "agent-2", "two")
    tenants_own = stand(world, "", "two")
    acknowledge(world, first)
    path = world.page("alerts/")

    assert shown(world.carol.get(path, state="acknowledged")) == [first]
    assert shown(world.carol.get(path, state="resolved")) == []
    assert shown(world.carol.get(path, rule="tw*")) == [tenants_own, second]
    assert shown(world.carol.get(path, agent="agent-*")) == [second, first]
    assert shown(world.carol.get(path, rule="two", agent="agent-2")) == [second]
    assert "No alert fits." in words(world.carol.get(path, rule="nothing"))
    for nonsense in ({"state": "asleep"}, {"rule": "a*b"}, {"before": str(uuid.uuid4())}):
        assert len(shown(world.carol.get(path, **nonsense))) == 3


def test_an_operator_acknowledges_those_that_were_ticked(world: World) -> None:
    first, second, third = (stand(world, f"agent-{number}") for number in range(3))
    end(world, third)
    path = world.page("alerts/acknowledge/")

    page = world.bob.client.post(
        path, {"alert": [first.pk, third.pk], "note": "On it\0"}, follow=True
    )

    assert page.redirect_chain == [(world.page("alerts/"), 302)]
    assert "1 alert acknowledged." in words(page)
    assert "1 not acknowledged: The alert is resolved" in words(page)
    assert (again(first).acknowledged_by, again(first).acknowledged_note) == (
        f"user:{world.bob.username}",
        "On it",
    )
    assert again(second).state == State.OPEN
    assert world.newest_event().type == "AlertAcknowledged"
    nothing = world.bob.client.post(path, {"alert": ["x", "\0"]}, follow=True)
    assert "Tick the alerts that somebody cares for" in words(nothing)
    unknown = world.bob.client.post(path, {"alert": [uuid.uuid4()]}, follow=True)
    assert "1 not acknowledged: There is no alert" in words(unknown)


def test_the_story_of_an_alert_is_told_from_its_event_to_its_end(world: World) -> None:
    world.active_agent()
    event = world.newest_event()
    alert = stand(world, event_id=event.event_id, opened_seq=event.seq, recurrences=4)
    path = world.page(f"alerts/{alert.pk}/")

    page = world.bob.get(path)
    assert f'href="{world.page(f"events/{event.event_id}/")}"' in text_of(page)
    assert "More of it came 4 times" in words(page)
    assert "It ends when this is over: AgentHealthCheckFailedEvent." in words(page)
    assert f"events/?before={event.seq + 1}" in text_of(page)

    page = world.bob.client.post(path + "acknowledge/", {"note": "I look"}, follow=True)
    assert f"Acknowledged by user:{world.bob.username}: I look" in words(page)
    page = world.bob.client.post(path + "resolve/", {"reason": "Restarted."}, follow=True)
    assert f"Resolved by user:{world.bob.username}: Restarted." in words(page)
    assert 'type="submit">Resolve' not in text_of(page)
    assert [world.event_types()[-2], world.event_types()[-1]] == [
        "AlertAcknowledged",
        "AlertResolved",
    ]


def test_what_was_refused_stands_beside_its_field_as_it_was_typed(world: World) -> None:
    alert = stand(world)
    path = world.page(f"alerts/{alert.pk}/")
    head = world.newest_event().seq

    for rest, values, said in (
        ("resolve/", {"reason": " "}, "This field is required."),
        ("resolve/", {"reason": "x" * 1_001}, "at most 1,000 characters"),
        ("acknowledge/", {"note": "x" * 1_001}, "at most 1,000 characters"),
        ("acknowledge/", {"note": "a\0b"}, "Null characters are not allowed."),
    ):
        page = world.bob.post(path + rest, **values)
        assert page.status_code == 400
        assert said in words(page), values
    assert world.newest_event().seq == head
    end(world, alert)
    late = world.bob.post(path + "acknowledge/", note="late")
    assert late.status_code == 409
    assert "Nothing was recorded. The alert is resolved" in words(late)
    assert world.bob.get(path + "acknowledge/")["Location"] == path


def test_the_page_tells_who_was_reached_and_who_was_not(world: World) -> None:
    alert, now = stand(world), timezone.now()
    full = {"attempts": 8, "given_up_at": now, "last_error": "It is full."}
    told(alert, Channel.EMAIL, "ops@example.org", **full)
    hook = "https://hooks.example.org/secret-path"
    told(alert, Channel.WEBHOOK, hook, attempts=2, last_error="It answered 500.")
    told(alert, Channel.EMAIL, "waiting@example.org")
    path = world.page(f"alerts/{alert.pk}/")

    page = words(world.bob.get(path))
    assert "Nobody was reached." in page
    assert "given up that it opened, by mail to ops@example.org It is full. Tried 8 times." in page
    assert f"failing that it opened, posted to {hook} It answered 500. Tried 2 times, again" in page
    assert "waiting that it opened, by mail to waiting@example.org" in page
    listed = words(world.bob.get(world.page("alerts/")))
    assert "Messages that were not taken" in listed
    assert "to ops@example.org: It is full." in listed
    assert f"to {hook}: It answered 500. Tried 2 times, again at" in listed

    told(alert, Channel.EMAIL, "dan@example.org", attempts=1, sent_at=now)
    assert "Nobody was reached." not in words(world.bob.get(path))
    for where in (path, world.page("alerts/")):
        assert "secret-path" not in text_of(world.carol.get(where))


def test_an_address_that_no_rule_names_any_more_is_no_trouble(world: World) -> None:
    alert, now = stand(world), timezone.now()
    told(alert, Channel.EMAIL, "old@example.org", given_up_at=now, last_error=NO_LONGER_NAMED)
    long_ago = now - timedelta(days=8)
    told(alert, Channel.EMAIL, "ops@x.org", made_at=long_ago, given_up_at=now, last_error="No.")

    assert "not taken" not in words(world.bob.get(world.page("alerts/")))


def test_an_alert_whose_rule_is_gone_or_looks_at_rates_has_a_page(world: World) -> None:
    gone = stand(world, rule="deleted", event_id=None)
    rate = Rule(name="rate", kind=Kind.COMPLETION_RATE, threshold=0.9, minutes=5)
    rule_services.create_rule(tenant=world.acme, rule=rate, by=SETUP)
    rated = stand(world, "", "rate", event_id=None, troubles=[])

    assert "deleted deleted" in words(world.carol.get(world.page(f"alerts/{gone.pk}/")))
    page = words(world.carol.get(world.page(f"alerts/{rated.pk}/")))
    assert "fewer than 0.9 of the tasks completed within 5 min" in page
    assert "by a look at how many tasks were completed" in page
    assert "Nobody: the rule names no address." in page


def test_an_auditor_reads_alerts_and_is_offered_and_allowed_no_more(world: World) -> None:
    alert = stand(world)
    for rest in ("alerts/", f"alerts/{alert.pk}/"):
        page = world.carol.get(world.page(rest))
        assert page.status_code == 200
        assert '<form method="post" action="/admin/t' not in text_of(page)
        assert "Acknowledge" not in words(page)

    for rest in ("acknowledge/", f"{alert.pk}/acknowledge/", f"{alert.pk}/resolve/"):
        answer = world.carol.post(world.page(f"alerts/{rest}"), alert=alert.pk, reason="x")
        assert answer.status_code == 403
    assert again(alert).state == State.OPEN
    assert "AccessDenied" in world.event_types()[-3:]


def test_mallory_sees_of_alerts_what_she_would_see_if_there_were_none(world: World) -> None:
    alert = stand(world)
    absent = world.mallory.get("/admin/t/absent/alerts/")

    for rest in ("alerts/", f"alerts/{alert.pk}/"):
        theirs = world.mallory.get(world.page(rest))
        assert (theirs.status_code, theirs.content) == (404, absent.content)
    for rest in ("acknowledge/", f"{alert.pk}/acknowledge/", f"{alert.pk}/resolve/"):
        assert world.mallory.post(world.page(f"alerts/{rest}"), alert=alert.pk).status_code == 404
    own = f"/admin/t/{world.globex}/alerts/"
    assert world.mallory.get(f"{own}{alert.pk}/").status_code == 404
    assert world.mallory.post(f"{own}{alert.pk}/resolve/", reason="mine").status_code == 404
    world.mallory.post(f"{own}acknowledge/", alert=alert.pk)
    assert again(alert).state == State.OPEN


def test_the_list_costs_as_many_queries_however_many_there_are(world: World) -> None:
    stand(world)
    world.bob.get(world.page("alerts/"))
    with CaptureQueriesContext(connection) as few:
        world.bob.get(world.page("alerts/"))
    for number in range(2, 40):
        alert = stand(world, f"agent-{number}")
        if number % 2:
            acknowledge(world, alert)
    with CaptureQueriesContext(connection) as many:
        world.bob.get(world.page("alerts/"))

    assert len(many) <= len(few) <= 10  # a page that is full asks for nothing that is over
    assert not [each for each in many.captured_queries if "COUNT(" in each["sql"]]


def test_pages_of_alerts_keep_to_the_policy_and_label_every_field(world: World) -> None:
    alert = stand(world)

    for rest in ("alerts/", f"alerts/{alert.pk}/"):
        text = text_of(world.bob.get(world.page(rest)))
        assert what_the_policy_forbids(text) == []
        assert fields_without_label(text) == []
        assert world.bob.get(world.page(rest)).status_code == 200
    for value in ("\0", "9" * 5_000, "<script>", "%", "x" * 20_000, ",", "*"):
        for name in ("state", "rule", "agent", "before"):
            assert world.bob.get(world.page("alerts/"), **{name: value}).status_code == 200
