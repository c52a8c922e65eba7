"""What happened, in one short line: the part of an event's data that a reader of a list wants, who
sees its type and whom it is about beside it. `events.summary` says it in a whole sentence."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from events import summary
from events.log import read
from events.models import Event
from events.pages import data
from events.phrases import one_line, settings, took, vitals

Data = Mapping[str, Any]
MAX_LENGTH = 160

_LINES: dict[str, Callable[[Data], str]] = {
    "AgentCreatedEvent": lambda d: str(d["name"]),
    "AgentCapabilityAddedEvent": lambda d: f"{d['capability_name']} at {d['proficiency_level']}",
    "AgentCapabilityUpgradedEvent": lambda d: (
        f"{d['capability_name']} {d['from_level']} → {d['to_level']}"
    ),
    "AgentTaskAssignedEvent": lambda d: str(d["task_id"]),
    "AgentTaskCompletedEvent": lambda d: f"{d['task_id']} in {took(d['execution_time_ms'])}",
    "AgentTaskFailedEvent": lambda d: f"{d['task_id']}: {d['error_message']}",
    "AgentStatusChangedEvent": lambda d: f"{d['from_status']} → {d['to_status']}",
    "AgentHealthCheckPassedEvent": lambda d: vitals(
        d["response_time_ms"], d["cpu_usage_percent"], d["memory_usage_percent"]
    ),
    "AgentHealthCheckFailedEvent": lambda d: str(d["reason"]),
    "AgentPausedEvent": lambda d: str(d["reason"]),
    "AgentResumedEvent": lambda d: d["reason"] or "",
    "AgentTerminatedEvent": lambda d: str(d["reason"]),
    "AgentDetailsChangedEvent": lambda d: ", ".join(d["changed"]),
    "MemberAdded": lambda d: f"{d['username']} as {d['role']}",
    "MemberChanged": lambda d: (
        f"{d['username']}: {d['from_role']} → {d['to_role']}"
        if d["from_role"] != d["to_role"]
        else f"{d['username']} {'suspended' if d['suspended'] else 'let in again'}"
    ),
    "MemberRemoved": lambda d: f"{d['username']}, {d['role']}",
    "TokenIssued": lambda d: f"{d['name']}, {d['role']}",
    "TokenRevoked": lambda d: str(d["name"]),
    "SettingsChanged": lambda d: settings(d["changed"]),
    "PayloadErased": lambda d: (
        f"{'task' if d['task_id'] else 'agent'} {d['task_id'] or d['agent_id']}: {d['reason']}"
    ),
    "EventSkipped": lambda d: f"{d['subscription']}: seq {d['seq']}, {d['reason']}",
    "SubscriptionResumed": lambda d: (
        f"{d['subscription']} after seq {d['after_seq']}: {d['reason']}"
    ),
    "SignedIn": lambda d: str(d["username"]),
    "SignInFailed": lambda d: str(d["username"]),
    "AccessDenied": lambda d: f"{d['principal']} as {d['role']}: {d['method']} {d['route']}",
    "MassLossSuspected": lambda d: f"{d['silent']} of {d['healthy']} agents fell silent",
    "MassLossConfirmed": lambda d: str(d["reason"]),
    "MassLossResolved": lambda d: str(d["reason"]),
    "TenantViewedBySuperuser": lambda d: str(d["username"]),
    "AlertRuleChanged": lambda d: f"{d['rule']}: {', '.join(d['changed'])}",
    "AlertRuleDeleted": lambda d: str(d["rule"]),
    "AlertAcknowledged": lambda d: _alert(d, "note"),
    "AlertResolved": lambda d: _alert(d, "reason"),
}


def _alert(d: Data, said: str) -> str:
    of = f"{d['rule']} of {d['agent_id']}" if d["agent_id"] else str(d["rule"])
    return f"{of}: {d[said]}" if d[said] else of


def line(event: Event) -> str:
    """At most MAX_LENGTH characters; empty where the type says it all, or is not known here."""
    wording = _LINES.get(event.type)
    if wording is None:
        return ""
    try:
        words = wording(msgspec.json.decode(data.newest(event)[1]))
    except (msgspec.DecodeError, LookupError, TypeError, ValueError):
        return ""  # a version of a newer release, or a damaged row: the event's page shows it raw
    return one_line(words, MAX_LENGTH)


def sentence(event: Event) -> str:
    """The event in a whole sentence; empty where `line` is empty for an event that is not known."""
    try:
        return summary.sentence(read.fact(event))
    except (msgspec.DecodeError, LookupError, TypeError, ValueError):
        return ""  # as above
