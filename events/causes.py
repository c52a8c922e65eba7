"""Why an event happened, and what came of it: the chain of causes up, and that of effects down.

A command that answers to an event names that event's id as its cause (`X-Causation-Id`). Both ways
are bounded, and say where they end: a chain can be as long as a log, and so can be its breadth.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from events.models import Event

DEPTH = 8  # causes above an event, and generations of effects below it
BREADTH = 25  # effects of one generation
AROUND = 2_500  # places to either side in which others of the same command are looked for
TOGETHER = 50  # of these at most


@dataclass(frozen=True, slots=True)
class Causes:
    """events: the first cause of all on top, the event's own at the end.

    unknown: what the topmost names as its cause, when no event of this log has that id. goes_on:
    whether there are more above it.
    """

    events: Sequence[Event]
    unknown: str | None = None
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Effect:
    """An event and what it caused in turn. has_more: there may be effects that are not given."""

    event: Event
    effects: "Sequence[Effect]" = ()
    has_more: bool = False


def causes(event: Event) -> Causes:
    """One question for each cause."""
    found: list[Event] = []
    seen = {event.event_id}
    named = event.causation_id
    while named is not None:
        cause = _event(event.tenant_id, named)
        if cause is None:
            return Causes(found[::-1], unknown=named)
        if cause.event_id in seen:  # whoever names causes may name them in a circle
            break
        if len(found) == DEPTH:
            return Causes(found[::-1], goes_on=True)
        found.append(cause)
        seen.add(cause.event_id)
        named = cause.causation_id
    return Causes(found[::-1])


def effects(event: Event) -> Effect:
    """The event with its effects, those in their order: one question for each generation."""
    generation, seen = [event], {event.event_id}
    caused_by: dict[str, list[Event]] = {}
    cut: set[str] = set()
    for _ in range(DEPTH):
        ids = [str(each.event_id) for each in generation]
        rows = list(
            Event.objects.filter(tenant=event.tenant_id, causation_id__in=ids).order_by("seq")[
                : BREADTH + 1
            ]
        )
        if len(rows) > BREADTH:
            # Which of them have more below the cut nobody knows.
            cut.update(ids)
        generation = [row for row in rows[:BREADTH] if row.event_id not in seen]
        seen.update(row.event_id for row in generation)
        for row in generation:
            caused_by.setdefault(row.causation_id or "", []).append(row)
        if not generation:
            break
    else:
        cut.update(str(each.event_id) for each in generation)
    return _effect(event, caused_by, cut)


def _effect(event: Event, caused_by: dict[str, list[Event]], cut: set[str]) -> Effect:
    event_id = str(event.event_id)
    below = [_effect(each, caused_by, cut) for each in caused_by.get(event_id, ())]
    return Effect(event, below, event_id in cut)


def together(event: Event) -> list[Event]:
    """Others with its correlation id, in their order: of those near it in the log, the first."""
    if event.correlation_id is None:
        return []
    near = Event.objects.filter(
        tenant=event.tenant_id,
        seq__gte=event.seq - AROUND,
        seq__lte=event.seq + AROUND,
        correlation_id=event.correlation_id,
    )
    return list(near.exclude(seq=event.seq).order_by("seq")[:TOGETHER])


def _event(tenant: str, named: str) -> Event | None:
    try:
        event_id = uuid.UUID(named)
    except ValueError:
        return None
    return Event.objects.filter(tenant=tenant, event_id=event_id).first()
