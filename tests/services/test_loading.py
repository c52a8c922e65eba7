"""The current row is a shortcut: dropped, stale or altered, it never leads to a wrong fact."""

from typing import Any

import pytest

from agents import current, services
from agents.current import AgentNotFound
from agents.domain.errors import RuleViolated
from agents.domain.evolve import fold
from agents.models import CurrentAgent, TaskClaim
from events.log import read
from events.models import Event
from tests.services.conftest import ALICE, create


def live_a_little(tenant: str, agent_id: str) -> None:
    to: Any = {"tenant": tenant, "agent_id": agent_id, "by": ALICE}
    for number in range(3):
        services.assign_task(task_id=f"t-{number}", input={"n": number}, **to)
        services.complete_task(task_id=f"t-{number}", execution_time_ms=number, **to)
    services.update_agent(tags=["eu"], metadata={"ratio": 1.0}, **to)
    services.pause_agent(reason="lunch", **to)


def columns(tenant: str) -> list[dict[str, Any]]:
    found = CurrentAgent.objects.filter(tenant=tenant).order_by("agent_id")
    return [{k: v for k, v in row.items() if k != "id"} for row in found.values()]


def test_dropping_all_current_rows_changes_nothing_that_anyone_sees(acme: str, a1: str) -> None:
    live_a_little(acme, a1)
    before = current.load(acme, a1)
    CurrentAgent.objects.filter(tenant=acme).delete()

    after = current.load(acme, a1)
    assert (after.agent, after.version, after.seq) == (before.agent, before.version, before.seq)
    outcome = services.resume_agent(tenant=acme, agent_id=a1, by=ALICE)

    assert outcome.version == before.version + 2
    again = current.load(acme, a1)
    assert again.has_row
    assert again.agent == outcome.agent


def test_live_rows_equal_rebuilt_rows(acme: str, a1: str) -> None:
    create(acme, "a-2", active=False)
    live_a_little(acme, a1)

    for row in columns(acme):
        rebuilt = current.rebuild_agent(acme, row["agent_id"])
        assert row == {
            **current.columns(rebuilt.agent),
            "tenant_id": acme,
            "agent_id": row["agent_id"],
            "version": rebuilt.version,
            "seq": rebuilt.seq,
        }


def test_the_agent_at_each_version_is_the_fold_of_the_prefix(acme: str, a1: str) -> None:
    live_a_little(acme, a1)
    facts: Any = list(read.stream_facts(acme, "agent", a1))
    seqs = Event.objects.filter(tenant=acme, stream_id=a1).order_by("version")

    for version, event in enumerate(seqs, 1):
        then = current.rebuild_agent(acme, a1, version=version)
        assert then.agent == fold(facts[:version])
        assert (then.version, then.seq) == (version, event.seq)


@pytest.mark.parametrize("version", [0, -1, 4, 10_000])
def test_a_version_that_was_never_reached_is_not_found(acme: str, a1: str, version: int) -> None:
    with pytest.raises(AgentNotFound):
        current.rebuild_agent(acme, a1, version=version)


def test_a_history_longer_than_a_chunk_is_read_whole(
    acme: str, a1: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_a_little(acme, a1)
    whole = current.rebuild_agent(acme, a1)

    for chunk in (1, 2, 3, whole.version - 1, whole.version, whole.version + 1):
        monkeypatch.setattr(read, "CHUNK", chunk)
        assert current.rebuild_agent(acme, a1) == whole
        assert current.rebuild_agent(acme, a1, version=4).version == 4


def _row(tenant: str) -> Any:
    return CurrentAgent.objects.filter(tenant=tenant)


ALTERED: dict[str, dict[str, Any]] = {
    "made by other rules": {"fold": current.FOLD + 1},
    "not JSON": {"state": "{"},
    "JSON, but no agent": {"state": '{"agent_id": 7}'},
    "empty": {"state": ""},
    "ahead of its stream": {"version": 40},
    "far behind": {"version": 1},
}


@pytest.mark.parametrize("how", ALTERED)
def test_an_altered_row_is_healed_by_the_next_command(acme: str, a1: str, how: str) -> None:
    live_a_little(acme, a1)
    truth = current.rebuild_agent(acme, a1)
    _row(acme).update(**ALTERED[how])

    outcome = services.resume_agent(tenant=acme, agent_id=a1, by=ALICE)

    assert outcome.version == truth.version + 2
    rebuilt = current.rebuild_agent(acme, a1)
    assert current.load(acme, a1).agent == rebuilt.agent == outcome.agent
    assert _row(acme).get().version == rebuilt.version


def test_a_row_that_other_rules_made_is_not_believed(acme: str, a1: str) -> None:
    live_a_little(acme, a1)
    before = current.load(acme, a1)
    state = _row(acme).get().state.replace("Translator", "Impostor")
    _row(acme).update(fold=current.FOLD + 1, state=state)

    after = current.load(acme, a1)

    assert (after.agent, after.version, after.seq) == (before.agent, before.version, before.seq)


def test_a_row_from_before_never_leads_to_a_wrong_fact(acme: str, a1: str) -> None:
    old = _row(acme).values("version", "seq", "state", "status", "intent").get()
    live_a_little(acme, a1)
    _row(acme).update(**old)  # it says available; the log says paused

    with pytest.raises(RuleViolated, match="PAUSED"):
        services.assign_task(tenant=acme, agent_id=a1, task_id="t-9", by=ALICE)

    assert not TaskClaim.objects.filter(tenant=acme, task_id="t-9").exists()
    services.add_capability(
        tenant=acme, agent_id=a1, name="sum", proficiency_level=1, by=ALICE
    )  # the next fact of any kind heals the row
    assert current.load(acme, a1).agent == current.rebuild_agent(acme, a1).agent
    services.resume_agent(tenant=acme, agent_id=a1, by=ALICE)


def test_loading_another_tenants_agent_finds_nothing(a1: str, globex: str) -> None:
    with pytest.raises(AgentNotFound):
        current.load(globex, a1)
    with pytest.raises(AgentNotFound):
        current.rebuild_agent(globex, a1)
