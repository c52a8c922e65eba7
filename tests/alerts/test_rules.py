"""Rules: what they may say, what is built in, and what the log is told of them."""

from dataclasses import replace
from typing import Any

import pytest

from events.log import read
from events.models import Event
from events.tenants import Refused
from projections.alerts import rule_services, validation
from projections.alerts.models import AlertRule, Kind
from projections.alerts.rules import Rule
from projections.notify import secrets
from projections.notify.models import WebhookSecret
from tests.alerts.fleet import ALICE, MALLORY, rule

HOOK = "https://hooks.example.org/T0/secret-part"


def facts(tenant: str) -> list[Any]:
    rows = Event.objects.filter(tenant=tenant, stream_type="tenant").order_by("seq")
    return [read.fact(row) for row in rows]


def names(tenant: str) -> list[str]:
    return [each.name for each in rule_services.list_rules(tenant=tenant)]


def update(tenant: str, name: str, **changes: Any) -> tuple[Rule, dict[str, str]]:
    return rule_services.update_rule(tenant=tenant, name=name, by=ALICE, **changes)


def test_every_tenant_has_rules_that_tell_nobody(acme: str) -> None:
    built_in = rule_services.list_rules(tenant=acme)

    assert [each.name for each in built_in] == ["agent-unhealthy", "mass-loss"]
    assert all(each.enabled and each.is_built_in and not each.targets for each in built_in)
    assert facts(acme) == []


def test_a_rule_is_there_with_its_fact_which_tells_no_address(acme: str) -> None:
    rule(
        acme,
        "late",
        kind=Kind.COMPLETION_RATE,
        threshold=0.9,
        minutes=10,
        agent_tags=["eu"],
        emails=["bob@example.org"],
        webhooks=[HOOK],
    )

    made = rule_services.get_rule(tenant=acme, name="late")
    (fact,) = facts(acme)
    assert (made.agent_tags, made.emails, made.webhooks) == (
        ("eu",),
        ("bob@example.org",),
        (HOOK,),
    )
    assert not made.is_built_in
    assert (fact.type, fact.rule, fact.envelope.actor) == (
        "AlertRuleChanged",
        "late",
        "user:alice",
    )
    assert fact.changed == {
        "kind": "completion_rate",
        "events": "",
        "agent_tags": ["eu"],
        "threshold": 0.9,
        "minutes": 10,
        "minimum_tasks": 5,
        "enabled": True,
        "emails": 1,
        "webhooks": ["https://hooks.example.org"],
    }


def test_only_what_differs_is_changed_and_told(acme: str) -> None:
    rule(acme, events="AgentPausedEvent")
    update(acme, "mine", enabled=False, events="AgentPausedEvent")

    assert facts(acme)[-1].changed == {"enabled": False}
    assert update(acme, "mine", enabled=False) == (
        rule_services.get_rule(tenant=acme, name="mine"),
        {},
    )
    assert len(facts(acme)) == 2


def test_a_built_in_rule_is_changed_and_comes_back_when_the_change_is_deleted(acme: str) -> None:
    for name in ("agent-unhealthy", "mass-loss"):
        update(acme, name, emails=["bob@example.org"])
        assert rule_services.get_rule(tenant=acme, name=name).emails == ("bob@example.org",)
        assert facts(acme)[-1].changed == {"emails": 1}

        rule_services.delete_rule(tenant=acme, name=name, by=ALICE)
        assert rule_services.get_rule(tenant=acme, name=name).is_built_in

    with pytest.raises(Refused, match="Disable it instead"):
        rule_services.delete_rule(tenant=acme, name="mass-loss", by=ALICE)
    with pytest.raises(Refused, match="Change it instead"):
        rule(acme, "mass-loss", events="AgentPausedEvent")


def test_a_deleted_rule_is_gone_and_told(acme: str) -> None:
    rule(acme, events="AgentPausedEvent")
    rule_services.delete_rule(tenant=acme, name="mine", by=ALICE)

    assert "mine" not in names(acme)
    assert (facts(acme)[-1].type, facts(acme)[-1].rule) == ("AlertRuleDeleted", "mine")
    with pytest.raises(Refused, match="no rule 'mine'") as refused:
        rule_services.delete_rule(tenant=acme, name="mine", by=ALICE)
    assert refused.value.code == "not_found"


def test_a_name_is_taken_once(acme: str) -> None:
    rule(acme, events="AgentPausedEvent")

    with pytest.raises(Refused, match="already") as refused:
        rule(acme, events="AgentPausedEvent")
    assert (refused.value.code, refused.value.field) == ("already_exists", "name")
    assert len(facts(acme)) == 1


def test_who_changes_a_rule_that_was_changed_meanwhile_is_told(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule(acme, events="AgentPausedEvent")
    real = validation.check_rule

    def meanwhile(made: Rule, **more: Any) -> None:
        real(made, **more)
        AlertRule.objects.filter(tenant=acme, name="mine").update(revision=7)

    monkeypatch.setattr(validation, "check_rule", meanwhile)
    with pytest.raises(Refused, match="Look again") as refused:
        update(acme, "mine", enabled=False)

    assert refused.value.code == "conflict"
    assert len(facts(acme)) == 1
    assert rule_services.get_rule(tenant=acme, name="mine").enabled


EVENT = Rule(name="mine", events="AgentPausedEvent")
RATE = Rule(name="mine", kind=Kind.COMPLETION_RATE, threshold=0.9, minutes=10)


@pytest.mark.parametrize(
    ("unfit", "field"),
    [
        (replace(EVENT, name=""), "name"),
        (replace(EVENT, name="no spaces"), "name"),
        (replace(EVENT, name="new\n"), "name"),
        (replace(EVENT, name="x" * 101), "name"),
        (replace(EVENT, events=""), "events"),
        (replace(EVENT, events="AgentExplodedEvent"), "events"),
        (replace(EVENT, events="AgentPausedEvent,"), "events"),
        (replace(EVENT, events="Agent*Event"), "events"),
        (replace(EVENT, events="AgentPausedEvent," * 100 + "Agent*"), "events"),
        (replace(EVENT, threshold=0.5), "threshold"),
        (replace(EVENT, minutes=5), "minutes"),
        (replace(EVENT, agent_tags=("x",) * 2), "agent_tags"),
        (replace(EVENT, agent_tags=("",)), "agent_tags"),
        (replace(EVENT, agent_tags=("a\nb",)), "agent_tags"),
        (replace(EVENT, agent_tags=tuple(map(str, range(21)))), "agent_tags"),
        (replace(EVENT, emails=("bob",)), "emails"),
        (replace(EVENT, emails=("bob@example.org\nBcc: all@example.org",)), "emails"),
        (replace(EVENT, emails=("b" * 250 + "@example.org",)), "emails"),
        (replace(EVENT, emails=tuple(f"b{n}@example.org" for n in range(11))), "emails"),
        (replace(EVENT, webhooks=("http://hooks.example.org/",)), "webhooks"),
        (replace(EVENT, webhooks=("https://127.0.0.1/",)), "webhooks"),
        (replace(EVENT, webhooks=("https://u:p@hooks.example.org/",)), "webhooks"),
        (replace(RATE, events="AgentPausedEvent"), "events"),
        (replace(RATE, threshold=None), "threshold"),
        (replace(RATE, threshold=0), "threshold"),
        (replace(RATE, threshold=1.01), "threshold"),
        (replace(RATE, threshold=float("nan")), "threshold"),
        (replace(RATE, threshold=True), "threshold"),
        (replace(RATE, minutes=None), "minutes"),
        (replace(RATE, minutes=0), "minutes"),
        (replace(RATE, minutes=1_441), "minutes"),
        (replace(RATE, minimum_tasks=0), "minimum_tasks"),
        (replace(RATE, minimum_tasks=10_001), "minimum_tasks"),
    ],
)
def test_what_a_rule_may_not_say_is_refused_by_its_field(
    acme: str, unfit: Rule, field: str
) -> None:
    with pytest.raises(Refused) as refused:
        rule_services.create_rule(tenant=acme, rule=unfit, by=ALICE)

    assert (refused.value.code, refused.value.field) == ("invalid", field)
    assert "\n" not in str(refused.value)
    assert (names(acme), facts(acme)) == (["agent-unhealthy", "mass-loss"], [])


def test_a_rule_of_one_kind_does_not_become_one_of_the_other(acme: str) -> None:
    rule(acme, events="AgentPausedEvent")

    with pytest.raises(Refused, match="Only a rule of the kind completion_rate"):
        update(acme, "mine", threshold=0.5)


def test_a_tenant_has_a_bounded_number_of_rules(acme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_services, "MOST_RULES", 2)
    rule(acme, "one", events="AgentPausedEvent")
    rule(acme, "two", events="AgentPausedEvent")

    with pytest.raises(Refused, match="Delete one first"):
        rule(acme, "three", events="AgentPausedEvent")


class TestSecrets:
    def test_one_for_each_webhook_is_shown_once_and_never_told(self, acme: str) -> None:
        made = rule(acme, events="AgentPausedEvent", webhooks=[HOOK])
        again = rule(acme, "other", events="AgentPausedEvent", webhooks=[HOOK])

        assert list(made) == [HOOK]
        assert again == {}
        assert secrets.of(acme, HOOK) == [made[HOOK]]
        log = " ".join(Event.objects.filter(tenant=acme).values_list("data", flat=True))
        assert made[HOOK] not in log
        assert "secret-part" not in log

    def test_a_new_one_takes_over_while_the_old_one_still_signs(self, acme: str) -> None:
        made = rule(acme, events="AgentPausedEvent", webhooks=[HOOK])
        fresh = rule_services.rotate_webhook_secret(tenant=acme, url=HOOK, by=ALICE)

        assert secrets.of(acme, HOOK) == [fresh, made[HOOK]]
        assert facts(acme)[-1].changed == {"webhook_secret": "https://hooks.example.org"}
        WebhookSecret.objects.filter(tenant=acme).update(previous_until="2026-01-01T00:00:00Z")
        assert secrets.of(acme, HOOK) == [fresh]

    def test_goes_with_the_last_rule_that_names_its_webhook(self, acme: str) -> None:
        rule(acme, "one", events="AgentPausedEvent", webhooks=[HOOK])
        rule(acme, "two", events="AgentPausedEvent", webhooks=[HOOK])
        update(acme, "one", webhooks=[])
        assert len(secrets.of(acme, HOOK)) == 1

        rule_services.delete_rule(tenant=acme, name="two", by=ALICE)

        assert secrets.of(acme, HOOK) == []


class TestMallory:
    def test_sees_no_rule_of_acmes(self, acme: str, globex: str) -> None:
        rule(acme, events="AgentPausedEvent", webhooks=[HOOK])

        assert names(globex) == ["agent-unhealthy", "mass-loss"]
        for attempt in (
            lambda name: rule_services.get_rule(tenant=globex, name=name),
            lambda name: rule_services.update_rule(
                tenant=globex, name=name, enabled=False, by=MALLORY
            ),
            lambda name: rule_services.delete_rule(tenant=globex, name=name, by=MALLORY),
        ):
            said = set()
            for name in ("mine", "none"):
                with pytest.raises(Refused) as refused:
                    attempt(name)
                said.add((refused.value.code, str(refused.value).replace(name, "…")))
            assert len(said) == 1
        assert rule_services.get_rule(tenant=acme, name="mine").enabled

    def test_gets_a_secret_of_her_own_for_the_same_webhook(self, acme: str, globex: str) -> None:
        acmes = rule(acme, events="AgentPausedEvent", webhooks=[HOOK])
        with pytest.raises(Refused, match="No rule names this webhook"):
            rule_services.rotate_webhook_secret(tenant=globex, url=HOOK, by=MALLORY)
        hers = rule(globex, events="AgentPausedEvent", webhooks=[HOOK])

        assert hers[HOOK] != acmes[HOOK]
        assert secrets.of(acme, HOOK) == [acmes[HOOK]]
