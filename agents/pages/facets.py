"""How many agents each status, intent and health would show, by the current rows: one query.

Each number keeps to the other two filters, as the list does. No number is told where something is
asked for that the rows' columns do not know (a capability, a tag, a text) or of the past.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count

from agents import fleet
from agents.domain.state import Intent, Status
from agents.models import CurrentAgent
from agents.pages.filters import Filters

Census = Mapping[tuple[str, str, str], int]  # (status, intent, health) → agents


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a filter. number: of agents, None where nobody counted. link: chooses it, or
    takes it away when it is chosen already."""

    value: str
    number: int | None
    is_chosen: bool
    link: str


@dataclass(frozen=True, slots=True)
class Facets:
    """matching: how many agents fit all the filters; None where nobody counted."""

    status: Sequence[Choice]
    intent: Sequence[Choice]
    health: Sequence[Choice]
    living: int | None
    matching: int | None


def facets(tenant: str, filters: Filters, link: Callable[..., str], *, counted: bool) -> Facets:
    """link: makes the address of the list with a parameter changed."""
    census = _census(tenant) if counted and not filters.by_content and not filters.faults else None
    chosen = (filters.statuses, filters.intents, filters.healths)

    def choices(place: int, name: str, values: Sequence[str]) -> list[Choice]:
        found = []
        for value in values:
            asked = [[value] if place == each else wanted for each, wanted in enumerate(chosen)]
            number = None if census is None else _matching(census, *asked)
            is_chosen = value in chosen[place]
            address = link(**{name: None if is_chosen else value, "after": None, "before": None})
            found.append(Choice(value, number, is_chosen, address))
        return found

    return Facets(
        status=choices(0, "status", fleet.STATUSES),
        intent=choices(1, "intent", fleet.INTENTS),
        health=choices(2, "health", fleet.HEALTHS),
        living=None if census is None else _matching(census, [], *chosen[1:]),
        matching=None if census is None else _matching(census, *chosen),
    )


def _census(tenant: str) -> Census:
    rows = CurrentAgent.objects.filter(tenant=tenant).order_by()
    kinds = rows.values_list("status", "intent", "health").annotate(number=Count("agent_id"))
    return {(status, intent, health): number for status, intent, health, number in kinds}


def _matching(
    census: Census, statuses: Sequence[str], intents: Sequence[str], healths: Sequence[str]
) -> int:
    terminated_too = Status.TERMINATED in statuses or Intent.TERMINATED in intents
    return sum(
        number
        for (status, intent, health), number in census.items()
        if (terminated_too or intent != Intent.TERMINATED)
        and (not statuses or status in statuses)
        and (not intents or intent in intents)
        and (not healths or health in healths)
    )
