"""The settings of a tenant: what it is called, whether payloads are confidential, its alert rules,
and for how long what is derived is kept."""

import json
import re
from datetime import timedelta
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from events.models import Event, Tenant
from events.tenant_settings import change_settings
from projections.alerts import rule_services, rules
from projections.alerts.models import AlertRule
from projections.alerts.rules import Rule
from projections.analytics.keeping import live_since
from projections.models import StatisticsKept, TaskStatisticsRow
from projections.notify import secrets
from tests.pages.conftest import SETUP, Person, World, text_of
from tests.pages.html import fields_without_label, what_the_policy_forbids

KEY = bytes(range(32))
URL = "https://example.com/hooks/of-mine"


def told(world: World, type_: str = "SettingsChanged") -> list[Any]:
    rows = Event.objects.filter(tenant=world.acme, type=type_).order_by("seq")
    return [json.loads(row.data)["changed"] for row in rows]


def tenant(world: World) -> Tenant:
    return Tenant.objects.get(slug=world.acme)


def as_shown(person: Person, path: str) -> dict[str, str]:
    """The fields of the page's form as a browser would send them back."""
    form = person.get(path).context["form"]
    sent = {}
    for bound in form:
        value = bound.value()
        sent[bound.html_name] = "" if value is None else str(value)
        if bound.field.show_hidden_initial:
            sent[bound.html_initial_name] = sent[bound.html_name]
    return sent


def send(person: Person, path: str, **changed: str) -> Any:
    return person.post(path, **(as_shown(person, path) | changed))


def errors_of(response: Any) -> list[str]:
    return list(response.context["form"].errors)


def test_a_tenant_is_given_another_name_and_zone(world: World) -> None:
    path = world.page("settings/")

    response = send(world.alice, path, name="Acme Ltd", time_zone="Europe/Berlin")

    assert (response.status_code, response["Location"]) == (302, path)
    assert (tenant(world).name, tenant(world).time_zone) == ("Acme Ltd", "Europe/Berlin")
    assert told(world) == [{"name": "Acme Ltd", "time_zone": "Europe/Berlin"}]
    assert world.newest_event().actor == f"user:{world.alice.username}"
    shown = text_of(world.alice.get(path))
    assert "The settings are changed." in shown
    assert 'value="Europe/Berlin"' in shown


def test_nothing_is_recorded_where_nothing_differs(world: World) -> None:
    send(world.alice, world.page("settings/"))

    assert told(world) == []
    assert "Nothing differed" in text_of(world.alice.get(world.page("settings/")))


def test_what_somebody_else_changed_meanwhile_is_not_undone(world: World) -> None:
    path = world.page("settings/")
    seen = as_shown(world.alice, path)
    change_settings(world.acme, time_zone="Asia/Tokyo", by=SETUP)

    world.alice.post(path, **(seen | {"name": "Acme Ltd"}))

    assert (tenant(world).name, tenant(world).time_zone) == ("Acme Ltd", "Asia/Tokyo")


def test_an_unfit_setting_is_refused_at_its_field_and_what_was_typed_stays(world: World) -> None:
    unfit = [
        {"name": ""},
        {"name": "x" * 257},
        {"name": "a\0b"},
        {"name": "a\u0085b"},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": ""},
        {"time_zone": "../../etc/passwd"},
    ]
    path = world.page("settings/")
    seen = as_shown(world.alice, path) | {"name": "Acme Ltd"}
    for values in unfit:
        response = world.alice.post(path, **(seen | values))
        assert (response.status_code, errors_of(response)) == (400, list(values)), values
        assert 'class="errorlist"' in text_of(response)
        assert "name" in values or "Acme Ltd" in text_of(response)
    assert told(world) == []


def test_a_zone_that_no_region_has_is_shown_and_stays(world: World) -> None:
    change_settings(world.acme, time_zone="EST5EDT", by=SETUP)

    send(world.alice, world.page("settings/"), name="Acme Ltd")

    assert tenant(world).time_zone == "EST5EDT"


def test_payloads_are_made_confidential_by_typing_the_slug_and_saying_why(
    world: World, settings: Settings
) -> None:
    settings.ENCRYPTION_KEYS = (KEY,)
    path = world.page("settings/payloads/")

    refused = world.alice.post(path, payloads="on", confirm="acme", reason="The law.")
    unsaid = world.alice.post(path, payloads="maybe", confirm=world.acme, reason="The law.")
    done = world.alice.post(path, payloads="on", confirm=world.acme, reason="The law.")

    assert refused.status_code == unsaid.status_code == 400
    assert f"Type {world.acme}, letter by letter." in text_of(refused)
    assert done.status_code == 302
    assert tenant(world).confidential_payloads
    assert told(world) == [{"confidential_payloads": True}]
    assert world.newest_event().reason == "The law."


def test_without_a_key_nothing_is_made_confidential_and_the_page_says_so(
    world: World, settings: Settings
) -> None:
    settings.ENCRYPTION_KEYS = ()

    shown = text_of(world.alice.get(world.page("settings/")))
    response = world.alice.post(
        world.page("settings/payloads/"), payloads="on", confirm=world.acme, reason="x"
    )

    assert "has no key to encrypt with" in shown
    assert "<form" not in shown.partition('aria-labelledby="payloads"')[2]
    assert response.status_code == 400
    assert "Set AGENTMESH_ENCRYPTION_KEYS" in text_of(response)


class TestAlertRules:
    def rule(self, world: World, **more: Any) -> Rule:
        rule = Rule(**({"name": "mine", "events": "AgentTaskFailedEvent"} | more))
        made, _ = rule_services.create_rule(tenant=world.acme, rule=rule, by=SETUP)
        return made

    def stored(self, world: World, name: str = "mine") -> Rule:
        found = rules.find(world.acme, name)
        assert found is not None
        return found

    def test_the_built_in_rules_are_there_from_the_beginning(self, world: World) -> None:
        shown = text_of(world.bob.get(world.page("settings/alert-rules/")))

        assert shown.count("built in</span>") == len(rules.BUILT_IN)
        assert "agent-unhealthy" in shown

    def test_an_operator_makes_a_rule_about_events(self, world: World) -> None:
        response = world.bob.post(
            world.page("settings/new-rule/?kind=event"),
            name="failures",
            events="AgentTaskFailed*,AgentPausedEvent",
            agent_tags="blue, green",
            emails="ops@example.com\r\n\r\nnight@example.com",
        )

        assert response["Location"] == world.page("settings/alert-rules/failures/")
        rule = self.stored(world, "failures")
        assert rule.events == "AgentTaskFailed*,AgentPausedEvent"
        assert rule.agent_tags == ("blue", "green")
        assert rule.emails == ("ops@example.com", "night@example.com")
        assert world.newest_event().actor == f"user:{world.bob.username}"

    def test_an_operator_makes_a_rule_about_the_completion_rate(self, world: World) -> None:
        world.bob.post(
            world.page("settings/new-rule/?kind=completion_rate"),
            name="rate",
            threshold="99.5",
            minutes="30",
            minimum_tasks="20",
        )

        rule = self.stored(world, "rate")
        assert (rule.threshold, rule.minutes, rule.minimum_tasks) == (0.995, 30, 20)
        shown = text_of(world.bob.get(world.page("settings/alert-rules/")))
        assert "fewer than 99.5 % of the tasks of the last 30 minutes" in shown
        assert as_shown(world.bob, world.page("settings/alert-rules/rate/"))["threshold"] == "99.5"

    def test_the_secret_of_a_webhook_is_shown_once(self, world: World) -> None:
        response = world.bob.post(
            world.page("settings/new-rule/"), name="hook", events="AgentPausedEvent", webhooks=URL
        )

        (secret,) = response.context["secrets"].values()
        page = world.page("settings/alert-rules/hook/")
        assert response.status_code == 200
        assert secret in text_of(response)
        assert "no-store" in response["Cache-Control"]
        assert secret not in text_of(world.bob.get(page))

        rotated = world.bob.post(f"{page}rotate-secret/", url=URL)
        (fresh,) = rotated.context["secrets"].values()
        assert fresh != secret
        assert secrets.of(world.acme, URL) == [fresh, secret]
        absent = world.bob.post(f"{page}rotate-secret/", url="https://example.com/other")
        assert absent.status_code == 404

    def test_who_may_not_change_a_rule_sees_of_its_webhooks_only_where_they_lead(
        self, world: World
    ) -> None:
        self.rule(world, webhooks=(URL,))

        for page in ("", "mine/"):
            shown = text_of(world.carol.get(world.page(f"settings/alert-rules/{page}")))
            assert "https://example.com" in shown
            assert "of-mine" not in shown

    def test_an_unfit_rule_is_refused_at_its_field_and_what_was_typed_stays(
        self, world: World
    ) -> None:
        self.rule(world)
        fit = {"name": "new", "events": "AgentPausedEvent", "emails": "ops@example.com"}
        unfit = [
            {"name": "with space"},
            {"name": "agent-unhealthy"},
            {"name": "mine"},
            {"name": ""},
            {"events": "NoSuchEvent"},
            {"events": "*,\0"},
            {"agent_tags": ",".join(map(str, range(21)))},
            {"emails": "nobody"},
            {"webhooks": "http://example.com/"},
            {"webhooks": "https://127.0.0.1/"},
        ]
        for values in unfit:
            response = world.bob.post(world.page("settings/new-rule/"), **(fit | values))
            assert response.status_code in {400, 409}, values
            assert errors_of(response) == list(values)
            assert "emails" in values or "ops@example.com" in text_of(response)
        assert AlertRule.objects.filter(tenant=world.acme).count() == 1

    def test_an_unfit_rate_is_refused(self, world: World) -> None:
        fit = {"name": "rate", "threshold": "95", "minutes": "15", "minimum_tasks": "5"}
        unfit = [
            {"threshold": "0"},
            {"threshold": "101"},
            {"threshold": "nan"},
            {"threshold": "1e999"},
            {"minutes": "0"},
            {"minutes": "9" * 400},
            {"minimum_tasks": "1.5"},
        ]
        for values in unfit:
            response = world.bob.post(
                world.page("settings/new-rule/?kind=completion_rate"), **(fit | values)
            )
            assert (response.status_code, errors_of(response)) == (400, list(values)), values

    def test_only_what_was_changed_is_changed(self, world: World) -> None:
        self.rule(world, agent_tags=("blue",))
        path = world.page("settings/alert-rules/mine/")
        seen = as_shown(world.bob, path) | {"agent_tags": "blue", "initial-agent_tags": "blue"}
        rule_services.update_rule(
            tenant=world.acme, name="mine", emails=["ops@example.com"], by=SETUP
        )

        response = world.bob.post(path, **(seen | {"events": "AgentPausedEvent"}))

        assert response.status_code == 302
        rule = self.stored(world)
        assert (rule.events, rule.agent_tags) == ("AgentPausedEvent", ("blue",))
        assert rule.emails == ("ops@example.com",)
        assert told(world, "AlertRuleChanged")[-1] == {"events": "AgentPausedEvent"}

    def test_a_rule_is_disabled_and_enabled(self, world: World) -> None:
        path = world.page("settings/alert-rules/agent-unhealthy/switch/")

        assert world.bob.post(path).status_code == 400
        assert self.stored(world, "agent-unhealthy").enabled
        world.bob.post(path, enabled="no")
        assert not self.stored(world, "agent-unhealthy").enabled
        world.bob.post(path, enabled="yes")
        assert self.stored(world, "agent-unhealthy").enabled

    def test_a_rule_is_deleted_by_typing_its_name_and_saying_why(self, world: World) -> None:
        self.rule(world)
        path = world.page("settings/alert-rules/mine/delete/")

        refused = world.bob.post(path, confirm="yours", reason="Too loud.")
        assert refused.status_code == 400
        assert rules.find(world.acme, "mine")

        assert world.bob.post(path, confirm="mine", reason="Too loud.").status_code == 302
        assert rules.find(world.acme, "mine") is None
        assert world.newest_event().reason == "Too loud."

    def test_a_built_in_rule_is_not_deleted(self, world: World) -> None:
        path = world.page("settings/alert-rules/mass-loss/")

        response = world.bob.post(f"{path}delete/", confirm="mass-loss", reason="x")

        assert response.status_code == 409
        assert "Disable it instead." in text_of(response)
        assert f"{path}delete/" not in text_of(world.bob.get(path))

    def test_another_tenants_rule_is_not_there(self, world: World) -> None:
        self.rule(world)
        theirs = f"/admin/t/{world.globex}/settings/alert-rules"

        found = world.mallory.get(f"{theirs}/mine/")
        absent = world.mallory.get(f"{theirs}/no-such-rule/")

        assert (found.status_code, found.content) == (404, absent.content)
        for what in ("switch/", "delete/", "rotate-secret/"):
            values = {"enabled": "no", "confirm": "mine", "reason": "x", "url": URL}
            assert world.mallory.post(f"{theirs}/mine/{what}", **values).status_code == 404
        assert self.stored(world).enabled


class TestRetention:
    def test_what_is_derived_is_kept_for_ever_until_somebody_says_otherwise(
        self, world: World
    ) -> None:
        shown = text_of(world.carol.get(world.page("settings/retention/")))

        assert shown.count('data-label="Kept">for ever') == 4

    def test_less_time_has_to_be_confirmed_and_more_has_not(self, world: World) -> None:
        path = world.page("settings/retention/")
        days, why = {"minute_statistics_days": "30"}, {"confirm": world.acme, "reason": "The disk."}

        refused = send(world.alice, path, **days)
        assert refused.status_code == 400
        assert "This field is required." in text_of(refused)
        assert 'value="30"' in text_of(refused)

        assert send(world.alice, path, **days, **why).status_code == 302
        assert world.newest_event().reason == "The disk."
        assert told(world) == [{"minute_statistics_days": 30}]

        assert send(world.alice, path, minute_statistics_days="60").status_code == 302
        assert send(world.alice, path, minute_statistics_days="").status_code == 302
        assert told(world)[1:] == [
            {"minute_statistics_days": 60},
            {"minute_statistics_days": None},
        ]

    def test_unfit_days_are_refused(self, world: World) -> None:
        path = world.page("settings/retention/")
        seen = as_shown(world.alice, path) | {"confirm": world.acme, "reason": "x"}

        for days in ("6", "-1", "x", "1e3", "36501", "9" * 400, "7.5", "\0"):
            response = world.alice.post(path, **(seen | {"ended_alerts_days": days}))
            assert (response.status_code, errors_of(response)) == (400, ["ended_alerts_days"]), days
        assert told(world) == []

    def test_longer_buckets_are_not_kept_for_less(self, world: World) -> None:
        why = {"confirm": world.acme, "reason": "x"}

        response = send(
            world.alice, world.page("settings/retention/"), hour_statistics_days="30", **why
        )

        assert response.status_code == 400
        assert list(response.context["form"].errors) == ["minute_statistics_days"]

    def test_it_says_since_when_what_is_kept_is_whole_and_what_is_the_oldest(
        self, world: World
    ) -> None:
        now = timezone.now().replace(second=0, microsecond=0)
        for ago in (3, 9):
            TaskStatisticsRow.objects.create(
                tenant_id=world.acme,
                resolution="minute",
                kind="tenant",
                bucket=now - timedelta(days=ago),
                name="",
                completed=1,
                failed=0,
                input_tokens=0,
                output_tokens=0,
                execution_total_us=0,
                execution_min_us=0,
                execution_max_us=0,
                execution_times=b"",
            )
        since = now - timedelta(days=7)
        StatisticsKept.objects.create(
            tenant_id=world.acme, generation=1, resolution="minute", since=since
        )

        kept, *_ = world.carol.get(world.page("settings/retention/")).context["kept"]

        assert (kept.since, kept.oldest) == (since, now - timedelta(days=3))
        assert live_since(world.acme) == {"minute": since}


def test_each_page_keeps_to_the_policy_and_asks_a_fixed_number_of_questions(
    world: World,
) -> None:
    rule = Rule(name="mine", events="AgentTaskFailedEvent", webhooks=(URL,))
    rule_services.create_rule(tenant=world.acme, rule=rule, by=SETUP)
    world.alice.get(world.page())  # which remembers where she is
    surroundings = 5
    own = {
        "settings/": 1,
        "members/": 1,
        "settings/alert-rules/": 1,
        "settings/alert-rules/mine/": 2,
        "settings/new-rule/": 0,
        # The tenant, since when, three oldest buckets, the oldest alert.
        "settings/retention/": 6,
    }
    asked = {}
    for page in own:
        with CaptureQueriesContext(connection) as queries:
            response = world.alice.get(world.page(page))
        text = text_of(response)
        asked[page] = len(queries) - surroundings
        assert what_the_policy_forbids(text) == []
        assert fields_without_label(text) == []
        ids = re.findall(r'\bid="([^"]+)"', text)
        assert len(ids) == len(set(ids))

    assert asked == own
