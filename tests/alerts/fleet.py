"""Facts as an agent's commands record them, and what stands of alerts."""

from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from events.facts import Fact
from events.log.append import append
from events.log.proposal import Context, Proposal
from events.models import Event
from events.vocabulary import (
    AgentCreatedEvent,
    AgentDetailsChangedEvent,
    AgentHealthCheckFailedEvent,
    AgentHealthCheckPassedEvent,
    AgentPausedEvent,
    AgentResumedEvent,
    AgentStatusChangedEvent,
    AgentTaskCompletedEvent,
    AgentTaskFailedEvent,
    AgentTerminatedEvent,
    Capability,
)
from projections.alerts import rule_services
from projections.alerts.models import Alert
from projections.alerts.rules import Rule

ALICE = Context(actor="user:alice")
MALLORY = Context(actor="user:mallory")


def happen(tenant: str, *facts: Fact, agent_id: str = "a-1") -> int:
    """Record facts on the agent's stream, and return the last one's seq."""
    versions = Event.objects.filter(tenant=tenant, stream_type="agent", stream_id=agent_id)
    newest = versions.order_by("-version").values_list("version", flat=True).first() or 0
    return append(tenant, Proposal("agent", agent_id, newest, facts, ALICE)).seq


def created(agent_id: str = "a-1", tags: Sequence[str] = ()) -> Fact:
    return AgentCreatedEvent(
        agent_id, tenant_id="acme", capabilities=(Capability("nlp", 3),), tags=tuple(tags)
    )


def tagged(*tags: str, agent_id: str = "a-1") -> Fact:
    return AgentDetailsChangedEvent(agent_id, {"tags": list(tags)})


def outage(agent_id: str = "a-1", reason: str = "silent for 90 s") -> tuple[Fact, ...]:
    return (
        AgentHealthCheckFailedEvent(agent_id, reason=reason),
        AgentStatusChangedEvent(agent_id, from_status="AVAILABLE", to_status="UNHEALTHY"),
    )


def recovery(agent_id: str = "a-1") -> tuple[Fact, ...]:
    return (
        AgentHealthCheckPassedEvent(agent_id),
        AgentStatusChangedEvent(agent_id, from_status="UNHEALTHY", to_status="AVAILABLE"),
    )


def completed(agent_id: str = "a-1", task_id: str = "t-1") -> Fact:
    return AgentTaskCompletedEvent(agent_id, task_id=task_id)


def failed(agent_id: str = "a-1", task_id: str = "t-1", message: str = "no") -> Fact:
    return AgentTaskFailedEvent(agent_id, task_id=task_id, error_message=message)


def paused(agent_id: str = "a-1") -> Fact:
    return AgentPausedEvent(agent_id, reason="lunch")


def resumed(agent_id: str = "a-1") -> Fact:
    return AgentResumedEvent(agent_id)


def terminated(agent_id: str = "a-1") -> Fact:
    return AgentTerminatedEvent(agent_id, reason="old")


def rule(tenant: str, name: str = "mine", **fields: Any) -> dict[str, str]:
    """Make an event rule of acme's; the secrets of its webhooks."""
    made = Rule(name=name, **fields)
    return rule_services.create_rule(tenant=tenant, rule=made, by=ALICE)[1]


def alerts(tenant: str, **which: Any) -> list[Alert]:
    return list(Alert.objects.filter(tenant=tenant, **which).order_by("opened_seq", "rule"))


def states(tenant: str, **which: Any) -> list[tuple[str, str, str]]:
    return [(alert.rule, alert.subject, alert.state) for alert in alerts(tenant, **which)]


def stand(tenant: str, name: str = "mine", subject: str = "a-1") -> Alert:
    """An alert that stands, made without an event."""
    now = timezone.now()
    return Alert.objects.create(
        tenant_id=tenant,
        rule=name,
        subject=subject,
        troubles=["AgentHealthCheckFailedEvent"],
        detail="AgentHealthCheckFailedEvent: silent",
        opened_at=now,
        opened_seq=1,
        last_at=now,
        last_seq=1,
    )
