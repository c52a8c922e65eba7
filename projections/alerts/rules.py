"""Rules: what is trouble for whom, and who is told.

Two are built in and need no row, so that every tenant has them, however it was made. A row of the
same name stands in for one.
"""

from dataclasses import dataclass
from datetime import datetime

from events import registry
from events.patterns import Pattern
from events.scoping import TenantQuerySet
from projections.alerts.models import AlertRule, Kind
from projections.notify.models import Channel

MINIMUM_TASKS = 5
Target = tuple[Channel, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """events: a pattern of types, for the kind `event`. threshold: a ratio, minutes: of the window,
    minimum_tasks: that have to have ended in it, for the kind `completion_rate`. agent_tags: all of
    them have to be an agent's; none: every agent, and the tenant's own facts too.
    created_at: None for a built-in rule.
    """

    name: str
    kind: Kind = Kind.EVENT
    events: str = ""
    agent_tags: tuple[str, ...] = ()
    threshold: float | None = None
    minutes: int | None = None
    minimum_tasks: int = MINIMUM_TASKS
    enabled: bool = True
    emails: tuple[str, ...] = ()
    webhooks: tuple[str, ...] = ()
    created_at: datetime | None = None

    @property
    def is_built_in(self) -> bool:
        """Whether nobody has changed it; then there is nothing to delete."""
        return self.created_at is None

    @property
    def types(self) -> frozenset[str]:
        """The types of event that it names: also one of a newer release, when it is named whole."""
        if self.kind is not Kind.EVENT:
            return frozenset()
        pattern = Pattern.of(self.events)
        return frozenset(filter(pattern.fits, registry.types())) | frozenset(pattern.exact)

    @property
    def targets(self) -> tuple[Target, ...]:
        return (
            *((Channel.EMAIL, address) for address in self.emails),
            *((Channel.WEBHOOK, url) for url in self.webhooks),
        )

    @classmethod
    def of(cls, row: AlertRule) -> "Rule":
        return cls(
            name=row.name,
            kind=Kind(row.kind),
            events=row.events,
            agent_tags=tuple(row.agent_tags),
            threshold=row.threshold,
            minutes=row.minutes,
            minimum_tasks=row.minimum_tasks,
            enabled=row.enabled,
            emails=tuple(row.emails),
            webhooks=tuple(row.webhooks),
            created_at=row.created_at,
        )


BUILT_IN = {
    rule.name: rule
    for rule in (
        Rule(name="agent-unhealthy", events="AgentHealthCheckFailedEvent"),
        Rule(name="mass-loss", events="MassLossSuspected"),
    )
}


def rows(tenant: str) -> TenantQuerySet[AlertRule]:
    return AlertRule.objects.get_queryset().filter(tenant=tenant)


def all_of(tenant: str) -> dict[str, Rule]:
    """The tenant's rules by name, in the order of names; the built-in ones among them."""
    named = BUILT_IN | {row.name: Rule.of(row) for row in rows(tenant)}
    return dict(sorted(named.items()))


def find(tenant: str, name: str) -> Rule | None:
    row = rows(tenant).filter(name=name).first()
    return Rule.of(row) if row else BUILT_IN.get(name)
