"""Alerts: what is in trouble, told to whoever oversees the fleet, and what operators do then."""

from typing import Any

import pytest

from events.bus import event_bus
from events.durable.catching_up import catch_up
from projections.alerts.models import Alert, State
from tests.alerts.fleet import stand
from tests.api.conftest import HEARTBEAT, Caller, People, body_of
from tests.api.test_idempotency import at_once, head, same

NO_UUID = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def trouble(bob: Caller) -> dict[str, Any]:
    """The alert that a failed health check has opened, as the list tells it."""
    agent = bob.available("one-1")
    read_on(bob.tenant)  # of what is there when it is first met, the reaction hears nothing
    bob.made(bob.post(f"/agents/{agent}/health-failures", {"reason": "It is silent."}))
    read_on(bob.tenant)
    (alert,) = bob.made(bob.get("/alerts"))["items"]
    assert isinstance(alert, dict)
    return alert


def read_on(tenant: str) -> None:
    catch_up(event_bus.subscriptions["alerts"], tenant)


def listed(caller: Caller, query: str = "") -> list[str]:
    return [each["alert_id"] for each in caller.made(caller.get(f"/alerts{query}"))["items"]]


def test_an_outage_is_told_with_the_event_that_began_it(
    carol: Caller, trouble: dict[str, Any]
) -> None:
    event = carol.made(carol.get(f"/events/{trouble['event_id']}"))

    assert (event["type"], event["seq"]) == (
        "AgentHealthCheckFailedEvent",
        str(trouble["opened_seq"]),
    )
    assert (trouble["rule"], trouble["agent_id"]) == ("agent-unhealthy", "one-1")
    assert (trouble["state"], trouble["troubles"]) == ("open", ["AgentHealthCheckFailedEvent"])
    assert "It is silent." in trouble["detail"]
    assert trouble["acknowledged_by"] is trouble["resolved_at"] is None
    assert carol.made(carol.get(f"/alerts/{trouble['alert_id']}")) == trouble


def test_it_is_over_when_the_agent_is_heard_of_again(bob: Caller, trouble: dict[str, Any]) -> None:
    bob.made(bob.post("/agents/one-1/heartbeat", HEARTBEAT))
    read_on(bob.tenant)

    after = bob.made(bob.get(f"/alerts/{trouble['alert_id']}"))
    assert (after["state"], after["resolved_by"]) == ("resolved", None)
    assert after["resolved_reason"] == "The agent is no longer unhealthy."


def test_whoever_acknowledges_is_named_in_the_alert_and_in_the_log(
    bob: Caller, trouble: dict[str, Any]
) -> None:
    path = f"/alerts/{trouble['alert_id']}"

    response = bob.post(f"{path}/acknowledge", {"note": "On my way."})

    answer = bob.made(response)
    assert answer == bob.made(bob.get(path))
    assert (answer["state"], answer["acknowledged_by"]) == ("acknowledged", "token:bob")
    assert answer["acknowledged_note"] == "On my way."
    (fact,) = body_of(bob.get("/events?types=AlertAcknowledged"))["items"]
    assert (fact["seq"], fact["actor"]) == (response["AgentMesh-Seq"], "token:bob")
    assert fact["data"]["alert_id"] == trouble["alert_id"]


@pytest.mark.parametrize("body", [None, {}, {"note": None}, {"note": ""}])
def test_an_acknowledgement_needs_no_note(
    bob: Caller, trouble: dict[str, Any], body: object
) -> None:
    answer = bob.made(bob.post(f"/alerts/{trouble['alert_id']}/acknowledge", body))

    assert (answer["state"], answer["acknowledged_note"]) == ("acknowledged", "")


def test_to_acknowledge_again_is_no_error_and_no_fact(bob: Caller, trouble: dict[str, Any]) -> None:
    path = f"/alerts/{trouble['alert_id']}/acknowledge"
    first = bob.made(bob.post(path))
    before = head(bob)

    again = bob.post(path, {"note": "Me too."})

    assert bob.made(again) == first
    assert int(again["AgentMesh-Seq"]) == head(bob) == before


def test_a_person_resolves_it_with_a_reason_and_then_nobody_acknowledges_it(
    bob: Caller, trouble: dict[str, Any]
) -> None:
    path = f"/alerts/{trouble['alert_id']}"
    assert bob.post(f"{path}/resolve", {"reason": " "}).status_code == 400
    assert bob.post(f"{path}/resolve", {}).status_code == 400

    answer = bob.made(bob.post(f"{path}/resolve", {"reason": "A drill."}))

    assert (answer["state"], answer["resolved_by"]) == ("resolved", "token:bob")
    assert answer["resolved_reason"] == "A drill."
    refused = bob.post(f"{path}/acknowledge")
    assert (refused.status_code, body_of(refused)["rule"]) == (409, "alert_resolved")


@pytest.mark.parametrize(
    ("verb", "body"), [("acknowledge", {"note": "x"}), ("resolve", {"reason": "x"})]
)
class TestUnderAKey:
    def test_it_is_answered_again_and_does_not_happen_again(
        self, bob: Caller, trouble: dict[str, Any], verb: str, body: Any
    ) -> None:
        path = f"/alerts/{trouble['alert_id']}/{verb}"
        first = bob.post(path, body, Idempotency_Key="k")
        before = head(bob)

        same(first, bob.post(path, body, Idempotency_Key="k"))

        assert (first.status_code, head(bob)) == (200, before)

    def test_it_happens_once_when_many_send_it_at_once(
        self, bob: Caller, trouble: dict[str, Any], verb: str, body: Any
    ) -> None:
        before = head(bob)
        callers = [Caller(bob.tenant, bob.token) for _ in range(4)]

        answers = at_once(callers, "POST", f"/alerts/{trouble['alert_id']}/{verb}", body, "k")

        assert [each.status_code for each in answers] == [200] * 4
        assert len({each.content for each in answers}) == 1
        assert head(bob) == before + 1


@pytest.fixture
def several(bob: Caller) -> dict[str, str]:
    """Alerts by a word for each: eu and us are open, asia is resolved, all is the tenant's own."""
    made = {
        "eu": stand(bob.tenant, "pauses", "eu-1"),
        "us": stand(bob.tenant, "outages", "us-1"),
        "asia": stand(bob.tenant, "outages", "asia-1"),
        "all": stand(bob.tenant, "mass-loss", ""),
    }
    resolved = Alert.objects.filter(tenant=bob.tenant, pk=made["asia"].pk)
    resolved.update(state=State.RESOLVED, resolved_at=made["asia"].opened_at)
    return {str(alert.id): word for word, alert in made.items()}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "all asia eu us"),
        ("?state=open", "all eu us"),
        ("?state=resolved,acknowledged", "asia"),
        ("?rule=outages", "asia us"),
        ("?rule=pauses,mass-*", "all eu"),
        ("?agent=eu-1", "eu"),
        ("?agent=eu-1,us*", "eu us"),
        ("?agent=*", "asia eu us"),
        ("?agent=eu-1&rule=outages", ""),
    ],
)
def test_a_filter_finds_what_fits_and_nothing_else(
    carol: Caller, several: dict[str, str], query: str, found: str
) -> None:
    assert sorted(several[each] for each in listed(carol, query)) == found.split()


def test_a_walk_sees_each_alert_once_and_the_newest_first(
    carol: Caller, several: dict[str, str]
) -> None:
    found, path = [], "/alerts?limit=1"
    while path:
        page = carol.made(carol.get(path))
        found += [each["alert_id"] for each in page["items"]]
        path = page["next"] and f"/alerts?limit=1&cursor={page['next']}"

    assert found == sorted(several, reverse=True)  # ids begin with the time


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        *(("state=OPEN", "state"), ("rule=a*b", "rule"), ("agent=a,,b", "agent")),
        *(("cursor=x", "cursor"), ("cursor=WyJhIl0", "cursor"), ("min_seq=999", "min_seq")),
    ],
)
def test_a_wrong_parameter_is_named(carol: Caller, query: str, parameter: str) -> None:
    response = carol.get(f"/alerts?{query}")

    assert response.status_code == 400
    assert body_of(response)["errors"][0]["parameter"] == parameter


def test_mallory_finds_and_moves_none_of_acmes(people: People, trouble: dict[str, Any]) -> None:
    mallory, path = people.mallory, f"/alerts/{trouble['alert_id']}"

    assert listed(mallory) == listed(mallory, "?agent=one-1") == []
    for response in (
        mallory.get(path),
        mallory.post(f"{path}/acknowledge"),
        mallory.post(f"{path}/resolve", {"reason": "x"}),
    ):
        assert response.status_code == 404
        assert response.content == mallory.get(f"/alerts/{NO_UUID}").content
    assert people.bob.made(people.bob.get(path))["state"] == "open"


def test_a_list_says_up_to_where_events_have_been_judged(
    bob: Caller, trouble: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = bob.get("/alerts")["AgentMesh-Seq"]
    bob.available("two-2")
    failed = bob.post("/agents/two-2/health-failures", {"reason": "x"})["AgentMesh-Seq"]

    assert bob.get("/alerts")["AgentMesh-Seq"] == judged
    monkeypatch.setattr("projections.api.door.time.sleep", lambda _: read_on(bob.tenant))
    response = bob.get(f"/alerts?min_seq={failed}&agent=two-2")
    assert (response["AgentMesh-Seq"], len(body_of(response)["items"])) == (failed, 1)
