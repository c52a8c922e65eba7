"""The events of a tenant as its pages show them: newest first, by what a person typed."""

from dataclasses import dataclass

from events import timeline
from events.log import read
from events.patterns import Pattern
from events.wanted import Wanted

PAGE = 50


@dataclass(frozen=True, slots=True)
class Filters:
    """Empty means any. type_prefix: how the type begins; agent, actor: exactly these."""

    type_prefix: str = ""
    agent: str = ""
    actor: str = ""

    def __bool__(self) -> bool:
        return bool(self.type_prefix or self.agent or self.actor)

    @property
    def wanted(self) -> Wanted:
        return Wanted(
            types=Pattern((), (self.type_prefix,)) if self.type_prefix else None,
            agent=Pattern((self.agent,), ()) if self.agent else None,
            actor=Pattern((self.actor,), ()) if self.actor else None,
        )


def page(
    tenant: str, filters: Filters, before: int | None = None, size: int = PAGE
) -> timeline.Page:
    """The newest events below seq `before`; `next` is the `before` that goes on."""
    head = read.head(tenant)
    return timeline.page(
        tenant,
        filters.wanted,
        head=head.seq if head else 0,
        after=before,
        limit=size,
        descending=True,
    )
