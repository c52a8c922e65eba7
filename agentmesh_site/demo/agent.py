"""One agent of the demo: the example that integrators begin with, and work as the trace has it."""

import asyncio
import random
import re
from typing import Any

import httpx
from msgspec import to_builtins

from agentmesh_site.demo import distribution
from agents.replay import cost
from agents.replay.fleet import Member, vitals
from examples.worker_agent import Worker

SLOWNESS = 10  # the fleet shares one small machine, slower than the trace's; so one sees it busy
MANY = cost.FAILS_EVERY * len(cost.FAILURES) * 1_000  # below it a draw fails as often as a line
_OF_A_TASK = re.compile(r"/tasks/([^/]+)/(?:complete|fail)$")


class Failed(Exception):
    """Reads in the log as its message alone, under the name of its class."""

    def __repr__(self) -> str:
        return str(self)


_FAILURES = {each.code: type(each.code, (Failed,), {}) for each in cost.FAILURES}


class DemoAgent(Worker):
    def __init__(self, http: httpx.AsyncClient, member: Member) -> None:
        super().__init__(http, profile(member))
        self.vitals: dict[str, Any] = {**vitals(member.agent_id, 0.0)}
        self.chance = random.Random()
        http.event_hooks["request"].append(_correlate)

    async def work(self, given: Any) -> dict[str, Any]:
        """Reads as many tokens as it is told, if it is, and writes as many as it likes."""
        sizes = distribution.sizes(self.chance)
        context = given.get("context_tokens") if isinstance(given, dict) else None
        if type(context) is not int or not 0 <= context <= MANY:
            context = sizes.context_tokens
        takes_ms = SLOWNESS * cost.execution_time_ms(context, sizes.generated_tokens)
        await asyncio.sleep(takes_ms / 1000)
        failure = cost.failure(self.chance.randrange(MANY))
        if failure is not None:
            raise _FAILURES[failure.code](failure.message)
        return {"usage": {"input_tokens": context, "output_tokens": sizes.generated_tokens}}


def profile(member: Member) -> dict[str, Any]:
    """What an agent registers with."""
    return {
        "agent_id": member.agent_id,
        "name": member.name,
        "description": member.kind.description,
        "agent_type": member.kind.agent_type,
        "capabilities": to_builtins(member.kind.capabilities),
        "tags": list(member.tags),
    }


async def _correlate(request: httpx.Request) -> None:
    """The end of a task is of one correlation with its beginning."""
    task = _OF_A_TASK.search(request.url.path)
    if task is not None:
        request.headers["X-Correlation-Id"] = task[1]
