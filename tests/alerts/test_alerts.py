"""What people see of alerts, and do to them."""

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from events.log import read
from events.models import Event
from events.tenants import Refused
from projections.alerts import alert_services
from projections.alerts.models import Alert, State
from tests.alerts.fleet import ALICE, MALLORY, stand


def newest_fact(tenant: str) -> object:
    return read.fact(Event.objects.filter(tenant=tenant).order_by("-seq")[0])


def acknowledge(tenant: str, alert: Alert, note: str = "") -> Alert:
    return alert_services.acknowledge_alert(tenant=tenant, alert_id=alert.id, note=note, by=ALICE)


def resolve(tenant: str, alert: Alert, reason: str = "over") -> Alert:
    return alert_services.resolve_alert(tenant=tenant, alert_id=alert.id, reason=reason, by=ALICE)


def test_who_acknowledges_an_alert_is_in_the_log(acme: str) -> None:
    alert = acknowledge(acme, stand(acme), " I look at it. ")

    assert (alert.state, alert.acknowledged_by, alert.acknowledged_note) == (
        State.ACKNOWLEDGED,
        "user:alice",
        "I look at it.",
    )
    fact = newest_fact(acme)
    assert (fact.type, fact.alert_id, fact.rule, fact.agent_id, fact.note) == (  # type: ignore[attr-defined]
        "AlertAcknowledged",
        str(alert.id),
        "mine",
        "a-1",
        "I look at it.",
    )


def test_who_resolves_an_alert_is_in_the_log(acme: str) -> None:
    alert = resolve(acme, stand(acme, subject=""), "A switch was changed.")

    assert (alert.state, alert.resolved_by, alert.resolved_reason) == (
        State.RESOLVED,
        "user:alice",
        "A switch was changed.",
    )
    fact = newest_fact(acme)
    assert (fact.type, fact.agent_id, fact.reason) == (  # type: ignore[attr-defined]
        "AlertResolved",
        None,
        "A switch was changed.",
    )


def test_an_acknowledged_alert_is_resolved_too_and_keeps_who_acknowledged_it(acme: str) -> None:
    alert = acknowledge(acme, stand(acme))

    assert resolve(acme, alert).acknowledged_by == "user:alice"


def test_doing_it_again_is_no_error_and_no_fact(acme: str) -> None:
    alert = stand(acme)
    acknowledge(acme, alert)
    acknowledge(acme, alert, "again")
    assert Event.objects.filter(tenant=acme).count() == 1
    resolve(acme, alert)
    resolve(acme, alert, "again")
    assert Event.objects.filter(tenant=acme).count() == 2


def test_a_resolved_alert_cannot_be_acknowledged(acme: str) -> None:
    alert = resolve(acme, stand(acme))

    with pytest.raises(Refused, match="resolved") as refused:
        acknowledge(acme, alert)
    assert (refused.value.code, refused.value.rule) == ("rule_violated", "alert_resolved")


def test_of_two_who_acknowledge_at_once_one_is_recorded(acme: str) -> None:
    alert = stand(acme)
    together = threading.Barrier(2)
    lost: list[Refused] = []

    def attempt() -> None:
        try:
            together.wait(10)
            acknowledge(acme, alert)
        except Refused as error:
            lost.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=attempt) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert Event.objects.filter(tenant=acme, type="AlertAcknowledged").count() == 1
    assert [error.code for error in lost] in ([], ["conflict"])


@pytest.mark.parametrize(
    "text", ["", "  ", "x" * 1_001, "a\0b", "\ud800"], ids=["empty", "blank", "long", "nul", "half"]
)
def test_a_reason_is_text_and_is_there(acme: str, text: str) -> None:
    alert = stand(acme)

    with pytest.raises(Refused) as refused:
        resolve(acme, alert, text)
    assert refused.value.field == "reason"
    assert Event.objects.filter(tenant=acme).count() == 0


def test_alerts_are_listed_newest_first_in_pages_and_filtered(acme: str) -> None:
    made = [stand(acme, subject=f"a-{number}") for number in range(5)]
    made.append(stand(acme, name="other"))
    resolve(acme, made[0])
    expected = sorted((alert.id for alert in made), reverse=True)

    first = alert_services.list_alerts(tenant=acme, limit=4)
    second = alert_services.list_alerts(tenant=acme, limit=4, after=first.next)

    assert [alert.id for alert in first.alerts + second.alerts] == expected
    assert second.next is None
    filters: list[tuple[dict[str, Any], int]] = [
        ({"states": [State.OPEN]}, 5),
        ({"states": [State.RESOLVED, State.ACKNOWLEDGED]}, 1),
        ({"rule": "other"}, 1),
        ({"agent_id": "a-1"}, 2),
    ]
    for which, number in filters:
        page = alert_services.list_alerts(tenant=acme, **which)
        assert len(page.alerts) == number, which


def test_mallory_sees_what_she_would_see_if_there_were_no_alert(acme: str, globex: str) -> None:
    alert = stand(acme)

    assert alert_services.list_alerts(tenant=globex).alerts == []
    page = alert_services.list_alerts(tenant=globex, after=alert.id, agent_id="a-1")
    assert (page.alerts, page.next) == ([], None)
    attempts: list[Callable[[uuid.UUID], object]] = [
        lambda at: alert_services.get_alert(tenant=globex, alert_id=at),
        lambda at: alert_services.acknowledge_alert(tenant=globex, alert_id=at, by=MALLORY),
        lambda at: alert_services.resolve_alert(
            tenant=globex, alert_id=at, reason="mine", by=MALLORY
        ),
    ]
    for attempt in attempts:
        said = set()
        for alert_id in (alert.id, uuid.uuid4()):
            with pytest.raises(Refused) as refused:
                attempt(alert_id)
            said.add((refused.value.code, str(refused.value).replace(str(alert_id), "…")))
        assert said == {("not_found", f"There is no alert … in {globex}.")}
    assert Event.objects.filter(tenant=globex).count() == 0
    assert alert_services.get_alert(tenant=acme, alert_id=alert.id).state == State.OPEN
