"""What happens to an agent because nothing else did."""

from datetime import datetime, timedelta

from agents.domain.decide.conclusion import concluded
from agents.domain.decide.health import outage
from agents.domain.decide.tasks import task_failed
from agents.domain.state import Agent, Health, Intent
from events.facts import DomainEvent
from events.vocabulary import AgentResumedEvent

AGENT_LOST = "AGENT_LOST"


def time_passes(
    agent: Agent, *, now: datetime, heard_since: datetime | None = None
) -> list[DomainEvent]:
    """What time alone demands of an agent in service; nothing when asked again at once.

    A pause ends at its `until`. An agent that was not seen for longer than its timeout is
    unhealthy; one that was never seen counts from its activation. The task of an unhealthy agent
    fails with AGENT_LOST as soon as the timeout has passed twice.

    heard_since: before it silence proves nothing, since it may have been us who did not hear. An
    agent that is not known to be unhealthy counts as seen then.
    """
    if not agent.is_in_service:
        return []
    facts: list[DomainEvent] = []
    until = agent.paused_until
    if agent.intent is Intent.PAUSED and until is not None and now >= until:
        reason = "The pause ended at its time."
        facts.append(
            AgentResumedEvent(agent.agent_id, reason=reason, resumed_at=now, occurred_at=now)
        )
    seconds = agent.health_check_timeout_seconds
    timeout = timedelta(seconds=seconds)
    seen = agent.seen_or_activated_at
    if heard_since is not None and agent.health is not Health.UNHEALTHY:
        seen = max(seen, heard_since)
    silence = now - seen
    if agent.health is not Health.UNHEALTHY and silence > timeout:
        facts.append(outage(agent, f"No heartbeat for more than {seconds} s.", now))
    # Silent for so long, the agent is unhealthy by now, from just above or from before.
    if agent.current_task_id is not None and silence >= 2 * timeout:
        message = f"{agent.agent_id} sent no heartbeat for {2 * seconds} s; its task is lost."
        facts.append(task_failed(agent, agent.current_task_id, message, AGENT_LOST, now))
    return concluded(agent, now, *facts)
