"""The same request, sent again under its key, happens once and gets its first answer."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from agents import command, current, services
from agents.command import Outcome, Request
from agents.domain.errors import RuleViolated
from agents.domain.state import Agent
from events.facts import DomainEvent, utc_now
from events.idempotency import Answer, AnsweredBefore, KeyReused, Once
from events.log.append import append
from events.models import Event, IdempotencyKey
from events.vocabulary import Capability
from tests.services.conftest import ALICE


def once(
    tenant: str, key: str = "k-1", *, principal: str = "user:alice", body: bytes = b"{}"
) -> Once:
    return Once.of(tenant=tenant, principal=principal, method="POST", path="/x", key=key, body=body)


def render(agent: Agent, version: int, facts: Sequence[DomainEvent]) -> Answer:
    body = {"agent_id": agent.agent_id, "status": agent.status, "seq": None, "n": len(facts)}
    return Answer(200, body, location="/here", version=version)


def assign(tenant: str, agent_id: str, key: Once) -> Outcome:
    return services.assign_task(
        tenant=tenant,
        agent_id=agent_id,
        task_id="t-1",
        by=ALICE,
        request=Request(render=render, once=key),
    )


def assignments(tenant: str) -> int:
    return Event.objects.filter(tenant=tenant, type="AgentTaskAssignedEvent").count()


def test_the_first_answer_is_kept_with_the_events(acme: str, a1: str) -> None:
    key = once(acme)
    assert key.earlier_answer() is None

    outcome = assign(acme, a1, key)

    assert outcome.answer is not None
    assert outcome.answer.body == {"agent_id": a1, "status": "BUSY", "seq": outcome.seq, "n": 2}
    assert key.earlier_answer() == outcome.answer


def test_the_same_request_twice_is_one_event(acme: str, a1: str) -> None:
    key = once(acme)
    first = services.record_health_failure(
        tenant=acme, agent_id=a1, reason="x", by=ALICE, request=Request(render=render, once=key)
    )
    services.record_heartbeat(
        tenant=acme,
        agent_id=a1,
        success_rate=1,
        response_time_ms=1,
        cpu_usage_percent=1,
        memory_usage_percent=1,
        by=ALICE,
    )
    before = current.load(acme, a1).version

    with pytest.raises(AnsweredBefore):
        services.record_health_failure(
            tenant=acme, agent_id=a1, reason="x", by=ALICE, request=Request(render=render, once=key)
        )

    assert current.load(acme, a1).version == before
    assert key.earlier_answer() == first.answer


class TheSameFirst:
    """Lets the very same request be recorded by another process just before the append."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, request: Any) -> None:
        self.waiting = [request]
        monkeypatch.setattr(command, "append", self.append)

    def append(self, *given: Any, **more: Any) -> Any:
        if self.waiting:
            self.waiting.pop()()
        return append(*given, **more)


def test_a_request_that_overtakes_itself_is_answered_before_and_not_refused(
    acme: str, a1: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = once(acme)
    TheSameFirst(monkeypatch, lambda: assign(acme, a1, key))

    with pytest.raises(AnsweredBefore):
        assign(acme, a1, key)

    assert assignments(acme) == 1
    answer = key.earlier_answer()
    assert answer is not None
    assert answer.body["status"] == "BUSY"


def test_a_creation_that_overtakes_itself_is_answered_before_and_not_refused(
    acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = once(acme)

    def create() -> Outcome:
        return services.create_agent(
            tenant=acme,
            agent_id="a-7",
            name="x",
            capabilities=[Capability("translate", 1)],
            by=ALICE,
            request=Request(render=render, once=key),
        )

    TheSameFirst(monkeypatch, create)

    with pytest.raises(AnsweredBefore):
        create()

    assert current.load(acme, "a-7").version == 1


def test_a_refused_command_keeps_no_key(acme: str, a1: str) -> None:
    key = once(acme)
    with pytest.raises(RuleViolated):
        services.resume_agent(
            tenant=acme, agent_id=a1, by=ALICE, request=Request(render=render, once=key)
        )

    assert key.earlier_answer() is None


def test_a_command_that_changes_nothing_keeps_its_answer_too(acme: str, a1: str) -> None:
    key = once(acme)
    outcome = services.update_agent(
        tenant=acme,
        agent_id=a1,
        name="Translator",
        by=ALICE,
        request=Request(render=render, once=key),
    )

    assert outcome.facts == ()
    assert key.earlier_answer() == outcome.answer


def test_a_key_with_another_body_is_refused(acme: str, a1: str) -> None:
    assign(acme, a1, once(acme))

    with pytest.raises(KeyReused):
        once(acme, body=b'{"a": 1}').earlier_answer()


def test_a_key_is_one_principals_and_one_tenants(acme: str, a1: str, globex: str) -> None:
    assign(acme, a1, once(acme))

    assert once(acme, principal="user:bob").earlier_answer() is None
    assert once(globex).earlier_answer() is None
    assert once(acme, "k-2").earlier_answer() is None


def test_a_key_is_forgotten_after_a_day(acme: str, a1: str) -> None:
    key = once(acme)
    assign(acme, a1, key)

    almost = utc_now() + timedelta(hours=23, minutes=59)
    assert key.earlier_answer(almost) is not None
    assert key.earlier_answer(utc_now() + timedelta(hours=24, minutes=1)) is None
    assert not IdempotencyKey.objects.filter(tenant=acme).exists()
