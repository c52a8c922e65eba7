"""Queries that auditors ask every week, each as a text that can be changed; and kinds of types."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadyMade:
    """what: in a few words, for whoever does not read the query."""

    name: str
    query: str
    what: str


READY_MADE = (
    ReadyMade(
        "Lifecycle",
        "type:AgentCreatedEvent,AgentActivatedEvent,AgentPausedEvent,AgentResumedEvent,"
        "AgentTerminatedEvent",
        "agents that come, pause and go",
    ),
    ReadyMade(
        "Failures",
        "type:AgentTaskFailedEvent,AgentHealthCheckFailedEvent,MassLossSuspected",
        "tasks that failed, agents that fell silent",
    ),
    ReadyMade(
        "Privileged actions",
        "type:Member*,Token*,SettingsChanged,AlertRule*,LogExported,PayloadErased,EventSkipped,"
        "SubscriptionResumed,MassLossConfirmed,AgentTerminatedEvent,TenantViewedBySuperuser",
        "who changed access, settings or rules; copies, erasures, terminations",
    ),
    ReadyMade(
        "Off-hours actions",
        "actor:user:* hours:off",
        "what people did at night or at the weekend",
    ),
    ReadyMade(
        "Sign-ins",
        "type:SignedIn,SignInFailed,AccessDenied",
        "who came in, who tried to, and what was refused",
    ),
)

# How a type begins → what it is about; the first that fits. What nothing fits is `OTHER`.
KINDS = (
    ("AgentTask", "Tasks"),
    ("AgentHealth", "Health"),
    ("MassLoss", "Health"),
    ("Agent", "Life and status"),
    ("Member", "People and access"),
    ("Token", "People and access"),
    ("Sign", "People and access"),
    ("Access", "People and access"),
    ("TenantViewed", "People and access"),
    ("Alert", "Alerts"),
    ("EventSkipped", "Integrations"),
    ("SubscriptionResumed", "Integrations"),
)
OTHER = "Settings and the log"


def kind_of(type: str) -> str:
    """What an event of this type is about."""
    return next((kind for beginning, kind in KINDS if type.startswith(beginning)), OTHER)
