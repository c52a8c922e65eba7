"""A fleet that is at work whenever somebody looks: its agents, their ups and downs.

Each agent is a client of the running server, with a token of its own. People may do with the agents
what they like: a terminated one is replaced, a registered one works once it is activated, and a
paused one waits for whoever paused it.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from agentmesh_site.demo.agent import DemoAgent, profile
from agentmesh_site.demo.arrivals import TAG, arrive
from agentmesh_site.demo.desk import Desk
from agentmesh_site.demo.keyring import Keyring
from agents.replay.fleet import KINDS, Member, member
from examples.worker_agent import Refused

LOOK_EVERY_SECONDS = 10.0
AWAY_SECONDS = (25.0, 75.0)  # how long a disturbed agent stays so
BETWEEN_STARTS_SECONDS = 0.1  # the first to look at a page shall not wait for a whole fleet
PAUSES = (
    "Waits for a new version of its model.",
    "Its prompt is being reviewed.",
    "Its repository is frozen for a release.",
)
OUTAGES = ("Its process does not answer.", "Its machine is being restarted.")
RETIRED = Member("pioneer-01", "Pioneer 01", KINDS[0], (TAG,))
EVERYBODY = "agents?tag=demo&intent=registered,active,paused,terminated"

Connect = Callable[[str], httpx.AsyncClient]  # with a token


@dataclass(frozen=True)
class Plan:
    """size: of the fleet. in_waiting: how many of it are left registered, for the newcomer to
    activate. away: how many are kept paused, and as many silent. stretch: how many times less often
    than in the trace tasks arrive."""

    size: int
    in_waiting: int
    away: int
    stretch: float
    look_every_seconds: float = LOOK_EVERY_SECONDS


class Fleet:
    def __init__(self, plan: Plan, desk: Desk, keys: Keyring, connect: Connect) -> None:
        self.plan = plan
        self.desk = desk
        self.keys = keys
        self.connect = connect
        self.chance = random.Random()
        self.members: dict[str, Member] = {}
        self.processes: dict[str, asyncio.Task[None]] = {}
        self.paused: dict[str, float] = {}  # by us, until when
        self.silent: dict[str, float] = {}
        self._hired = 0  # the highest number that was looked at

    async def keep(self) -> None:
        """Keep the fleet at work until cancelled."""
        async with asyncio.TaskGroup() as group:
            self.group = group
            await self._find_or_make()
            group.create_task(arrive(self.desk, self.plan.stretch))
            while True:
                await self._look()
                await asyncio.sleep(self.plan.look_every_seconds)

    async def _find_or_make(self) -> None:
        """The fleet as the last run left it, with what is missing."""
        known = await self._everybody()
        if RETIRED.agent_id not in known:
            await self.desk.order("agents", profile(RETIRED))
            await self._order(RETIRED.agent_id, "activate")
            await self._order(RETIRED.agent_id, "terminate", reason="Newer agents do its work.")
        while len(self.members) < self.plan.size:
            number = len(self.members)
            await self._hire(known, activated=number < self.plan.size - self.plan.in_waiting)
            await asyncio.sleep(BETWEEN_STARTS_SECONDS)

    async def _hire(self, known: dict[str, Any], *, activated: bool) -> None:
        """The next by number that is not terminated."""
        while True:
            self._hired += 1
            candidate = member(self._hired, TAG)
            agent = known.get(candidate.agent_id)
            if agent is None or agent["status"] != "TERMINATED":
                break
        self.members[candidate.agent_id] = candidate
        if agent is None and not activated:
            await self.desk.order("agents", profile(candidate))
        elif agent is None or agent["status"] != "REGISTERED":
            await self._start(candidate)
        if agent is not None and agent["pause_reason"] in PAUSES:
            await self._order(candidate.agent_id, "resume")

    async def _start(self, who: Member) -> None:
        token = await self.keys.of_agent(who.agent_id)
        self.processes[who.agent_id] = self.group.create_task(self._live(who, token))

    async def _live(self, who: Member, token: str) -> None:
        """A process of its own would do the same. Ends when it is terminated, or its token is
        revoked: then it stays away, since somebody wanted that."""
        with suppress(Refused):
            async with self.connect(token) as http:
                await DemoAgent(http, who).run()

    async def _stop(self, agent_id: str) -> None:
        process = self.processes.pop(agent_id, None)
        if process is not None:
            process.cancel()
            await asyncio.wait([process])

    async def _look(self) -> None:
        """See what people have done, let those come back whose time is over, and send others."""
        agents = await self._everybody()
        for agent_id, who in list(self.members.items()):
            if agent_id not in agents:
                continue  # it is about to register
            status = agents[agent_id]["status"]
            if status == "TERMINATED":
                del self.members[agent_id]
                await self._stop(agent_id)
                await self._hire(agents, activated=True)
            elif status != "REGISTERED" and agent_id not in {*self.processes, *self.silent}:
                await self._start(who)
        await self._let_come_back(agents, asyncio.get_running_loop().time())
        await self._send_away(agents, asyncio.get_running_loop().time())

    async def _let_come_back(self, agents: dict[str, Any], now: float) -> None:
        for agent_id in [each for each, until in self.paused.items() if until <= now]:
            del self.paused[agent_id]
            if agent_id in agents and agents[agent_id]["pause_reason"] in PAUSES:
                await self._order(agent_id, "resume")
        for agent_id in [each for each, until in self.silent.items() if until <= now]:
            del self.silent[agent_id]
            if agent_id in self.members:
                await self._start(self.members[agent_id])  # its first heartbeat ends the outage

    async def _send_away(self, agents: dict[str, Any], now: float) -> None:
        able = [
            each
            for each in self.members
            if each in agents and agents[each]["status"] == "AVAILABLE" and each in self.processes
        ]
        self.chance.shuffle(able)
        while len(self.paused) < self.plan.away and able:
            agent_id = able.pop()
            self.paused[agent_id] = now + self.chance.uniform(*AWAY_SECONDS)
            await self._order(agent_id, "pause", reason=self.chance.choice(PAUSES))
        while len(self.silent) < self.plan.away and able:
            agent_id = able.pop()
            self.silent[agent_id] = now + self.chance.uniform(*AWAY_SECONDS)
            await self._stop(agent_id)
            await self._order(agent_id, "health-failures", reason=self.chance.choice(OUTAGES))

    async def _everybody(self) -> dict[str, Any]:
        return {each["agent_id"]: each for each in await self.desk.all_of(EVERYBODY)}

    async def _order(self, agent_id: str, order: str, **body: str) -> None:
        await self.desk.order(f"agents/{agent_id}/{order}", body)
