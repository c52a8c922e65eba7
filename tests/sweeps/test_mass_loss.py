"""Where many agents fall silent together, it proves nothing until somebody says that it does."""

import threading
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.db import connection

from agents import mass_loss, services
from agents.domain.mass_loss import TOGETHER, Silence
from agents.domain.state import Status
from agents.mass_loss import confirm_mass_loss
from agents.models import MassLoss
from agents.rebuild import compare, rebuild
from agents.sweep import let_time_pass
from events import tenants
from events.tenant_facts import MassLossConfirmed, MassLossResolved, MassLossSuspected
from events.tenants import Refused
from events.transfer.importing import import_log
from tests.jobs.conftest import manage
from tests.sweeps.conftest import (
    ALICE,
    INSTANT,
    LOST,
    TIMEOUT,
    At,
    activate,
    agent,
    assign,
    beat,
    fleet,
    lost,
    pause,
    rows,
    seq,
    told,
    unhealthy,
)
from tests.transfer.draft import draft

SILENT = TIMEOUT + 10.0


def confirm(tenant: str, now: datetime) -> None:
    confirm_mass_loss(tenant=tenant, reason="The rack burnt down.", by=ALICE, now=now)


@pytest.fixture
def suspicious(acme: str, at: At) -> str:
    """Acme at SILENT: of ten agents the first three are silent, and that is suspicious."""
    ids = fleet(acme, 10, at(0))
    assign(acme, "a-01", at(1))
    beat(acme, *ids[3:], now=at(50))
    let_time_pass(at(SILENT))
    assert [type(fact) for fact in told(acme)] == [MassLossSuspected]
    return acme


@pytest.mark.parametrize(
    ("healthy", "silent", "is_one"),
    [(4, 4, False), (5, 1, False), (5, 2, True), (10, 2, False), (10, 3, True), (1000, 201, True)],
)
def test_more_than_a_fifth_of_five_or_more_is_a_mass_loss(
    healthy: int, silent: int, is_one: bool
) -> None:
    assert Silence(healthy, silent, silent).is_mass_loss is is_one


def test_a_fifth_of_the_fleet_is_recorded_as_failed(acme: str, at: At) -> None:
    ids = fleet(acme, 10, at(0))
    beat(acme, *ids[2:], now=at(50))

    let_time_pass(at(SILENT))

    assert unhealthy(acme) == ids[:2]
    assert told(acme) == []


@pytest.mark.usefixtures("nothing_raised")
def test_when_more_fall_silent_none_is_recorded_as_failed_and_the_log_says_why(
    acme: str, at: At
) -> None:
    ids = fleet(acme, 10, at(0))
    beat(acme, *ids[3:], now=at(50))
    before = seq(acme)

    let_time_pass(at(SILENT))

    (row,) = rows(acme, before)
    assert (row.type, row.actor, row.stream_type) == (
        "MassLossSuspected",
        "system:health",
        "tenant",
    )
    assert told(acme) == [
        MassLossSuspected(3, 10, ("a-01", "a-02", "a-03"), occurred_at=at(SILENT))
    ]


def test_a_suspicion_names_twenty_agents_at_most(acme: str, at: At) -> None:
    ids = fleet(acme, 21, at(0))

    let_time_pass(at(SILENT))

    assert told(acme) == [MassLossSuspected(21, 21, tuple(ids[:20]), occurred_at=at(SILENT))]


def test_four_agents_are_too_few_to_suspect_anything(acme: str, at: At) -> None:
    ids = fleet(acme, 4, at(0))

    let_time_pass(at(SILENT))

    assert unhealthy(acme) == ids


def test_agents_out_of_service_or_never_seen_or_ill_before_are_no_part_of_the_fleet(
    acme: str, at: At
) -> None:
    ids = fleet(acme, 8, at(0))
    for agent_id in ids[:2]:
        services.terminate_agent(tenant=acme, agent_id=agent_id, reason="x", by=ALICE, now=at(1))
    for agent_id in ids[2:4]:
        services.record_health_failure(
            tenant=acme, agent_id=agent_id, reason="x", by=ALICE, now=at(1)
        )
    for number in range(5):
        activate(acme, f"new-{number}", at(2))
    now = at(TIMEOUT + TOGETHER.total_seconds() + 2)

    let_time_pass(now)

    assert told(acme) == []
    assert sorted(unhealthy(acme)[2:]) == [*ids[4:], *(f"new-{number}" for number in range(5))]


def test_paused_agents_are_part_of_the_fleet(acme: str, at: At) -> None:
    ids = fleet(acme, 5, at(0))
    for agent_id in ids:
        pause(acme, agent_id, at(1))

    let_time_pass(at(SILENT))

    assert unhealthy(acme) == []
    assert len(told(acme)) == 1


def test_agents_that_fall_silent_one_after_another_within_a_minute_did_it_together(
    acme: str, at: At
) -> None:
    """Beats are spread: of a fleet that nobody hears any more each sweep finds but a few silent."""
    for number in range(10):
        activate(acme, f"a-{number}", at(6 * number))
        beat(acme, f"a-{number}", now=at(6 * number))

    for number in range(10):
        let_time_pass(at(TIMEOUT + 6 * number + 1))

    assert unhealthy(acme) == ["a-0", "a-1"]
    assert [type(fact) for fact in told(acme)] == [MassLossSuspected]


def test_agents_that_fall_silent_minutes_apart_are_recorded_as_failed(acme: str, at: At) -> None:
    ids = fleet(acme, 10, at(0))

    for number in range(6):
        beat(acme, *ids[number:], now=at(61 * number))
        let_time_pass(at(61 * number + 31))

    assert unhealthy(acme) == ids[:5]
    assert told(acme) == []


def test_a_suspicion_is_not_repeated_though_more_fall_silent(suspicious: str, at: At) -> None:
    before = seq(suspicious)

    let_time_pass(at(SILENT))
    let_time_pass(at(50 + SILENT))
    let_time_pass(at(10 * LOST))

    assert rows(suspicious, before) == []


def test_under_suspicion_no_task_is_lost(suspicious: str, at: At) -> None:
    let_time_pass(at(10 * LOST))

    assert lost(suspicious) == []
    assert agent(suspicious, "a-01").status is Status.BUSY


def test_under_suspicion_the_task_of_an_agent_that_was_ill_before_is_still_lost(
    acme: str, at: At
) -> None:
    ids = fleet(acme, 11, at(0))
    assign(acme, "a-11", at(1))
    services.record_health_failure(tenant=acme, agent_id="a-11", reason="x", by=ALICE, now=at(2))
    beat(acme, *ids[3:10], now=at(50))
    let_time_pass(at(SILENT))
    assert len(told(acme)) == 1

    let_time_pass(at(LOST))

    assert lost(acme) == ["a-11"]


def test_under_suspicion_pauses_end(acme: str, at: At) -> None:
    ids = fleet(acme, 5, at(0))
    pause(acme, ids[0], at(1), until=at(SILENT + 5))
    let_time_pass(at(SILENT))
    assert len(told(acme)) == 1
    before = seq(acme)

    let_time_pass(at(SILENT + 5))

    assert [row.type for row in rows(acme, before)] == [
        "AgentResumedEvent",
        "AgentStatusChangedEvent",
    ]
    assert agent(acme, ids[0]).status is Status.AVAILABLE


def test_under_suspicion_an_agent_that_was_never_seen_is_not_recorded_as_failed(
    suspicious: str, at: At
) -> None:
    activate(suspicious, "new", at(SILENT))

    let_time_pass(at(3 * SILENT))

    assert unhealthy(suspicious) == []


def test_when_enough_beat_again_the_suspicion_is_resolved_and_silence_counts_anew(
    suspicious: str, at: At
) -> None:
    everybody_else = [f"a-{number:02}" for number in range(2, 11)]
    beat(suspicious, *everybody_else, now=at(LOST))

    let_time_pass(at(LOST))
    assert told(suspicious)[1:] == [
        MassLossResolved("1 of 10 agents are silent now.", occurred_at=at(LOST))
    ]
    beat(suspicious, *everybody_else, now=at(LOST + TIMEOUT))
    let_time_pass(at(LOST + TIMEOUT))
    assert unhealthy(suspicious) == []
    assert lost(suspicious) == []

    let_time_pass(at(LOST + TIMEOUT + INSTANT))
    assert unhealthy(suspicious) == ["a-01"]
    let_time_pass(at(LOST + TIMEOUT + 5))
    assert lost(suspicious) == ["a-01"]
    assert list(compare(suspicious)[1]) == []


def test_a_fleet_that_was_asleep_and_wakes_loses_nothing(acme: str, at: At) -> None:
    ids = fleet(acme, 10, at(0))
    assign(acme, "a-10", at(1))
    let_time_pass(at(1_000))
    for number, agent_id in enumerate(ids):
        beat(acme, agent_id, now=at(1_000 + 2 * number))
        let_time_pass(at(1_001 + 2 * number))

    assert (unhealthy(acme), lost(acme)) == ([], [])
    assert [type(fact) for fact in told(acme)] == [MassLossSuspected, MassLossResolved]


def test_once_confirmed_the_next_sweep_records_the_failures(suspicious: str, at: At) -> None:
    confirm(suspicious, at(LOST))
    assert told(suspicious)[1:] == [MassLossConfirmed("The rack burnt down.", occurred_at=at(LOST))]
    assert [row.actor for row in rows(suspicious)][-1] == "user:alice"
    beat(suspicious, *(f"a-{number:02}" for number in range(4, 11)), now=at(LOST))

    let_time_pass(at(LOST + 1))

    assert unhealthy(suspicious) == ["a-01", "a-02", "a-03"]
    assert lost(suspicious) == ["a-01"]


def test_a_confirmation_holds_as_long_as_agents_fall_silent_together(acme: str, at: At) -> None:
    ids = fleet(acme, 20, at(0))
    for number, agent_id in enumerate(ids[5:]):
        beat(acme, agent_id, now=at(5 + 3 * number))
    let_time_pass(at(TIMEOUT + 1))
    confirm(acme, at(TIMEOUT + 2))

    for seconds in range(0, 60, 5):
        let_time_pass(at(TIMEOUT + 3 + seconds))

    assert unhealthy(acme) == ids
    assert [type(fact) for fact in told(acme)] == [MassLossSuspected, MassLossConfirmed]


def test_after_a_confirmed_mass_loss_another_is_suspected_again(suspicious: str, at: At) -> None:
    confirm(suspicious, at(SILENT))
    rest = [f"a-{number:02}" for number in range(4, 11)]
    let_time_pass(at(SILENT + 1))
    beat(suspicious, *rest, now=at(SILENT + 60))
    let_time_pass(at(SILENT + 60))
    assert type(told(suspicious)[-1]) is MassLossResolved

    let_time_pass(at(SILENT + 60 + SILENT))

    assert type(told(suspicious)[-1]) is MassLossSuspected
    assert unhealthy(suspicious) == ["a-01", "a-02", "a-03"]


def test_after_a_confirmed_mass_loss_silence_counts_from_the_last_beat(
    suspicious: str, at: At
) -> None:
    confirm(suspicious, at(SILENT))
    let_time_pass(at(SILENT + 1))
    rest = [f"a-{number:02}" for number in range(4, 11)]
    beat(suspicious, "a-04", now=at(SILENT + 20))
    beat(suspicious, *rest[1:], now=at(SILENT + 60))
    let_time_pass(at(SILENT + 61))
    assert type(told(suspicious)[-1]) is MassLossResolved

    let_time_pass(at(SILENT + 20 + TIMEOUT + INSTANT))

    assert unhealthy(suspicious)[3:] == ["a-04"]


def test_nothing_is_suspected_where_nothing_is_left_to_decide(acme: str, at: At) -> None:
    ids = fleet(acme, 10, at(0))
    for agent_id in ids[:3]:
        assign(acme, agent_id, at(1))
        services.record_health_failure(
            tenant=acme, agent_id=agent_id, reason="x", by=ALICE, now=at(2)
        )
    beat(acme, *ids[3:], now=at(50))
    pause(acme, ids[3], at(51), until=at(SILENT))

    let_time_pass(at(SILENT))

    assert agent(acme, ids[3]).status is Status.AVAILABLE
    assert told(acme) == []


def test_there_is_nothing_to_confirm_without_a_suspicion(acme: str, at: At) -> None:
    with pytest.raises(Refused, match="is not suspected") as refused:
        confirm(acme, at(0))

    assert refused.value.code == "rule_violated"
    assert seq(acme) == 0


def test_a_mass_loss_is_confirmed_once(suspicious: str, at: At) -> None:
    confirm(suspicious, at(SILENT))
    before = seq(suspicious)

    with pytest.raises(Refused, match="confirmed already"):
        confirm(suspicious, at(SILENT))

    assert rows(suspicious, before) == []


@pytest.mark.parametrize("reason", ["", " ", "a\0", "\udc00", "r" * 1001])
def test_a_confirmation_needs_a_reason(suspicious: str, reason: str) -> None:
    with pytest.raises(Refused, match="reason") as refused:
        confirm_mass_loss(tenant=suspicious, reason=reason, by=ALICE)

    assert refused.value.field == "reason"


def test_a_confirmation_that_comes_too_late_is_refused(
    suspicious: str, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_it_is = mass_loss.find

    def find(tenant: str) -> MassLoss | None:
        found = as_it_is(tenant)
        with monkeypatch.context() as unpatched:
            unpatched.setattr(mass_loss, "find", as_it_is)
            beat(suspicious, "a-01", "a-02", now=at(SILENT))
            let_time_pass(at(SILENT))
        return found

    monkeypatch.setattr(mass_loss, "find", find)

    with pytest.raises(Refused, match="at this moment") as refused:
        confirm(suspicious, at(SILENT))

    assert refused.value.code == "conflict"
    assert [type(fact) for fact in told(suspicious)] == [MassLossSuspected, MassLossResolved]


@pytest.mark.usefixtures("nothing_raised")
def test_two_workers_suspect_once(acme: str, at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet(acme, 5, at(0))
    both_have_seen = threading.Barrier(2)
    as_it_is = tenants.record
    first = threading.local()

    def record(*order: Any, **more: Any) -> Any:
        if not hasattr(first, "passed"):
            first.passed = True
            both_have_seen.wait(10)
        return as_it_is(*order, **more)

    def sweep_too() -> None:
        try:
            let_time_pass(at(SILENT))
        finally:
            connection.close()

    monkeypatch.setattr(tenants, "record", record)
    workers = [threading.Thread(target=sweep_too) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)

    assert [type(fact) for fact in told(acme)] == [MassLossSuspected]
    assert unhealthy(acme) == []


def test_the_suspicion_of_one_tenant_is_nothing_to_another(
    suspicious: str, globex: str, at: At
) -> None:
    fleet(globex, 1, at(0))
    before = seq(suspicious)

    let_time_pass(at(SILENT))
    with pytest.raises(Refused, match="is not suspected"):
        confirm(globex, at(SILENT))

    assert unhealthy(globex) == ["a-01"]
    assert told(globex) == []
    assert rows(suspicious, before) == []


Spoil = Callable[[str], object]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda tenant: MassLoss.objects.filter(tenant=tenant).delete(), "has no row"),
        (
            lambda tenant: MassLoss.objects.filter(tenant=tenant).update(state="resolved"),
            "its mass loss: state is 'resolved' instead of 'suspected'",
        ),
    ],
)
def test_where_the_suspicion_stands_is_rebuilt_from_the_log(
    suspicious: str, at: At, spoil: Spoil, said: str
) -> None:
    assert list(compare(suspicious)[1]) == []
    spoil(suspicious)

    (difference,) = compare(suspicious)[1]
    rebuild(suspicious)
    before = seq(suspicious)
    let_time_pass(at(SILENT))

    assert said in str(difference)
    assert list(compare(suspicious)[1]) == []
    assert rows(suspicious, before) == []


def test_a_standing_that_the_log_does_not_tell_of_is_removed(acme: str) -> None:
    MassLoss.objects.create(tenant_id=acme, state="confirmed", seq=0)

    (difference,) = compare(acme)[1]
    rebuild(acme)

    assert "its mass loss has a row and no events" in str(difference)
    assert mass_loss.find(acme) is None


def test_an_imported_log_brings_its_suspicion_along(
    committed_db: None, fresh_slug: Callable[[str], str], at: At
) -> None:
    slug = fresh_slug("acme")
    facts = [
        MassLossSuspected(2, 5, ("a-01", "a-02"), occurred_at=at(0)),
        MassLossResolved("Enough beat again.", occurred_at=at(60)),
    ]

    import_log(BytesIO(draft(slug, facts).file()))

    standing = mass_loss.find(slug)
    assert standing is not None
    assert (standing.state, standing.heard_since, standing.seq) == ("resolved", at(60), 2)
    assert list(compare(slug)[1]) == []


def test_the_command_confirms_in_one_line(suspicious: str) -> None:
    said = manage("confirm_mass_loss", suspicious, "--reason", "The rack burnt down.")

    assert said.out == f"The silence of {suspicious}'s agents counts; the next sweep records it.\n"
    assert rows(suspicious)[-1].actor == "system:manage"
    assert type(told(suspicious)[-1]) is MassLossConfirmed


def test_the_command_refuses_in_one_line(acme: str) -> None:
    with pytest.raises(CommandError) as nothing:
        manage("confirm_mass_loss", acme, "--reason", "x")
    with pytest.raises(CommandError, match="There is no tenant"):
        manage("confirm_mass_loss", "nobody", "--reason", "x")

    assert str(nothing.value) == (
        f"A mass loss is not suspected in {acme}: there is nothing to confirm."
    )
