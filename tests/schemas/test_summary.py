"""Every event in a sentence of its own: the human reading of a timeline."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import registry, tenant_facts, vocabulary
from events.ancestors.agent_task_completed_1_0 import AgentTaskCompletedEventV1
from events.facts import Fact
from events.phrases import one_line, took
from events.registry import Kind
from events.summary import _SENTENCES, MAX_LENGTH, sentence
from events.vocabulary import (
    AgentCreatedEvent,
    AgentDetailsChangedEvent,
    AgentHealthCheckFailedEvent,
    AgentHealthCheckPassedEvent,
    AgentPausedEvent,
    AgentStatusChangedEvent,
    AgentTaskAssignedEvent,
    AgentTaskCompletedEvent,
    AgentTaskFailedEvent,
    AgentTerminatedEvent,
    Capability,
    Usage,
)
from tests.projections.folding import logged
from tests.schemas.payloads import stored

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
MORNING = datetime(2026, 1, 5, 9, 30, 15, tzinfo=UTC)
LATER = datetime(2026, 2, 1, tzinfo=UTC)


def told(fact: Fact, actor: str = "user:alice") -> str:
    return sentence(logged([fact], actor=actor)[0])


CASES: dict[str, tuple[Fact, str]] = {
    "created": (
        AgentCreatedEvent(
            "a-1", tenant_id="acme", name="Ada", capabilities=(Capability("write", 3),)
        ),
        "alice created a-1 (Ada) with write",
    ),
    "activated": (vocabulary.AgentActivatedEvent("a-1"), "alice activated a-1"),
    "learnt": (
        vocabulary.AgentCapabilityAddedEvent("a-1", capability_name="write", proficiency_level=3),
        "a-1 gained write at level 3",
    ),
    "upgraded": (
        vocabulary.AgentCapabilityUpgradedEvent(
            "a-1", capability_name="write", from_level=3, to_level=5
        ),
        "a-1 rose from level 3 to 5 in write",
    ),
    "assigned": (
        AgentTaskAssignedEvent("a-1", task_id="t-9", input="hunter2"),
        "alice assigned t-9 to a-1",
    ),
    "completed": (
        AgentTaskCompletedEvent(
            "a-1", task_id="t-9", execution_time_ms=1200, usage=Usage(900, 40), result="hunter2"
        ),
        "a-1 completed t-9 in 1.2 s (900 tokens in, 40 out)",
    ),
    "completed uncounted": (
        AgentTaskCompletedEvent("a-1", task_id="t-9", execution_time_ms=200_000),
        "a-1 completed t-9 in 3 min 20 s",
    ),
    "failed": (
        AgentTaskFailedEvent("a-1", task_id="t-9", error_message="no memory", error_code="OOM"),
        "t-9 failed on a-1 (OOM): no memory",
    ),
    "status": (
        AgentStatusChangedEvent("a-1", from_status="BUSY", to_status="PAUSED", reason="night"),
        "a-1 went from BUSY to PAUSED: night",
    ),
    "seen": (
        AgentHealthCheckPassedEvent(
            "a-1",
            success_rate=0.995,
            response_time_ms=12,
            cpu_usage_percent=40.4,
            memory_usage_percent=60,
        ),
        "a-1 is healthy: 12 ms, CPU 40 %, memory 60 %, success rate 99.5 %",
    ),
    "unhealthy": (
        AgentHealthCheckFailedEvent(
            "a-1", reason="no answer", last_seen=MORNING, checked_at=NOON, timeout_seconds=90
        ),
        "a-1 was found unhealthy, last seen at 09:30:15 UTC: no answer",
    ),
    "unhealthy, never seen": (
        AgentHealthCheckFailedEvent("a-1", reason="no answer"),
        "a-1 was found unhealthy, never seen: no answer",
    ),
    "paused": (
        AgentPausedEvent("a-1", reason="its model is being changed", until=NOON, paused_at=MORNING),
        "alice paused a-1 until 12:00 UTC: its model is being changed",
    ),
    "paused into another month": (
        AgentPausedEvent("a-1", reason="holidays", until=LATER, paused_at=MORNING),
        "alice paused a-1 until 2026-02-01 00:00 UTC: holidays",
    ),
    "resumed": (vocabulary.AgentResumedEvent("a-1"), "alice resumed a-1"),
    "terminated": (
        AgentTerminatedEvent("a-1", reason="old", tasks_completed=1_200, tasks_failed=1),
        "alice terminated a-1 after 1,200 completed and 1 failed tasks: old",
    ),
    "details": (
        AgentDetailsChangedEvent(
            "a-1", changed={"name": "Bea", "tags": ["eu", "us"], "metadata": {"key": "hunter2"}}
        ),
        "alice changed a-1: its name is now Bea, its tags are now eu, us, its metadata",
    ),
    "member added": (
        tenant_facts.MemberAdded(username="bob", role="operator"),
        "alice added bob as operator",
    ),
    "role": (
        tenant_facts.MemberChanged(
            username="bob", from_role="operator", to_role="auditor", suspended=False
        ),
        "alice changed bob from operator to auditor",
    ),
    "suspended": (
        tenant_facts.MemberChanged(
            username="bob", from_role="operator", to_role="operator", suspended=True
        ),
        "alice suspended bob",
    ),
    "readmitted": (
        tenant_facts.MemberChanged(
            username="bob", from_role="operator", to_role="operator", suspended=False
        ),
        "alice readmitted bob",
    ),
    "removed": (
        tenant_facts.MemberRemoved(username="bob", role="operator"),
        "alice removed bob, who was operator",
    ),
    "token": (
        tenant_facts.TokenIssued(
            token_id="1", name="ci", role="operator", expires_at=LATER, occurred_at=NOON
        ),
        "alice issued token ci with the role operator, good until 2026-02-01 00:00 UTC",
    ),
    "token of an agent": (
        tenant_facts.TokenIssued(token_id="1", name="ci", role="agent", agent_id="a-1"),
        "alice issued token ci of agent a-1",
    ),
    "revoked": (tenant_facts.TokenRevoked(token_id="1", name="ci"), "alice revoked token ci"),
    "settings": (
        tenant_facts.SettingsChanged(changed={"confidential_payloads": True}),
        "alice changed settings: confidential_payloads is now true",
    ),
    "signed in": (tenant_facts.SignedIn(username="bob"), "bob signed in"),
    "sign-in failed": (
        tenant_facts.SignInFailed(username="bob"),
        "somebody failed to sign in as bob",
    ),
    "denied": (
        tenant_facts.AccessDenied(
            principal="user:carol", method="POST", route="/agents", role="auditor"
        ),
        "user:carol, in the role auditor, was refused POST /agents",
    ),
    "exported": (
        tenant_facts.LogExported(format="jsonl", from_seq=7, to_seq=None, filters={"types": "A*"}),
        "alice exported the log as jsonl from seq 7 to the end, filtered by types",
    ),
    "asked": (
        tenant_facts.LogExported(
            format="csv",
            from_seq=1,
            to_seq=9,
            filters={"query": "-type:Agent*", "hours_zone": "UTC"},
        ),
        "alice exported the log as csv from seq 1 to seq 9, what fits -type:Agent*",
    ),
    "erased": (
        tenant_facts.PayloadErased(agent_id=None, task_id="t-9", reason="asked for"),
        "alice erased payloads of task t-9: asked for",
    ),
    "viewed": (
        tenant_facts.TenantViewedBySuperuser(username="root"),
        "superuser root looked in",
    ),
    "skipped": (
        tenant_facts.EventSkipped(
            subscription="mail",
            stream_type="agent",
            stream_id="a-1",
            event_id="e",
            seq=1_042,
            reason="it cannot be read",
        ),
        "alice skipped seq 1,042 of a-1 for subscription mail: it cannot be read",
    ),
    "let go": (
        tenant_facts.SubscriptionResumed(
            subscription="mail", from_seq=31, after_seq=1_021, reason="a backup was put back"
        ),
        "alice let go subscription mail after seq 1,021: a backup was put back",
    ),
    "let go from the first": (
        tenant_facts.SubscriptionResumed(
            subscription="mail", from_seq=31, after_seq=0, reason="again"
        ),
        "alice let go subscription mail from the first event: again",
    ),
    "silence": (
        tenant_facts.MassLossSuspected(silent=60, healthy=1_000, agents=("a-1",)),
        "60 of 1,000 agents fell silent together, so silence counts no more",
    ),
    "silence confirmed": (
        tenant_facts.MassLossConfirmed(reason="the rack burns"),
        "alice confirmed that the silent agents are lost: the rack burns",
    ),
    "silence over": (
        tenant_facts.MassLossResolved(reason="they are back"),
        "agents fall silent together no more, so silence counts again: they are back",
    ),
    "rule": (
        tenant_facts.AlertRuleChanged(rule="slow", changed={"severity": "page", "above": 3}),
        "alice changed alert rule slow: severity, above",
    ),
    "rule deleted": (
        tenant_facts.AlertRuleDeleted(rule="slow"),
        "alice deleted alert rule slow",
    ),
    "acknowledged": (
        tenant_facts.AlertAcknowledged(alert_id="1", rule="slow", agent_id="a-1", note="mine"),
        "alice acknowledged alert slow of agent a-1: mine",
    ),
    "resolved": (
        tenant_facts.AlertResolved(alert_id="1", rule="slow", agent_id=None, reason="over"),
        "alice resolved alert slow: over",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_event_is_told_in_a_sentence(case: str) -> None:
    fact, wanted = CASES[case]

    assert told(fact) == wanted


def test_every_type_has_a_sentence_and_an_example_of_it_here() -> None:
    newest = {registry.newest(name) for name in registry.types()}

    assert set(_SENTENCES) == newest
    assert {type(fact) for fact, _ in CASES.values()} == newest


@pytest.mark.parametrize(
    ("actor", "wanted"),
    [
        ("user:alice", "alice paused a-1: night"),
        ("token:ci", "token:ci paused a-1: night"),
        ("system:health", "system:health paused a-1: night"),
        ("agent:a-2", "a-2 paused a-1: night"),
        ("agent:a-1", "a-1 paused itself: night"),
        ("strange", "strange paused a-1: night"),
    ],
)
def test_an_actor_is_named_as_people_know_it(actor: str, wanted: str) -> None:
    assert told(AgentPausedEvent("a-1", reason="night"), actor) == wanted


def test_an_event_that_was_in_no_log_is_told_without_an_actor() -> None:
    assert sentence(AgentPausedEvent("a-1", reason="night")) == "a-1 was paused: night"
    assert (
        sentence(tenant_facts.SettingsChanged(changed={"a": 1}))
        == "settings were changed: a is now 1"
    )


def test_an_older_version_is_told_as_the_newest() -> None:
    old = AgentTaskCompletedEventV1("a-1", task_id="t-9", execution_time_ms=12)

    assert sentence(old) == "a-1 completed t-9 in 12 ms"


def test_a_type_that_nobody_has_worded_is_told_by_its_name() -> None:
    class AgentDreamtEvent(Fact, frozen=True):
        pass

    assert sentence(AgentDreamtEvent()) == "AgentDreamtEvent"


@pytest.mark.parametrize("name", registry.types())
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_any_legal_value_gives_one_harmless_line(name: str, data: st.DataObject) -> None:
    kind = Kind(name, registry.versions(name)[-1])
    fact = registry.decoder(*kind)(data.draw(stored(kind)))

    assert_harmless(told(fact, data.draw(st.sampled_from(["user:alice", "agent:a-1"]))))


HOSTILE = "x\n\r\u2028\u2029\x1b[31m\x07\u202egnp\u2066\u200f\ufeff\t\x85 <b>" * 500


@pytest.mark.parametrize("name", registry.types())
def test_hostile_text_comes_out_as_one_harmless_line(name: str) -> None:
    fact = registry.newest(name)
    text = msgspec.json.decode(EXAMPLES[name])
    hostile = msgspec.convert(with_hostile_text(text), fact)

    line = told(hostile, f"user:{HOSTILE}")

    assert_harmless(line)
    assert "x" in line or name == "MassLossSuspected"  # in which no text is shown


EXAMPLES = {fact.type: msgspec.json.encode(fact) for fact, _ in CASES.values()}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT")


def with_hostile_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: with_hostile_text(each) for key, each in value.items()}
    if isinstance(value, list):
        return [with_hostile_text(each) for each in value]
    return HOSTILE if isinstance(value, str) and not MOMENT.match(value) else value


def assert_harmless(line: str) -> None:
    assert 0 < len(line) <= MAX_LENGTH
    shapeless = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    found = [each for each in line if unicodedata.category(each) in shapeless]
    assert set(found) <= set("\u200c\u200d"), found
    assert line.splitlines() == [line]


def test_what_may_be_confidential_is_in_no_sentence() -> None:
    assert not [case for case, (fact, _) in CASES.items() if "hunter2" in told(fact)]


def test_a_cut_line_says_so_and_an_emoji_stays_whole() -> None:
    assert one_line("a" * 50, 10) == "a" * 9 + "…"
    assert one_line("so \U0001f469\u200d\U0001f4bb\n", 10) == "so \U0001f469\u200d\U0001f4bb"
    assert one_line("a\u202eb\x00c", 10) == "a\ufffdb\ufffdc"


@pytest.mark.parametrize(
    ("milliseconds", "wanted"),
    [
        (0, "0 ms"),
        (0.25, "0.25 ms"),
        (999, "999 ms"),
        (1_000, "1 s"),
        (59_900, "59.9 s"),
        (61_000, "1 min 1 s"),
        (18_180_000, "5 h 3 min"),
        (2**63 - 1, "1.07e+11 d"),
        (1e308, "1.16e+300 d"),
    ],
)
def test_a_time_is_told_in_the_units_that_people_use(milliseconds: float, wanted: str) -> None:
    assert took(milliseconds) == wanted
