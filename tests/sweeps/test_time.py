"""What time demands is recorded soon after it is due: once, and of nobody else."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection

from agents import claims, command, mass_loss, services, sweep
from agents.command import Outcome
from agents.domain.state import Health, Status
from agents.models import CurrentAgent, TaskClaim
from agents.rebuild import compare, rebuild
from agents.sweep import let_time_pass
from events import duties
from events.log import append as log
from events.log.proposal import Proposal
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
    register,
    rows,
    seq,
    unhealthy,
)


def test_the_worker_sweeps_every_few_seconds() -> None:
    assert duties.sweeps["health"].run is let_time_pass
    assert 1 <= duties.sweeps["health"].every_seconds <= 10


@pytest.mark.usefixtures("nothing_raised")
def test_a_silent_agent_is_recorded_as_failed_as_soon_as_its_timeout_is_over(
    acme: str, at: At
) -> None:
    fleet(acme, 1, at(0))
    before = seq(acme)

    let_time_pass(at(TIMEOUT))
    assert rows(acme, before) == []
    let_time_pass(at(TIMEOUT + INSTANT))

    failed, changed = rows(acme, before)
    assert [failed.type, changed.type] == ["AgentHealthCheckFailedEvent", "AgentStatusChangedEvent"]
    assert {failed.actor, changed.actor} == {"system:health"}
    assert failed.occurred_at == at(TIMEOUT + INSTANT)
    assert agent(acme, "a-01").status is Status.UNHEALTHY


def test_what_time_demanded_once_it_does_not_demand_again(acme: str, at: At) -> None:
    fleet(acme, 2, at(0))
    assign(acme, "a-01", at(1))
    let_time_pass(at(100))
    let_time_pass(at(LOST))
    before = seq(acme)

    let_time_pass(at(LOST))
    let_time_pass(at(10 * LOST))

    assert rows(acme, before) == []
    assert not CurrentAgent.objects.filter(tenant=acme, due_at__isnull=False).exists()


def test_an_agent_that_was_never_seen_counts_from_its_activation(acme: str, at: At) -> None:
    activate(acme, "a-01", at(0))

    let_time_pass(at(TIMEOUT + 1))

    assert unhealthy(acme) == ["a-01"]


def test_the_task_of_a_lost_agent_fails_at_twice_its_timeout_and_may_go_to_another(
    acme: str, at: At
) -> None:
    fleet(acme, 2, at(0))
    assign(acme, "a-01", at(1))

    let_time_pass(at(LOST - INSTANT))
    assert lost(acme) == []
    let_time_pass(at(LOST))

    assert lost(acme) == ["a-01"]
    claim = claims.find(acme, "t-a-01")
    assert claim is not None
    assert claim.status == TaskClaim.Status.FAILED
    beat(acme, "a-02", now=at(LOST))
    services.assign_task(tenant=acme, agent_id="a-02", task_id="t-a-01", by=ALICE, now=at(LOST))


def test_a_paused_agent_resumes_at_its_until(acme: str, at: At) -> None:
    fleet(acme, 1, at(0))
    pause(acme, "a-01", at(1), until=at(60))

    let_time_pass(at(60 - INSTANT))
    assert agent(acme, "a-01").status is Status.PAUSED
    let_time_pass(at(60))

    assert agent(acme, "a-01").status is Status.AVAILABLE
    assert [row.actor for row in rows(acme)][-2:] == ["system:health"] * 2


def test_time_passes_for_no_agent_out_of_service(acme: str, at: At) -> None:
    register(acme, "registered", at(0))
    activate(acme, "terminated", at(0))
    services.terminate_agent(tenant=acme, agent_id="terminated", reason="old", by=ALICE, now=at(1))
    before = seq(acme)

    let_time_pass(at(10 * LOST))

    assert rows(acme, before) == []


def test_an_agent_whose_beats_are_ahead_of_our_clock_is_not_silent(acme: str, at: At) -> None:
    fleet(acme, 1, at(500))

    let_time_pass(at(500 + TIMEOUT))

    assert unhealthy(acme) == []


def test_an_agent_that_beats_at_that_very_moment_is_not_recorded_as_failed(
    acme: str, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet(acme, 1, at(0))
    beaten: list[bool] = []

    def append(tenant: str, *proposals: Proposal, **more: Any) -> Any:
        if not beaten:
            beaten.append(True)
            beat(acme, "a-01", now=at(99))
        return log.append(tenant, *proposals, **more)

    monkeypatch.setattr(command, "append", append)
    let_time_pass(at(100))

    assert beaten
    assert unhealthy(acme) == []


@pytest.mark.usefixtures("nothing_raised")
def test_two_sweeps_at_once_record_nothing_twice(acme: str, at: At) -> None:
    ids = fleet(acme, 4, at(0))
    start = threading.Barrier(2)

    def sweep_too() -> None:
        try:
            start.wait(10)
            let_time_pass(at(100))
        finally:
            connection.close()

    workers = [threading.Thread(target=sweep_too) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)

    assert sorted(unhealthy(acme)) == ids
    assert list(compare(acme)[1]) == []


Service = Callable[..., Outcome]


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException, agent_id: str) -> None:
    """Let the service raise for one agent."""
    as_it_is = services.let_time_pass

    def fail(**order: Any) -> Outcome:
        if order["agent_id"] == agent_id:
            raise error
        return as_it_is(**order)

    monkeypatch.setattr(services, "let_time_pass", fail)


def test_a_sweep_that_was_killed_half_way_is_finished_by_the_next(
    acme: str, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fleet(acme, 4, at(0))
    with monkeypatch.context() as patched:
        failing(patched, KeyboardInterrupt(), "a-03")
        with pytest.raises(KeyboardInterrupt):
            let_time_pass(at(100))
    assert unhealthy(acme) == ids[:2]

    let_time_pass(at(105))

    assert unhealthy(acme) == ids


@pytest.mark.parametrize("error", [RuntimeError("broken"), command.RaceLost("a-02")])
def test_one_agents_trouble_is_logged_and_stops_no_other(
    acme: str,
    at: At,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    fleet(acme, 3, at(0))
    failing(monkeypatch, error, "a-02")

    let_time_pass(at(100))

    assert unhealthy(acme) == ["a-01", "a-03"]
    assert f"The time of {acme}/a-02 does not pass" in caplog.text


def test_a_database_that_fails_ends_the_turn_of_its_tenant_alone(
    acme: str,
    globex: str,
    at: At,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fleet(acme, 3, at(0))
    activate(globex, "b-01", at(0))
    failing(monkeypatch, OperationalError("locked"), "a-02")

    let_time_pass(at(100))

    assert (unhealthy(acme), unhealthy(globex)) == (["a-01"], ["b-01"])
    assert f"The time of {acme} does not pass" in caplog.text


def test_one_tenants_trouble_is_logged_and_stops_no_other(
    acme: str,
    globex: str,
    at: At,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fleet(acme, 1, at(0))
    fleet(globex, 1, at(0))
    as_it_is = mass_loss.judge

    def judge(tenant: str, *more: Any) -> Any:
        if tenant == acme:
            raise RuntimeError("broken")
        return as_it_is(tenant, *more)

    monkeypatch.setattr(mass_loss, "judge", judge)
    let_time_pass(at(100))

    assert (unhealthy(acme), unhealthy(globex)) == ([], ["a-01"])
    assert f"The time of {acme} does not pass" in caplog.text


def test_a_sweep_goes_through_all_that_is_due_in_small_batches(
    acme: str, globex: str, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "AT_ONCE", 2)
    fleet(acme, 4, at(0))
    fleet(globex, 3, at(0))

    assert let_time_pass(at(100)) == 7

    assert (len(unhealthy(acme)), len(unhealthy(globex))) == (4, 3)


def test_a_sweep_that_takes_too_long_leaves_the_rest_to_the_next(
    acme: str, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet(acme, 2, at(0))
    monkeypatch.setattr(sweep, "AT_ONCE", 1)
    with monkeypatch.context() as hurried:
        ticks = iter(range(0, 1_000, 40))  # a budget of 60 s allows one batch
        hurried.setattr(sweep, "monotonic", lambda: next(ticks))
        assert let_time_pass(at(100)) == 1

    assert let_time_pass(at(100)) == 1

    assert unhealthy(acme) == ["a-01", "a-02"]


def test_a_sweep_leaves_alone_the_tenant_for_which_nothing_is_due(
    acme: str, globex: str, at: At
) -> None:
    fleet(acme, 2, at(0))
    fleet(globex, 2, at(50))
    before = seq(globex)

    let_time_pass(at(100))

    assert unhealthy(acme) == ["a-01", "a-02"]
    assert rows(globex, before) == []


def test_a_deadline_that_was_altered_is_found_and_put_right(acme: str, at: At) -> None:
    fleet(acme, 1, at(0))
    CurrentAgent.objects.filter(tenant=acme).update(due_at=None, silent_at=at(7))

    said = [str(each) for each in compare(acme)[1]]
    rebuild(acme)

    assert len(said) == 1
    assert "due_at is None" in said[0]
    assert "silent_at is" in said[0]
    assert list(compare(acme)[1]) == []
    let_time_pass(at(100))
    assert unhealthy(acme) == ["a-01"]


def test_health_may_come_back_and_be_lost_again(acme: str, at: At) -> None:
    fleet(acme, 1, at(0))
    let_time_pass(at(100))
    beat(acme, "a-01", now=at(110))
    assert agent(acme, "a-01").health is Health.HEALTHY

    let_time_pass(at(110 + TIMEOUT + 1))

    assert unhealthy(acme) == ["a-01", "a-01"]
