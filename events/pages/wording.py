"""What happened, in one short line: the part of an event's data that a reader of a list wants."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from events.models import Event
from events.pages import data

Data = Mapping[str, Any]
MAX_LENGTH = 160

_LINES: dict[str, Callable[[Data], str]] = {
    "AgentCreatedEvent": lambda d: str(d["name"]),
    "AgentCapabilityAddedEvent": lambda d: f"{d['capability_name']} at {d['proficiency_level']}",
    "AgentCapabilityUpgradedEvent": lambda d: (
        f"{d['capability_name']} {d['from_level']} → {d['to_level']}"
    ),
    "AgentTaskAssignedEvent": lambda d: str(d["task_id"]),
    "AgentTaskCompletedEvent": lambda d: f"{d['task_id']} in {d['execution_time_ms']:,} ms",
    "AgentTaskFailedEvent": lambda d: f"{d['task_id']}: {d['error_message']}",
    "AgentStatusChangedEvent": lambda d: f"{d['from_status']} → {d['to_status']}",
    "AgentHealthCheckPassedEvent": lambda d: (
        f"{d['response_time_ms']:,} ms, CPU {d['cpu_usage_percent']:.0f} %, "
        f"memory {d['memory_usage_percent']:.0f} %"
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
    "SettingsChanged": lambda d: ", ".join(
        f"{name} is now {value}" for name, value in d["changed"].items()
    ),
    "PayloadErased": lambda d: (
        f"{'task' if d['task_id'] else 'agent'} {d['task_id'] or d['agent_id']}: {d['reason']}"
    ),
    "SignedIn": lambda d: str(d["username"]),
    "SignInFailed": lambda d: str(d["username"]),
    "AccessDenied": lambda d: f"{d['principal']} as {d['role']}: {d['method']} {d['route']}",
    "MassLossSuspected": lambda d: f"{d['silent']} of {d['healthy']} agents fell silent",
    "MassLossConfirmed": lambda d: str(d["reason"]),
    "MassLossResolved": lambda d: str(d["reason"]),
    "TenantViewedBySuperuser": lambda d: str(d["username"]),
}


def line(event: Event) -> str:
    """At most MAX_LENGTH characters; empty where the type says it all, or is not known here."""
    wording = _LINES.get(event.type)
    if wording is None:
        return ""
    try:
        words = wording(msgspec.json.decode(data.newest(event)[1]))
    except (msgspec.DecodeError, LookupError, TypeError, ValueError):
        return ""  # a version of a newer release, or a damaged row: the event's page shows it raw
    return words if len(words) <= MAX_LENGTH else words[: MAX_LENGTH - 1] + "…"
