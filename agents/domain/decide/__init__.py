"""What may happen: each order becomes the facts it leads to, or is refused.

Every function takes the agent, the order's own values and the moment `now`, and returns the facts
in the order in which they happened, perhaps none. It raises InvalidCommand for a value that no
agent could take, else RuleViolated when this agent's state forbids the order; values are looked at
first. Nothing here is changed, written or asked of a clock.
"""

from agents.domain.decide.capabilities import add_capability, upgrade_capability
from agents.domain.decide.deadlines import AGENT_LOST, time_passes
from agents.domain.decide.health import health_failed, health_passed
from agents.domain.decide.life import (
    AGENT_TERMINATED,
    activate,
    create,
    pause,
    resume,
    terminate,
    update,
)
from agents.domain.decide.tasks import assign, complete, fail

__all__ = [
    "AGENT_LOST",
    "AGENT_TERMINATED",
    "activate",
    "add_capability",
    "assign",
    "complete",
    "create",
    "fail",
    "health_failed",
    "health_passed",
    "pause",
    "resume",
    "terminate",
    "time_passes",
    "update",
    "upgrade_capability",
]
