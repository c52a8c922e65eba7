"""What happened, in a sentence that needs nothing beside it.

    sentence(event)   "a-1 completed t-9 in 1.2 s (900 tokens in, 40 out)"

A pure function of one event, so it needs no table (ADR 119). It is total: any event of a known type
gives one harmless line of at most MAX_LENGTH characters. Inputs and results of tasks, which may be
confidential, and metadata, which may be anything, are never in it.
"""

from collections.abc import Callable
from typing import Any

from events import registry, tenant_facts, vocabulary
from events.facts import Fact
from events.phrases import FIRST, at, because, name, one_line, settings, took, vitals

MAX_LENGTH = 240


def sentence(event: Fact) -> str:
    """The event in a sentence without a full stop; the bare type of one that nobody has worded."""
    wording = _SENTENCES.get(type(event))
    if wording is None:  # perhaps an older version, as a pinned subscriber has it
        event = registry.represent(event, None)
        wording = _SENTENCES.get(type(event), lambda e: e.type)
    return one_line(wording(event), MAX_LENGTH)


def _did(event: Any, verb: str, what: str, rest: str = "", *, was: str = "was") -> str:
    """`alice paused a-1`, or `a-1 was paused` where nobody knows by whom. verb: in a form that is
    its past tense and its participle too."""
    envelope = event.envelope
    if envelope is None:
        return f"{what} {was} {verb}{rest}"
    kind, _, who = envelope.actor.partition(":")
    if kind == "agent" and who == what:
        return f"{name(who)} {verb} itself{rest}"
    shown = who if kind in ("user", "agent") else envelope.actor
    return f"{name(shown)} {verb} {what}{rest}"


def _created(e: vocabulary.AgentCreatedEvent) -> str:
    many = len(e.capabilities)
    able = f"{many} capabilities" if many != 1 else name(e.capabilities[0].name)
    called = f" ({name(e.name)})" if e.name else ""
    return _did(e, "created", name(e.agent_id), f"{called} with {able}")


def _completed(e: vocabulary.AgentTaskCompletedEvent) -> str:
    tokens = (
        f" ({e.usage.input_tokens:,} tokens in, {e.usage.output_tokens:,} out)" if e.usage else ""
    )
    return f"{name(e.agent_id)} completed {name(e.task_id)} in {took(e.execution_time_ms)}{tokens}"


def _failed(e: vocabulary.AgentTaskFailedEvent) -> str:
    code = f" ({name(e.error_code)})" if e.error_code else ""
    return f"{name(e.task_id)} failed on {name(e.agent_id)}{code}{because(e.error_message)}"


def _seen(e: vocabulary.AgentHealthCheckPassedEvent) -> str:
    told = vitals(e.response_time_ms, e.cpu_usage_percent, e.memory_usage_percent)
    return f"{name(e.agent_id)} is healthy: {told}, success rate {100 * e.success_rate:.3g} %"


def _unhealthy(e: vocabulary.AgentHealthCheckFailedEvent) -> str:
    seen = f"last seen at {at(e.last_seen, e.checked_at)}" if e.last_seen else "never seen"
    return f"{name(e.agent_id)} was found unhealthy, {seen}{because(e.reason)}"


def _paused(e: vocabulary.AgentPausedEvent) -> str:
    until = f" until {at(e.until, e.paused_at)}" if e.until else ""
    return _did(e, "paused", name(e.agent_id), f"{until}{because(e.reason)}")


def _terminated(e: vocabulary.AgentTerminatedEvent) -> str:
    tasks = f" after {e.tasks_completed:,} completed and {e.tasks_failed:,} failed tasks"
    return _did(e, "terminated", name(e.agent_id), f"{tasks}{because(e.reason)}")


def _details_changed(e: vocabulary.AgentDetailsChangedEvent) -> str:
    new = e.changed
    told = []
    if "name" in new:
        told.append(f"its name is now {name(new['name'])}")
    if "description" in new:
        told.append("its description")
    if "tags" in new:
        told.append(f"its tags are now {', '.join(map(name, new['tags'][:FIRST])) or 'none'}")
    if "metadata" in new:
        told.append("its metadata")
    if "health_check_timeout_seconds" in new:
        told.append(f"its timeout is now {new['health_check_timeout_seconds']} s")
    return _did(e, "changed", name(e.agent_id), because(", ".join(told)))


def _member_changed(e: tenant_facts.MemberChanged) -> str:
    if e.from_role != e.to_role:
        roles = f" from {name(e.from_role)} to {name(e.to_role)}"
        return _did(e, "changed", name(e.username), roles)
    if e.suspended:
        return _did(e, "suspended", name(e.username))
    return _did(e, "readmitted", name(e.username))


def _token_issued(e: tenant_facts.TokenIssued) -> str:
    whose = f" of agent {name(e.agent_id)}" if e.agent_id else f" with the role {name(e.role)}"
    until = f", good until {at(e.expires_at, e.occurred_at)}" if e.expires_at else ""
    return _did(e, "issued", f"token {name(e.name)}", f"{whose}{until}")


def _settings_changed(e: tenant_facts.SettingsChanged) -> str:
    return _did(e, "changed", "settings", because(settings(e.changed)), was="were")


def _exported(e: tenant_facts.LogExported) -> str:
    low = "the beginning" if e.from_seq is None else f"seq {e.from_seq:,}"
    high = "the end" if e.to_seq is None else f"seq {e.to_seq:,}"
    by = f", filtered by {', '.join(map(name, list(e.filters)[:FIRST]))}" if e.filters else ""
    if isinstance(query := e.filters.get("query"), str):
        by = f", what fits {name(query)}"
    return _did(e, "exported", "the log", f" as {name(e.format)} from {low} to {high}{by}")


def _erased(e: tenant_facts.PayloadErased) -> str:
    of = [
        *([f"task {name(e.task_id)}"] if e.task_id else []),
        *([f"agent {name(e.agent_id)}"] if e.agent_id else []),
    ]
    what = f"payloads of {' with '.join(of)}" if of else "payloads"
    return _did(e, "erased", what, because(e.reason), was="were")


def _skipped(e: tenant_facts.EventSkipped) -> str:
    where = f" for subscription {name(e.subscription)}"
    return _did(e, "skipped", f"seq {e.seq:,} of {name(e.stream_id)}", where + because(e.reason))


def _resumed(e: tenant_facts.SubscriptionResumed) -> str:
    where = f" after seq {e.after_seq:,}" if e.after_seq else " from the first event"
    what = f"subscription {name(e.subscription)}"
    return _did(e, "let go", what, where + because(e.reason), was="was")


def _alert(rule: str, agent_id: str | None) -> str:
    of = f" of agent {name(agent_id)}" if agent_id else ""
    return f"alert {name(rule)}{of}"


def _rule_changed(e: tenant_facts.AlertRuleChanged) -> str:
    fields = ", ".join(map(name, list(e.changed)[:FIRST]))
    return _did(e, "changed", f"alert rule {name(e.rule)}", because(fields))


# By exact type, and every type there is: a test counts them.
_SENTENCES: dict[type[Fact], Callable[[Any], str]] = {
    vocabulary.AgentCreatedEvent: _created,
    vocabulary.AgentActivatedEvent: lambda e: _did(e, "activated", name(e.agent_id)),
    vocabulary.AgentCapabilityAddedEvent: lambda e: (
        f"{name(e.agent_id)} gained {name(e.capability_name)} at level {e.proficiency_level}"
    ),
    vocabulary.AgentCapabilityUpgradedEvent: lambda e: (
        f"{name(e.agent_id)} rose from level {e.from_level} to {e.to_level} "
        f"in {name(e.capability_name)}"
    ),
    vocabulary.AgentTaskAssignedEvent: lambda e: _did(
        e, "assigned", name(e.task_id), f" to {name(e.agent_id)}"
    ),
    vocabulary.AgentTaskCompletedEvent: _completed,
    vocabulary.AgentTaskFailedEvent: _failed,
    vocabulary.AgentStatusChangedEvent: lambda e: (
        f"{name(e.agent_id)} went from {name(e.from_status)} to {name(e.to_status)}"
        f"{because(e.reason)}"
    ),
    vocabulary.AgentHealthCheckPassedEvent: _seen,
    vocabulary.AgentHealthCheckFailedEvent: _unhealthy,
    vocabulary.AgentPausedEvent: _paused,
    vocabulary.AgentResumedEvent: lambda e: _did(e, "resumed", name(e.agent_id), because(e.reason)),
    vocabulary.AgentTerminatedEvent: _terminated,
    vocabulary.AgentDetailsChangedEvent: _details_changed,
    tenant_facts.MemberAdded: lambda e: _did(e, "added", name(e.username), f" as {name(e.role)}"),
    tenant_facts.MemberChanged: _member_changed,
    tenant_facts.MemberRemoved: lambda e: _did(
        e, "removed", name(e.username), f", who was {name(e.role)}"
    ),
    tenant_facts.TokenIssued: _token_issued,
    tenant_facts.TokenRevoked: lambda e: _did(e, "revoked", f"token {name(e.name)}"),
    tenant_facts.SettingsChanged: _settings_changed,
    tenant_facts.SignedIn: lambda e: f"{name(e.username)} signed in",
    tenant_facts.SignInFailed: lambda e: f"somebody failed to sign in as {name(e.username)}",
    tenant_facts.AccessDenied: lambda e: (
        f"{name(e.principal)}, in the role {name(e.role)}, was refused {name(e.method)} {e.route}"
    ),
    tenant_facts.LogExported: _exported,
    tenant_facts.PayloadErased: _erased,
    tenant_facts.TenantViewedBySuperuser: lambda e: f"superuser {name(e.username)} looked in",
    tenant_facts.MassLossSuspected: lambda e: (
        f"{e.silent:,} of {e.healthy:,} agents fell silent together, so silence counts no more"
    ),
    tenant_facts.MassLossConfirmed: lambda e: _did(
        e, "confirmed", "that the silent agents are lost", because(e.reason)
    ),
    tenant_facts.MassLossResolved: lambda e: (
        f"agents fall silent together no more, so silence counts again{because(e.reason)}"
    ),
    tenant_facts.EventSkipped: _skipped,
    tenant_facts.SubscriptionResumed: _resumed,
    tenant_facts.AlertRuleChanged: _rule_changed,
    tenant_facts.AlertRuleDeleted: lambda e: _did(e, "deleted", f"alert rule {name(e.rule)}"),
    tenant_facts.AlertAcknowledged: lambda e: _did(
        e, "acknowledged", _alert(e.rule, e.agent_id), because(e.note)
    ),
    tenant_facts.AlertResolved: lambda e: _did(
        e, "resolved", _alert(e.rule, e.agent_id), because(e.reason)
    ),
}
