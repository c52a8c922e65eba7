"""A complete agent, on httpx alone. PROFILE says who it is, `work` what it does. Start it with
`API=http://127.0.0.1:8000/api/v1/tenants/acme TOKEN=am_... python examples/worker_agent.py`.

It keeps nothing: at its start and after each event it asks the server for its task. So both may be
killed at any moment. A task is worked on at least once; its end is recorded exactly once.
"""

import asyncio
import json
import os
import random
import signal
from contextlib import suppress
from time import monotonic
from typing import Any

import httpx

SKILL = {"name": "echo", "proficiency_level": 3}
PROFILE = {"agent_id": os.environ.get("AGENT", "my-agent"), "name": "Mine", "capabilities": [SKILL]}
NEWS = "stream?types=AgentTaskAssignedEvent"  # whoever has an agent's token hears of no other
VITALS = dict(success_rate=1, response_time_ms=0, cpu_usage_percent=0, memory_usage_percent=0)


class Refused(Exception):
    """The server has no use for this request, or for this agent any more: one line says why."""


class Worker:
    def __init__(self, http: httpx.AsyncClient, profile: dict[str, Any]) -> None:
        self.http, self.profile, self.vitals = http, profile, VITALS  # yours to measure
        self.path = f"agents/{profile['agent_id']}"

    async def work(self, given: Any) -> dict[str, Any]:
        """Yours. What it raises fails the task; what blocks belongs into `asyncio.to_thread`."""
        return {"result": given, "usage": {"input_tokens": 0, "output_tokens": 0}}

    async def run(self) -> None:
        """Register and work until cancelled. Raises Refused when there is no point in going on."""
        await self.send("POST", "agents", self.profile)  # or 409: it was done at an earlier start
        await self.send("POST", f"{self.path}/activate", {})
        try:
            async with asyncio.TaskGroup() as beside:
                beside.create_task(self.follow())
                while (await self.send("POST", f"{self.path}/heartbeat", self.vitals)).is_success:
                    await asyncio.sleep(random.uniform(15, 25))  # silent for 90 s it is unhealthy
                raise Refused(f"{self.path} was terminated.")
        except ExceptionGroup as ends:
            raise ends.exceptions[0] from None

    async def follow(self) -> None:
        while True:
            with suppress(httpx.TransportError):
                news = await self.send("GET", f"{NEWS}&lastEventId={await self.catch_up()}")
                async for line in news.aiter_lines():
                    if line.startswith("event:") and "stream-open" not in line:
                        await self.catch_up()
            await asyncio.sleep(random.uniform(0, 2))  # not all agents at once after a restart

    async def catch_up(self) -> str:
        """Carry out the current task, if there is one. Returns the log's seq when it was asked."""
        agent, began = await self.send("GET", self.path), monotonic()
        if task_id := agent.json()["current_task_id"]:
            path = f"{self.path}/tasks/{task_id}"  # 409 below: somebody else has ended it meanwhile
            try:
                done = await self.work((await self.send("GET", f"tasks/{task_id}")).json()["input"])
                done["execution_time_ms"] = round(1000 * (monotonic() - began))
                await self.send("POST", f"{path}/complete", done)
            except Exception as error:  # noqa: BLE001 -- of your work, or of sending what it gave
                why = {"error_message": repr(error)[:1000], "error_code": type(error).__name__}
                await self.send("POST", f"{path}/fail", why)
        return str(agent.headers["AgentMesh-Seq"])

    async def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer: 2xx, or a 409 that stays. What passes is tried again, and happens once."""
        key, wait = {"Idempotency-Key": os.urandom(16).hex()}, 0.5
        request = self.http.build_request(method, path, json=body, headers=key)
        while True:
            wait = random.uniform(0.5, min(3 * wait, 30.0))
            with suppress(httpx.TransportError, ValueError):  # nobody there; a proxy's own words
                answer = await self.http.send(request, stream=path.startswith(NEWS))
                problem = {} if answer.is_success else json.loads(await answer.aread())
                if answer.is_success or problem.get("code") in ("already_exists", "rule_violated"):
                    return answer
                if answer.is_client_error and answer.status_code not in (409, 429):
                    raise Refused(f"{method} {request.url}: {problem.get('detail', problem)}")
                wait += int(answer.headers.get("Retry-After", 0))
            print(f"{method} {request.url}: again in {wait:.0f} s", flush=True)
            await asyncio.sleep(wait)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # like Ctrl-C
    client = httpx.AsyncClient(base_url=os.environ["API"], timeout=30)
    client.headers["Authorization"] = f"Bearer {os.environ['TOKEN']}"
    try:
        asyncio.run(Worker(client, PROFILE).run())
    except (KeyboardInterrupt, Refused) as end:
        raise SystemExit(str(end) or 0) from None
