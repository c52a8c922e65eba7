"""Trouble opens one alert, more of it is counted, and what ends it resolves it."""

import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events.bus import InMemoryEventBus
from events.facts import Envelope, Fact, TenantFact
from events.log import read
from events.models import Event
from events.vocabulary import AgentHealthCheckPassedEvent
from projections.alerts import alert_services, hearing, lapses, rule_services, standing
from projections.alerts.models import Alert, State
from projections.alerts.troubles import QUIET
from tests.alerts.fleet import (
    ALICE,
    alerts,
    completed,
    created,
    failed,
    happen,
    outage,
    paused,
    recovery,
    resumed,
    rule,
    states,
    tagged,
    terminated,
)

pytestmark = pytest.mark.usefixtures("listening")


class MassLossSuspected(TenantFact, frozen=True):
    """As the health sweep tells of it."""


class MassLossResolved(TenantFact, frozen=True):
    """As the health sweep tells of it."""


def told(tenant: str, fact: Fact, seq: int) -> Fact:
    """A fact of the tenant's own stream, as it comes out of a log."""
    now = datetime.now(UTC)
    return fact.with_envelope(
        Envelope(
            event_id=uuid.uuid4(),
            tenant=tenant,
            seq=seq,
            stream_type="tenant",
            stream_id=tenant,
            stream_version=seq,
            type=fact.type,
            schema_version="1.0",
            occurred_at=now,
            recorded_at=now,
            actor="system:health",
            hash=b"",
        )
    )


def heard_again(tenant: str) -> None:
    """As after a crash: everything comes once more."""
    for row in Event.objects.filter(tenant=tenant).order_by("seq"):
        hearing.hear(read.fact(row))


def test_an_agent_that_falls_silent_opens_an_alert_in_every_tenant(acme: str) -> None:
    seq = happen(acme, *outage())

    (alert,) = alerts(acme)
    assert (alert.rule, alert.agent_id, alert.state) == ("agent-unhealthy", "a-1", State.OPEN)
    assert (alert.opened_seq, alert.recurrences) == (seq - 1, 0)
    assert alert.detail == "AgentHealthCheckFailedEvent: silent for 90 s"
    assert alert.event_id == Event.objects.get(tenant=acme, seq=seq - 1).event_id
    assert alert.opened_at == Event.objects.get(tenant=acme, seq=seq - 1).recorded_at


def test_an_outage_that_is_over_resolves_its_alert(acme: str) -> None:
    happen(acme, *outage())
    seq = happen(acme, *recovery())

    (alert,) = alerts(acme)
    assert (alert.state, alert.resolved_seq, alert.resolved_by) == (State.RESOLVED, seq, None)
    assert alert.resolved_reason == "The agent is no longer unhealthy."


def test_an_outage_that_comes_back_opens_another(acme: str) -> None:
    happen(acme, *outage(), *recovery(), *outage())

    assert states(acme) == [
        ("agent-unhealthy", "a-1", "resolved"),
        ("agent-unhealthy", "a-1", "open"),
    ]


def test_more_of_the_same_is_counted_and_opens_nothing(acme: str) -> None:
    rule(acme, events="AgentTaskFailedEvent")
    happen(acme, failed(task_id="t-1"), failed(task_id="t-2"), failed(task_id="t-3"))

    (alert,) = alerts(acme)
    assert (alert.recurrences, alert.state) == (2, State.OPEN)
    assert alert.detail == "AgentTaskFailedEvent: t-1, no"


@pytest.mark.parametrize(
    ("events", "trouble", "end"),
    [
        ("AgentTaskFailedEvent", (failed(),), completed()),
        ("AgentPausedEvent", (paused(),), resumed()),
        ("AgentStatusChangedEvent", outage(), recovery()[1]),
        ("AgentTaskFailedEvent", (failed(),), terminated()),
        ("AgentPausedEvent", (paused(),), terminated()),
        ("AgentHealthCheckFailedEvent", outage(), terminated()),
    ],
    ids=["completed", "resumed", "healthy", "failed_and_gone", "paused_and_gone", "gone"],
)
def test_each_trouble_has_its_end(
    acme: str, events: str, trouble: tuple[Fact, ...], end: Fact
) -> None:
    rule(acme, events=events)
    happen(acme, *trouble)
    assert states(acme, rule="mine") == [("mine", "a-1", "open")]

    happen(acme, end)

    assert states(acme, rule="mine") == [("mine", "a-1", "resolved")]


def test_the_end_of_one_trouble_is_not_that_of_another(acme: str) -> None:
    rule(acme, events="AgentTaskFailedEvent,AgentHealthCheckFailedEvent")
    happen(acme, failed(), *outage())
    happen(acme, completed())
    assert states(acme, rule="mine") == [("mine", "a-1", "open")]

    happen(acme, *recovery())

    assert states(acme, rule="mine") == [("mine", "a-1", "resolved")]


def test_what_ends_one_agents_trouble_is_nothing_to_another(acme: str) -> None:
    happen(acme, *outage("a-1"))
    happen(acme, *outage("a-2"), agent_id="a-2")
    happen(acme, *recovery("a-2"), agent_id="a-2")

    assert states(acme) == [
        ("agent-unhealthy", "a-1", "open"),
        ("agent-unhealthy", "a-2", "resolved"),
    ]


def test_a_change_of_status_that_is_no_outage_is_no_trouble(acme: str) -> None:
    rule(acme, events="AgentStatusChangedEvent")
    happen(acme, recovery()[1])

    assert alerts(acme) == []


def test_a_suspected_mass_loss_is_the_tenants_and_is_over_when_it_is_resolved(acme: str) -> None:
    hearing.hear(told(acme, MassLossSuspected(), 1))
    (alert,) = alerts(acme)
    assert (alert.rule, alert.agent_id, alert.state) == ("mass-loss", None, State.OPEN)

    hearing.hear(told(acme, MassLossResolved(), 2))

    assert states(acme) == [("mass-loss", "", "resolved")]


def test_what_comes_again_changes_nothing(acme: str) -> None:
    rule(acme, events="AgentTaskFailedEvent")
    happen(acme, *outage(), *recovery(), failed(), failed(), *outage())
    before = list(Alert.objects.filter(tenant=acme).order_by("id").values())

    heard_again(acme)
    heard_again(acme)

    assert list(Alert.objects.filter(tenant=acme).order_by("id").values()) == before
    assert len(before) == 3


def test_an_event_that_comes_again_after_a_person_closed_its_alert_opens_no_other(
    acme: str,
) -> None:
    happen(acme, *outage())
    (alert,) = alerts(acme)
    alert_services.resolve_alert(tenant=acme, alert_id=alert.id, reason="seen", by=ALICE)

    heard_again(acme)

    assert states(acme) == [("agent-unhealthy", "a-1", "resolved")]


def test_of_handlers_that_hear_an_event_at_once_one_opens_an_alert(
    acme: str, listening: InMemoryEventBus
) -> None:
    listening.unsubscribe("alerts")
    rule(acme, events="AgentTaskFailedEvent")
    happen(acme, failed())
    event = read.fact(Event.objects.get(tenant=acme, type="AgentTaskFailedEvent"))
    together = threading.Barrier(4)
    raised: list[BaseException] = []

    def handle() -> None:
        try:
            together.wait(10)
            hearing.hear(event)
        except BaseException as error:  # noqa: BLE001 -- looked at below
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=handle) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert raised == []
    (alert,) = alerts(acme)
    assert (alert.state, alert.recurrences) == (State.OPEN, 0)


def test_who_lost_the_race_counts_what_is_newer(acme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rule(acme, events="AgentTaskFailedEvent")
    happen(acme, failed(task_id="t-1"))
    # As seen by a handler that looked before the other had opened the alert.
    real = standing.unresolved
    looks: list[dict[str, Alert]] = [{}]
    monkeypatch.setattr(standing, "unresolved", lambda *of: looks.pop() if looks else real(*of))

    happen(acme, failed(task_id="t-2"))

    (alert,) = alerts(acme)
    assert alert.recurrences == 1


def test_who_read_the_alert_before_another_counted_counts_too(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule(acme, events="AgentTaskFailedEvent")
    happen(acme, failed(task_id="t-1"))
    before = standing.unresolved(acme, "a-1")
    happen(acme, failed(task_id="t-2"))
    real, looks = standing.unresolved, [before]
    monkeypatch.setattr(standing, "unresolved", lambda *of: looks.pop() if looks else real(*of))

    happen(acme, failed(task_id="t-3"))

    (alert,) = alerts(acme)
    assert alert.recurrences == 2


def test_an_event_that_concerns_nobody_costs_no_query(acme: str) -> None:
    happen(acme, created(), AgentHealthCheckPassedEvent("a-1"))
    row = Event.objects.get(tenant=acme, type="AgentHealthCheckPassedEvent")
    event = read.fact(row)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        for _ in range(10):
            hearing.hear(event)

    assert len(queries) == 0


class TestARuleThatChanges:
    def test_counts_from_the_next_event_on(self, acme: str) -> None:
        happen(acme, failed())
        rule(acme, events="AgentTaskFailedEvent")
        happen(acme, failed(task_id="t-2"))

        (alert,) = alerts(acme)
        assert alert.detail.startswith("AgentTaskFailedEvent: t-2")

    def test_in_another_process_is_noticed_though_the_fact_was_heard_there(
        self, acme: str, listening: InMemoryEventBus
    ) -> None:
        happen(acme, created())
        listening.unsubscribe("alerts")  # the other process has the lease for a while
        rule(acme, events="AgentTaskFailedEvent")
        listening.subscribe("*", hearing.hear, name="alerts")
        happen(acme, failed())

        assert states(acme) == [("mine", "a-1", "open")]

    def test_is_disabled_and_its_alerts_are_resolved(self, acme: str) -> None:
        happen(acme, *outage())
        rule_services.update_rule(tenant=acme, name="agent-unhealthy", enabled=False, by=ALICE)
        happen(acme, *outage("a-2"), agent_id="a-2")

        (alert,) = alerts(acme)
        assert (alert.state, alert.resolved_by) == (State.RESOLVED, None)
        assert alert.resolved_reason == "Its rule was disabled or deleted."

    def test_is_deleted_and_its_alerts_are_resolved_and_no_others(self, acme: str) -> None:
        rule(acme, events="AgentHealthCheckFailedEvent")
        happen(acme, *outage())
        rule_services.delete_rule(tenant=acme, name="mine", by=ALICE)

        assert states(acme) == [
            ("agent-unhealthy", "a-1", "open"),
            ("mine", "a-1", "resolved"),
        ]

    def test_stands_in_for_a_built_in_one_until_it_is_deleted(self, acme: str) -> None:
        rule_services.update_rule(tenant=acme, name="agent-unhealthy", enabled=False, by=ALICE)
        happen(acme, *outage("a-1"))
        rule_services.delete_rule(tenant=acme, name="agent-unhealthy", by=ALICE)
        happen(acme, *outage("a-2"), agent_id="a-2")

        assert states(acme) == [("agent-unhealthy", "a-2", "open")]

    def test_names_other_events_and_its_alert_still_ends(self, acme: str) -> None:
        rule(acme, events="AgentPausedEvent")
        happen(acme, paused())
        rule_services.update_rule(tenant=acme, name="mine", events="AgentTaskFailedEvent", by=ALICE)
        happen(acme, resumed())

        assert states(acme) == [("mine", "a-1", "resolved")]


class TestTags:
    def test_all_of_a_rules_tags_have_to_be_the_agents(self, acme: str) -> None:
        rule(acme, events="AgentPausedEvent", agent_tags=("eu", "gpu"))
        for agent_id, tags in (("a-1", ["eu", "gpu", "x"]), ("a-2", ["eu"]), ("a-3", [])):
            happen(acme, created(agent_id, tags), paused(agent_id), agent_id=agent_id)

        assert states(acme) == [("mine", "a-1", "open")]

    def test_count_as_they_were_at_the_event(self, acme: str) -> None:
        rule(acme, events="AgentTaskFailedEvent", agent_tags=("eu",))
        happen(acme, created(), failed(task_id="t-1"), tagged("eu"), failed(task_id="t-2"))
        happen(acme, completed(), tagged("us"), failed(task_id="t-3"))

        (alert,) = alerts(acme)
        assert alert.detail.startswith("AgentTaskFailedEvent: t-2")
        assert (alert.state, alert.recurrences) == (State.RESOLVED, 0)

    def test_of_an_agent_that_is_older_than_the_reaction_are_read_from_its_stream(
        self, acme: str, listening: InMemoryEventBus
    ) -> None:
        listening.unsubscribe("alerts")
        happen(acme, created(tags=["us"]), tagged("eu"))
        rule(acme, events="AgentPausedEvent,AgentTaskFailedEvent", agent_tags=("eu",))
        listening.subscribe("*", hearing.hear, name="alerts")
        happen(acme, paused())
        happen(acme, tagged("us"), failed())

        (alert,) = alerts(acme)
        assert (alert.troubles, alert.recurrences) == (["AgentPausedEvent"], 0)

    def test_that_came_later_do_not_count_for_an_event_that_comes_again(self, acme: str) -> None:
        rule(acme, events="AgentPausedEvent", agent_tags=("eu",))
        happen(acme, created(), paused(), tagged("eu"))

        heard_again(acme)

        assert alerts(acme) == []

    def test_of_no_agent_a_tenants_own_facts_have_none(self, acme: str) -> None:
        rule(acme, name="tagged", events="AlertRule*", agent_tags=("eu",))
        rule(acme, name="any", events="AlertRule*")

        assert states(acme) == [("any", "", "open")]


class TestTroubleThatNoEventEnds:
    def test_is_over_when_no_more_of_it_came_for_a_day(self, acme: str) -> None:
        rule(acme, events="AgentTerminatedEvent,AgentPausedEvent")
        happen(acme, terminated("a-1"), agent_id="a-1")
        happen(acme, terminated("a-2"), agent_id="a-2")
        happen(acme, paused("a-3"), agent_id="a-3")
        long_ago = timezone.now() - timedelta(seconds=1)
        Alert.objects.filter(tenant=acme, subject__in=["a-1"]).update(lapses_at=long_ago)

        lapses.sweep()

        (first, second, third) = alerts(acme)
        assert (first.state, first.resolved_reason) == ("resolved", "No more of it for 24 hours.")
        assert (second.state, second.lapses_at) == ("open", second.opened_at + QUIET)
        assert (third.state, third.lapses_at) == ("open", None)

    def test_is_given_another_day_by_more_of_it(self, acme: str) -> None:
        rule(acme, events="AgentTerminatedEvent")
        happen(acme, terminated())
        happen(acme, terminated())

        (alert,) = alerts(acme)
        assert alert.lapses_at == alert.last_at + QUIET
        assert alert.last_at > alert.opened_at


def test_what_agents_say_is_one_short_line(acme: str) -> None:
    rule(acme, events="AgentTaskFailedEvent")
    happen(acme, failed(message="first\r\nBcc: all@example.org\x1b[2J" + "x" * 1_000))

    (alert,) = alerts(acme)
    assert alert.detail.isprintable()
    assert len(alert.detail) == 200


def test_an_alert_is_acknowledged_and_goes_on_counting_and_ends(acme: str) -> None:
    rule(acme, events="AgentTaskFailedEvent")
    happen(acme, failed())
    (alert,) = alerts(acme)
    alert_services.acknowledge_alert(tenant=acme, alert_id=alert.id, by=ALICE)
    happen(acme, failed())
    (alert,) = alerts(acme)
    assert (alert.state, alert.recurrences) == (State.ACKNOWLEDGED, 1)

    happen(acme, completed())

    assert states(acme) == [("mine", "a-1", "resolved")]
