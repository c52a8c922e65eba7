"""`python -m tests.clients.agent ID FILE [seconds]`: the example of an agent, with work of its own.

The work takes about as long and leaves a line in the file: so that one can see what was done twice.
"""

import asyncio
import os
import random
import sys
from pathlib import Path
from typing import Any

import httpx

from examples.worker_agent import Worker


class Diligent(Worker):
    diary: Path
    seconds: float

    async def work(self, given: Any) -> dict[str, Any]:
        await asyncio.sleep(random.uniform(0, 2 * self.seconds))
        with self.diary.open("a", encoding="ascii") as file:
            file.write(f"{given}\n")
        return {"result": given, "usage": {"input_tokens": 1, "output_tokens": 1}}


async def main(agent_id: str, diary: str, seconds: str = "0.03") -> None:
    key = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    skill = {"name": "diligence", "proficiency_level": 5}
    profile = {"agent_id": agent_id, "name": agent_id, "capabilities": [skill]}
    async with httpx.AsyncClient(base_url=os.environ["API"], headers=key, timeout=30) as http:
        agent = Diligent(http, profile)
        agent.diary, agent.seconds = Path(diary), float(seconds)
        await agent.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
