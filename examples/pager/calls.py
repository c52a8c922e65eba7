"""A reaction: outside any transaction, at least once. What is raised here is tried again, and then
waits for a person; no agent and no other subscriber notices."""

import logging

from events.vocabulary import AgentHealthCheckFailedEvent

logger = logging.getLogger("examples.pager")


def handle_unhealthy_agent(event: AgentHealthCheckFailedEvent) -> None:
    """Call somebody. The id lets whoever is called see that two calls are the same one."""
    told = event.envelope
    if told is not None:
        logger.warning(
            "call %s: %s of %s does not answer: %s",
            told.event_id,
            event.agent_id,
            told.tenant,
            event.reason,
        )
