"""The demo's source of tasks: as many, as large and as uneven as in the real trace."""

import asyncio
import random
import secrets
from itertools import count

from agentmesh_site.demo import distribution
from agentmesh_site.demo.desk import Desk
from agents.replay.fleet import KINDS

TAG = "demo"
LATEST_SECONDS = 30.0  # so much of a burst waits for agents; the rest of it never was
NOBODY_FREE_SECONDS = 1.0
TRIES = 30


async def arrive(desk: Desk, stretch: float) -> None:
    """Have one task after another routed to whoever is able and available, for ever.

    stretch: how many times less often than in the trace.
    """
    chance, clock = random.Random(), asyncio.get_running_loop().time
    run, at = f"{TAG}-{secrets.token_hex(4)}", clock()
    for number in count(1):
        at = max(at + distribution.gap_seconds(chance, stretch), clock() - LATEST_SECONDS)
        await asyncio.sleep(at - clock())
        given = {"context_tokens": distribution.sizes(chance).context_tokens}
        await _place(desk, chance, f"{run}:{number}", given)


async def _place(desk: Desk, chance: random.Random, task_id: str, given: dict[str, int]) -> None:
    """Return when an agent has taken the task, or when it has waited for too long."""
    # Each kind's first is its own: a newcomer's agent that knows Python is left to the newcomer.
    skill = chance.choice(KINDS).capabilities[0]
    body = {
        "task_id": task_id,
        "required_capabilities": [{"name": skill.name, "min_level": skill.proficiency_level}],
        "input": given,
    }
    for _ in range(TRIES):
        if await desk.order("tasks", body, task_id):
            return
        await asyncio.sleep(NOBODY_FREE_SECONDS)
