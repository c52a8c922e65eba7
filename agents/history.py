"""Agents as they stood: at a version of their own, or when the tenant's log stood at a seq."""

from collections.abc import Iterable

from django.db.models import Max

from agents.current import STREAM, AgentNotFound, Loaded, rebuild_agent
from events.log.places import version_before
from events.models import Event


def agent_at_seq(tenant: str, agent_id: str, seq: int) -> Loaded:
    """The agent when the log ended at `seq`. Raises AgentNotFound when it was not there yet."""
    version = version_before(tenant, STREAM, agent_id, seq + 1)
    if version == 0:
        raise AgentNotFound(tenant, agent_id)
    return rebuild_agent(tenant, agent_id, version=version)


def versions_at_seq(tenant: str, agent_ids: Iterable[str], seq: int) -> dict[str, int]:
    """The version of each of these agents when the log ended at `seq`; who was not there is not."""
    found = Event.objects.filter(
        tenant=tenant, stream_type=STREAM, stream_id__in=list(agent_ids), seq__lte=seq
    )
    return dict(found.values_list("stream_id").annotate(Max("version")))
