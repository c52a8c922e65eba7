"""A rule about the completion rate looks at the tasks that ended in its window."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from projections.alerts import alert_services, ended, rates, rule_services
from projections.alerts.ended import Ended
from projections.alerts.models import AlertRule, Kind
from projections.alerts.rules import Rule
from tests.alerts.fleet import ALICE, alerts, completed, created, failed, happen, rule, states


@pytest.fixture
def rated(acme: str) -> str:
    """Acme, which wants nine of ten tasks of ten minutes completed."""
    make(acme)
    return acme


def make(tenant: str, name: str = "rate", **fields: object) -> None:
    chosen: dict[str, object] = {"threshold": 0.9, "minutes": 10}
    rule(tenant, name=name, kind=Kind.COMPLETION_RATE, **(chosen | fields))


def ended_tasks(tenant: str, good: int, bad: int, agent_id: str = "a-1") -> None:
    facts = [completed(agent_id)] * good + [failed(agent_id)] * bad
    happen(tenant, *facts, agent_id=agent_id)


def look(tenant: str, name: str = "rate", now: datetime | None = None) -> bool:
    made = Rule.of(AlertRule.objects.get(tenant=tenant, name=name))
    return rates.look(tenant, made, now or timezone.now())


def test_too_few_completed_opens_one_alert_of_the_tenant(rated: str) -> None:
    ended_tasks(rated, 8, 2)

    assert look(rated)
    assert not look(rated)

    (alert,) = alerts(rated)
    assert (alert.rule, alert.agent_id, alert.state) == ("rate", None, "open")
    assert alert.detail == (
        "8 of 10 tasks were completed in the last 10 minutes, 80.0%; the rule asks for 90.0%."
    )


def test_at_the_threshold_there_is_no_alert(rated: str) -> None:
    ended_tasks(rated, 9, 1)

    assert not look(rated)
    assert alerts(rated) == []


def test_a_failure_at_night_is_no_alert(rated: str) -> None:
    ended_tasks(rated, 0, 4)
    assert not look(rated)

    ended_tasks(rated, 0, 1)
    assert look(rated)


def test_what_ended_before_the_window_does_not_count(rated: str) -> None:
    ended_tasks(rated, 0, 10)

    assert not look(rated, now=timezone.now() + timedelta(minutes=11))


def test_the_alert_is_resolved_when_the_rate_is_back(rated: str) -> None:
    ended_tasks(rated, 0, 5)
    look(rated)
    ended_tasks(rated, 39, 0)
    assert not look(rated)  # 39 of 44

    ended_tasks(rated, 6, 0)
    assert look(rated)

    (alert,) = alerts(rated)
    assert (alert.state, alert.resolved_by) == ("resolved", None)
    assert alert.resolved_reason is not None
    assert alert.resolved_reason.startswith("45 of 50 tasks")


def test_silence_is_no_recovery(rated: str) -> None:
    ended_tasks(rated, 0, 5)
    look(rated)

    assert not look(rated, now=timezone.now() + timedelta(hours=3))
    assert states(rated) == [("rate", "", "open")]


@pytest.mark.parametrize("by_a_person", [True, False])
def test_the_same_tasks_do_not_open_a_second_alert(rated: str, by_a_person: bool) -> None:
    ended_tasks(rated, 0, 5)
    look(rated)
    (alert,) = alerts(rated)
    if by_a_person:
        alert_services.resolve_alert(tenant=rated, alert_id=alert.id, reason="seen", by=ALICE)
    else:
        ended_tasks(rated, 45, 0)
        look(rated)

    assert not look(rated)
    ended_tasks(rated, 0, 4)
    assert not look(rated)
    ended_tasks(rated, 0, 1)
    assert look(rated)
    assert [state for _, _, state in states(rated)] == ["resolved", "open"]


def test_tasks_of_agents_without_the_tags_do_not_count(acme: str) -> None:
    make(acme, agent_tags=("eu",), threshold=0.5)
    happen(acme, created("a-1", ["eu"]), agent_id="a-1")
    happen(acme, created("a-2", ["us"]), agent_id="a-2")
    ended_tasks(acme, 5, 0, "a-1")
    ended_tasks(acme, 0, 50, "a-2")
    assert not look(acme)

    ended_tasks(acme, 0, 6, "a-1")

    assert look(acme)
    assert alerts(acme)[0].detail.startswith("5 of 11 tasks")


def test_counted_in_chunks_it_is_the_same(
    acme: str, globex: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for good, bad, agent_id in ((2, 1, "a-1"), (1, 3, "a-2"), (4, 0, "a-1"), (0, 2, "a-2")):
        ended_tasks(acme, good, bad, agent_id)
    windows = [(since, until) for until in range(14) for since in range(until + 1)]
    expected = [ended.between(acme, *window) for window in windows]

    monkeypatch.setattr(ended, "CHUNK", 3)
    again = [ended.between(acme, *window) for window in windows]

    assert again == expected
    assert ended.between(acme, 0, 13) == {"a-1": Ended(6, 7), "a-2": Ended(1, 6)}
    assert ended.between(globex, 0, 13) == {}


def test_another_tenants_tasks_do_not_count(rated: str, globex: str) -> None:
    make(globex)
    ended_tasks(rated, 0, 9)

    assert not look(globex)
    assert alerts(globex) == []


def test_a_rule_that_is_being_disabled_opens_nothing(rated: str) -> None:
    ended_tasks(rated, 0, 5)
    read_before = Rule.of(AlertRule.objects.get(tenant=rated, name="rate"))
    rule_services.update_rule(tenant=rated, name="rate", enabled=False, by=ALICE)

    assert not rates.look(rated, read_before, timezone.now())
    assert alerts(rated) == []


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("deleted", [True, False])
def test_a_rule_that_is_gone_or_disabled_leaves_no_alert(rated: str, deleted: bool) -> None:
    ended_tasks(rated, 0, 5)
    look(rated)
    if deleted:
        rule_services.delete_rule(tenant=rated, name="rate", by=ALICE)
    else:
        rule_services.update_rule(tenant=rated, name="rate", enabled=False, by=ALICE)

    assert states(rated) == [("rate", "", "resolved")]


def test_the_sweep_looks_at_every_tenant_and_a_fault_in_one_harms_no_other(
    acme: str, globex: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = sorted((acme, globex))
    for tenant in (first, second):
        make(tenant)
        ended_tasks(tenant, 0, 5)
    real = rates.look

    def broken(tenant: str, made: Rule, now: datetime) -> bool:
        if tenant == first:
            raise RuntimeError("damaged")
        return tenant == second and real(tenant, made, now)

    monkeypatch.setattr(rates, "look", broken)

    rates.sweep()

    assert alerts(first) == []
    assert states(second) == [("rate", "", "open")]
    assert f"The rule {first}/rate could not be looked at" in caplog.text
