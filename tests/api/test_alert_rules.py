"""Rules of alerts: operators set them, auditors read them, and secrets are shown once."""

from typing import Any

import pytest

from events.models import IdempotencyKey
from projections.notify.models import WebhookSecret
from tests.api.conftest import Caller, People, body_of
from tests.api.routes import HOOK
from tests.api.test_idempotency import at_once, head

EVENT = {"name": "pauses", "events": "AgentPausedEvent"}
RATE = {"name": "late", "kind": "completion_rate", "threshold": 0.9, "minutes": 10}


def names(caller: Caller) -> list[str]:
    return [each["name"] for each in caller.made(caller.get("/alert-rules"))["items"]]


def secret_of(tenant: str) -> str:
    found: str = WebhookSecret.objects.get(tenant=tenant, url=HOOK).secret
    return found


def test_every_tenant_has_the_built_in_rules(carol: Caller) -> None:
    first, second = carol.made(carol.get("/alert-rules"))["items"]

    assert first == {
        "name": "agent-unhealthy",
        "kind": "event",
        "events": "AgentHealthCheckFailedEvent",
        "agent_tags": [],
        "threshold": None,
        "minutes": None,
        "minimum_tasks": 5,
        "enabled": True,
        "emails": [],
        "webhooks": [],
        "built_in": True,
        "created_at": None,
    }
    assert (second["name"], second["built_in"]) == ("mass-loss", True)


@pytest.mark.parametrize("order", [EVENT, RATE, EVENT | {"agent_tags": ["eu"], "enabled": False}])
def test_a_rule_is_made_and_is_found_where_the_answer_says(
    bob: Caller, order: dict[str, Any]
) -> None:
    response = bob.post("/alert-rules", order)

    made = bob.made(response)
    assert (response.status_code, made.pop("webhook_secrets")) == (201, {})
    assert made == bob.made(bob.get(response["Location"]))
    assert order.items() <= made.items()
    assert made["built_in"] is False
    assert names(bob) == sorted(["agent-unhealthy", "mass-loss", order["name"]])
    (fact,) = body_of(bob.get("/events?types=AlertRuleChanged"))["items"]
    assert (fact["seq"], fact["actor"]) == (response["AgentMesh-Seq"], "token:bob")


def test_a_webhooks_secret_is_shown_once_and_never_again(bob: Caller) -> None:
    order = EVENT | {"webhooks": [HOOK]}
    first = bob.post("/alert-rules", order, Idempotency_Key="k")
    again = bob.post("/alert-rules", order, Idempotency_Key="k")

    made, secret = body_of(first), secret_of(bob.tenant)
    assert made["webhook_secrets"] == {HOOK: secret}
    assert secret.startswith("whsec_")
    assert body_of(again) == {**made, "webhook_secrets": None}
    assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
    assert secret not in bob.get("/alert-rules/pauses").content.decode()
    kept = IdempotencyKey.objects.filter(tenant=bob.tenant).values_list("body", flat=True)
    assert all(secret not in each for each in kept)
    assert secret.encode() not in bob.get("/events").content
    other = bob.made(bob.post("/alert-rules", order | {"name": "other"}))
    assert other["webhook_secrets"] == {}  # the URL has one already


def test_of_a_webhook_an_auditor_sees_only_where_it_leads(people: People) -> None:
    people.bob.made(people.bob.post("/alert-rules", EVENT | {"webhooks": [HOOK]}))

    for path in ("/alert-rules", "/alert-rules/pauses"):
        assert "secret-part" in people.bob.get(path).content.decode()
        assert "secret-part" not in people.carol.get(path).content.decode()
        assert "https://hooks.example.org" in people.carol.get(path).content.decode()


def test_a_change_changes_what_it_names(bob: Caller) -> None:
    bob.made(bob.post("/alert-rules", RATE | {"emails": ["bob@example.org"]}))

    response = bob.patch("/alert-rules/late", {"threshold": 0.5, "emails": []})

    changed = bob.made(response)
    assert (changed["threshold"], changed["minutes"], changed["emails"]) == (0.5, 10, [])
    assert changed.pop("webhook_secrets") == {}
    assert changed == bob.made(bob.get("/alert-rules/late"))
    before = head(bob)
    assert bob.patch("/alert-rules/late", {}).status_code == 200
    assert head(bob) == before


def test_a_built_in_rule_is_changed_and_comes_back(bob: Caller) -> None:
    path = "/alert-rules/mass-loss"
    assert bob.delete(path).status_code == 409
    assert bob.made(bob.patch(path, {"enabled": False}))["built_in"] is False

    deleted = bob.delete(path)

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert bob.made(bob.get(path))["built_in"] is True


def test_a_deleted_rule_is_gone(bob: Caller) -> None:
    bob.made(bob.post("/alert-rules", EVENT))

    assert bob.delete("/alert-rules/pauses").status_code == 204
    for response in (
        bob.get("/alert-rules/pauses"),
        bob.patch("/alert-rules/pauses", {"enabled": False}),
        bob.delete("/alert-rules/pauses"),
    ):
        assert response.status_code == 404
    assert len(body_of(bob.get("/events?types=AlertRuleDeleted"))["items"]) == 1


def test_a_name_is_taken_once(bob: Caller) -> None:
    bob.made(bob.post("/alert-rules", EVENT))

    for taken in ("pauses", "mass-loss"):
        response = bob.post("/alert-rules", EVENT | {"name": taken})
        assert (response.status_code, body_of(response)["code"]) == (409, "already_exists")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "/name"),
    ({"name": "a/b"}, "/name"),
    ({"name": None}, "/name"),
    ({"kind": "weather"}, "/kind"),
    ({"kind": None}, "/kind"),
    ({"events": "Nothing*"}, "/events"),
    ({"events": ""}, "/events"),
    ({"threshold": 0.5}, "/threshold"),
    ({"threshold": "0.5"}, "/threshold"),
    ({"minutes": 1}, "/minutes"),
    ({"minutes": 2**62}, "/minutes"),
    ({"minutes": 1.5}, "/minutes"),
    ({"minimum_tasks": None}, "/minimum_tasks"),
    ({"minimum_tasks": 0}, "/minimum_tasks"),
    ({"minimum_tasks": 2**40}, "/minimum_tasks"),
    ({"enabled": "yes"}, "/enabled"),
    ({"agent_tags": "eu"}, "/agent_tags"),
    ({"agent_tags": [1]}, "/agent_tags/0"),
    ({"agent_tags": ["eu", "eu"]}, "/agent_tags"),
    ({"emails": ["nobody"]}, "/emails"),
    ({"webhooks": ["http://hooks.example.org/"]}, "/webhooks"),
    ({"webhooks": ["https://127.0.0.1/"]}, "/webhooks"),
    ({"webhooks": ["https://[::1"]}, "/webhooks"),
    ({"secret": "mine"}, "/secret"),
]


@pytest.mark.parametrize(("change", "pointer"), WRONG, ids=str)
def test_a_wrong_field_is_pointed_at(bob: Caller, change: dict[str, Any], pointer: str) -> None:
    response = bob.post("/alert-rules", {**EVENT, **change})

    assert response.status_code == 400
    assert body_of(response)["errors"][0]["pointer"] == pointer
    assert names(bob) == ["agent-unhealthy", "mass-loss"]


@pytest.mark.parametrize("field", ["name", "kind"])
def test_what_a_rule_is_does_not_change(bob: Caller, field: str) -> None:
    response = bob.patch("/alert-rules/mass-loss", {field: "event"})

    assert body_of(response)["errors"][0]["pointer"] == f"/{field}"


def test_a_rule_is_made_once_when_many_ask_at_once(bob: Caller) -> None:
    callers = [Caller(bob.tenant, bob.token) for _ in range(4)]

    answers = at_once(callers, "POST", "/alert-rules", EVENT | {"webhooks": [HOOK]}, "k")

    assert {each.status_code for each in answers} == {201}
    assert len([each for each in answers if body_of(each)["webhook_secrets"]]) == 1
    assert names(bob).count("pauses") == 1


def test_a_change_is_answered_again_under_its_key(bob: Caller) -> None:
    first = bob.patch("/alert-rules/mass-loss", {"enabled": False}, Idempotency_Key="k")
    before = head(bob)

    again = bob.patch("/alert-rules/mass-loss", {"enabled": False}, Idempotency_Key="k")

    assert body_of(again) == {**body_of(first), "webhook_secrets": None}
    assert (again["Idempotent-Replayed"], head(bob)) == ("true", before)


def test_a_rotated_secret_is_shown_once_and_is_a_fact_without_it(bob: Caller) -> None:
    bob.made(bob.post("/alert-rules", EVENT | {"webhooks": [HOOK]}))
    before, path = secret_of(bob.tenant), "/alert-webhooks/rotate-secret"

    first = bob.post(path, {"url": HOOK}, Idempotency_Key="k")
    again = bob.post(path, {"url": HOOK}, Idempotency_Key="k")

    secret = secret_of(bob.tenant)
    assert secret != before
    assert bob.made(first) == {"url": HOOK, "webhook_secrets": {HOOK: secret}}
    assert bob.made(again) == {"url": HOOK, "webhook_secrets": None}
    (fact,) = body_of(bob.get("/events?types=SettingsChanged"))["items"]
    assert fact["data"]["changed"] == {"webhook_secret": "https://hooks.example.org"}


def test_there_is_no_secret_of_a_webhook_that_no_rule_of_hers_names(people: People) -> None:
    people.bob.made(people.bob.post("/alert-rules", EVENT | {"webhooks": [HOOK]}))
    before = secret_of(people.bob.tenant)

    for caller, url in ((people.mallory, HOOK), (people.bob, "https://elsewhere.example.org/")):
        response = caller.post("/alert-webhooks/rotate-secret", {"url": url})
        assert response.status_code == 400
        assert body_of(response)["errors"][0]["pointer"] == "/url"
    assert secret_of(people.bob.tenant) == before


def test_mallory_has_rules_of_her_own_and_none_of_acmes(people: People) -> None:
    people.bob.made(people.bob.post("/alert-rules", EVENT | {"webhooks": [HOOK]}))

    assert names(people.mallory) == ["agent-unhealthy", "mass-loss"]
    for response in (
        people.mallory.get("/alert-rules/pauses"),
        people.mallory.patch("/alert-rules/pauses", {"enabled": False}),
        people.mallory.delete("/alert-rules/pauses"),
    ):
        assert response.status_code == 404
        assert response.content == people.mallory.get("/alert-rules/nothing").content
    assert people.mallory.post("/alert-rules", EVENT).status_code == 201


def test_rules_come_in_pages_by_name(bob: Caller) -> None:
    bob.made(bob.post("/alert-rules", EVENT))
    found, path = [], "/alert-rules?limit=1"
    while path:
        page = bob.made(bob.get(path))
        found += [each["name"] for each in page["items"]]
        path = page["next"] and f"/alert-rules?limit=1&cursor={page['next']}"

    assert found == ["agent-unhealthy", "mass-loss", "pauses"]
    assert bob.get("/alert-rules?cursor=x").status_code == 400
