"""A tenant's own facts: what people do to a tenant rather than to one of its agents.

They stand on the tenant's own stream of its log, so that an auditor has one timeline of everything.
Roles are `admin`, `operator`, `auditor` and, for tokens only, `agent`. No fact holds a secret.
"""

from events.facts import JSON, Moment, TenantFact


class MemberAdded(TenantFact, frozen=True):
    """A person may from now on enter the tenant, in this role."""

    username: str
    role: str


class MemberChanged(TenantFact, frozen=True):
    """A member's role changed, or the member was suspended or let in again.

    Both roles are given, equal when only `suspended` changed; `suspended` is how it stands now.
    """

    username: str
    from_role: str
    to_role: str
    suspended: bool


class MemberRemoved(TenantFact, frozen=True):
    """A person may no longer enter the tenant; `role` is the one that was lost."""

    username: str
    role: str


class TokenIssued(TenantFact, frozen=True):
    """A token was made. `agent_id` for the role agent; null `expires_at` means never."""

    token_id: str
    name: str
    role: str
    agent_id: str | None = None
    expires_at: Moment | None = None


class TokenRevoked(TenantFact, frozen=True):
    """A token opens nothing any more."""

    token_id: str
    name: str


class SettingsChanged(TenantFact, frozen=True):
    """The tenant's settings that changed, with their new values."""

    changed: dict[str, JSON]


class SignedIn(TenantFact, frozen=True):
    """A member signed in."""

    username: str


class SignInFailed(TenantFact, frozen=True):
    """Somebody gave a member's name and a wrong password."""

    username: str


class AccessDenied(TenantFact, frozen=True):
    """A principal (`user:bob`, `token:ci`) tried what its role may not do: at most one a minute
    per principal and route."""

    principal: str
    method: str
    route: str
    role: str


class LogExported(TenantFact, frozen=True):
    """Somebody took a copy of the log. The bounds are inclusive, null where open."""

    format: str
    from_seq: int | None
    to_seq: int | None
    filters: dict[str, JSON]


class PayloadErased(TenantFact, frozen=True):
    """The keys of confidential payloads were destroyed: of one task, or of all of an agent's."""

    agent_id: str | None
    task_id: str | None
    reason: str


class MassLossSuspected(TenantFact, frozen=True):
    """So many agents fell silent together that we may be the ones who do not hear.

    `silent` of `healthy` agents; `agents` are the first of the silent by id, 20 at most. Until this
    is confirmed or resolved no agent's silence is recorded as an outage and costs no task.
    """

    silent: int
    healthy: int
    agents: tuple[str, ...]


class MassLossConfirmed(TenantFact, frozen=True):
    """Somebody says that the silent agents are really lost: their silence counts again."""

    reason: str


class MassLossResolved(TenantFact, frozen=True):
    """Agents do not fall silent together any more. After a suspicion silence counts from here."""

    reason: str


class TenantViewedBySuperuser(TenantFact, frozen=True):
    """The installation's superuser looked in, being no member: one an hour per person."""

    username: str


class AlertRuleChanged(TenantFact, frozen=True):
    """An alert rule was made or changed: its fields that changed, all of them when it is new.

    Of e-mail addresses it tells how many there are, of webhooks no more than scheme and host: the
    one are people's, and the rest of the other may be a secret.
    """

    rule: str
    changed: dict[str, JSON]


class AlertRuleDeleted(TenantFact, frozen=True):
    """An alert rule is gone; where it stood in for a built-in one, that one counts again."""

    rule: str


class AlertAcknowledged(TenantFact, frozen=True):
    """A person has seen an alert and cares for it. `agent_id` is null for the tenant as a whole."""

    alert_id: str
    rule: str
    agent_id: str | None
    note: str


class AlertResolved(TenantFact, frozen=True):
    """A person closed an alert, which did not resolve by itself."""

    alert_id: str
    rule: str
    agent_id: str | None
    reason: str


class EventSkipped(TenantFact, frozen=True):
    """A person had a subscription leave out one event that it could not handle; all others know of
    it. `stream_id` is the event's stream, an agent's id where `stream_type` is `agent`."""

    subscription: str
    stream_type: str
    stream_id: str
    event_id: str
    seq: int
    reason: str


class SubscriptionResumed(TenantFact, frozen=True):
    """A person said where a subscription that had stopped goes on: after event `after_seq`, 0 for
    the first. It had read up to `from_seq`, perhaps of a log that was another then."""

    subscription: str
    from_seq: int
    after_seq: int
    reason: str
