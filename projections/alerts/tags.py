"""Agents' tags as they were at an event.

A read model would have them too, but it runs at its own pace: what decides about an alert has to
be as old as the event that is decided about. So the reaction that opens alerts keeps them itself:
it hears an agent's events in their order, and a row stands at the version it has heard.
"""

from collections.abc import Collection

from events.facts import Envelope
from events.log import read
from events.models import Event
from events.vocabulary import AgentCreatedEvent, AgentDetailsChangedEvent
from projections.alerts.models import AgentTags
from projections.alerts.troubles import AGENT_STREAM

TYPES = frozenset({"AgentCreatedEvent", "AgentDetailsChangedEvent"})


def keep(event: AgentCreatedEvent | AgentDetailsChangedEvent, place: Envelope) -> None:
    """Take in what an event says about its agent's tags; again is no matter."""
    tags = _said(event)
    if tags is None:
        return
    standing = AgentTags.objects.filter(tenant=place.tenant, agent_id=place.stream_id)
    if isinstance(event, AgentCreatedEvent):
        _store(place.tenant, place.stream_id, place.stream_version, tags)
    else:
        # No row: the agent is older than this reaction, and nobody has asked for its tags yet.
        standing.filter(version__lt=place.stream_version).update(
            tags=tags, version=place.stream_version
        )


def at(tenant: str, agent_id: str, version: int) -> list[str]:
    """The agent's tags after its event `version`, which is being heard."""
    row = AgentTags.objects.filter(tenant=tenant, agent_id=agent_id).first()
    if row is not None and row.version <= version:
        known: list[str] = row.tags
        return known
    tags = _of_the_log(tenant, agent_id, version)
    if row is None:
        _store(tenant, agent_id, version, tags)
    return tags


def now(tenant: str, agent_ids: Collection[str]) -> dict[str, list[str]]:
    """Of each of these agents the tags as last heard."""
    rows = AgentTags.objects.filter(tenant=tenant, agent_id__in=agent_ids)
    known = dict(rows.values_list("agent_id", "tags"))
    for agent_id in agent_ids:
        if agent_id not in known:
            known[agent_id] = _of_the_log(tenant, agent_id, None)
    return known


def _store(tenant: str, agent_id: str, version: int, tags: list[str]) -> None:
    AgentTags.objects.bulk_create(
        [AgentTags(tenant_id=tenant, agent_id=agent_id, version=version, tags=tags)],
        ignore_conflicts=True,
    )


def _of_the_log(tenant: str, agent_id: str, version: int | None) -> list[str]:
    """Looks through the agent's whole stream, since no index knows types."""
    told = Event.objects.filter(
        tenant=tenant, stream_type=AGENT_STREAM, stream_id=agent_id, type__in=TYPES
    )
    if version is not None:
        told = told.filter(version__lte=version)
    tags: list[str] = []
    for row in told.order_by("version"):
        event = read.fact(row)
        assert isinstance(event, AgentCreatedEvent | AgentDetailsChangedEvent)  # noqa: S101
        said = _said(event)
        tags = tags if said is None else said
    return tags


def _said(event: AgentCreatedEvent | AgentDetailsChangedEvent) -> list[str] | None:
    if isinstance(event, AgentCreatedEvent):
        return list(event.tags)
    return event.changed.get("tags")
