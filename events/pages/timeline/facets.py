"""What the events on a page have in common, each with the query that narrows to it.

They are counted over the events that are shown and over no others, and the page says so: to count
all that a query finds could mean to read the whole log.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from events import registry
from events.cloudevents import AGENT_STREAM
from events.models import Event
from events.pages.timeline.ready_made import kind_of
from events.query_language import Query

MOST = 8  # values of a facet; the rest are counted together


@dataclass(frozen=True, slots=True)
class Value:
    """only, without: the text of the query that asks for this value alone, or leaves it out; None
    for what cannot be asked for."""

    value: str
    count: int
    only: str | None
    without: str | None
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """others: events whose values are too many to be listed."""

    name: str
    values: Sequence[Value]
    others: int


def facets(query: Query, rows: Sequence[Event]) -> list[Facet]:
    """Types by what they are about, actors and agents, the most frequent first."""
    kinds: dict[str, list[str]] = {}
    for row in rows:
        kinds.setdefault(kind_of(row.type), []).append(row.type)
    found = [
        _facet(query, "type", kind, types)
        for kind, types in sorted(kinds.items(), key=lambda each: (-len(each[1]), each[0]))
    ]
    agents = [row.stream_id for row in rows if row.stream_type == AGENT_STREAM]
    found.append(_facet(query, "actor", "By actor", [row.actor for row in rows]))
    found.append(_facet(query, "agent", "About agent", agents))
    return [facet for facet in found if facet.values]


def _facet(query: Query, field: str, name: str, values: Iterable[str]) -> Facet:
    counted = Counter(values)
    ranked = sorted(counted.items(), key=lambda each: (-each[1], each[0]))
    chosen = {each.text for each in query.only(field) if not each.begins}
    shown = [
        Value(
            value,
            count,
            str(query.narrowed_to(field, value)) if _is_askable(field, value) else None,
            str(query.excluding(field, value)) if _is_askable(field, value) else None,
            chosen == {value},
        )
        for value, count in ranked[:MOST]
    ]
    return Facet(name, shown, sum(count for _, count in ranked[MOST:]))


def _is_askable(field: str, value: str) -> bool:
    """A type of a newer release cannot be: this one would take it for a slip of the pen."""
    return field != "type" or value in registry.types()
