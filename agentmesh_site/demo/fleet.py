"""The demo's fleet in one tenant: made once, kept at its size, and now and then disturbed.

Whatever a person does by hand stands: only pauses with our own reasons are ended by us, and an
agent that was terminated is replaced by a new one.
"""

import random
import secrets
from collections.abc import Iterator
from threading import Event as Flag

from agentmesh_site.demo import distribution
from agentmesh_site.demo.people import BY
from agents import services
from agents.current import load
from agents.domain.state import Agent, Intent, Status
from agents.replay import cost
from agents.replay.fleet import KINDS, Member, member
from agents.replay.pace import Pace, Tally
from agents.replay.service import ServiceOrders
from agents.replay.simulation import Simulation, Task
from events.vocabulary import Usage

TAG = "demo"
SLOWNESS = 10  # the fleet shares one small machine, slower than the trace's; so one sees it busy
HEARTBEAT_SECONDS = 20.0
BENCH_SECONDS = 8.0
DISTURB_EVERY_SECONDS = 10.0
AWAY_SECONDS = (25.0, 75.0)  # how long a disturbed agent stays so
PAUSES = (
    "Waits for a new version of its model.",
    "Its prompt is being reviewed.",
    "Its repository is frozen for a release.",
)
OUTAGES = ("Its process does not answer.", "Its machine is being restarted.")
RESTARTED = "WORKER_RESTARTED"
MANY = 97 * 3 * 1_000  # a draw below it fails as often, and in as many ways, as a trace's lines
RETIRED = Member("pioneer-01", "Pioneer 01", KINDS[0], (TAG,))


class Stopped(Exception):
    """It is time to go home."""


class DemoOrders(ServiceOrders):
    """The orders of one fleet, in real time.

    size: of the fleet. in_waiting: how many of it are left registered, for the newcomer to
    activate. away: how many are kept paused, and as many unhealthy. stretch: how many times less
    often than in the trace tasks arrive.
    """

    simulation: Simulation

    def __init__(
        self, tenant: str, size: int, *, in_waiting: int, away: int, stretch: float, stop: Flag
    ) -> None:
        super().__init__(tenant, BY, Pace(1.0, sleep=self._sleep), Tally())
        self.size = size
        self.in_waiting = in_waiting
        self.away = away
        self.stretch = stretch
        self.stop = stop
        self.chance = random.Random()
        self.fleet: list[str] = []
        self.paused: dict[str, float] = {}  # by us, until when
        self.silent: dict[str, float] = {}
        self._hired = 0  # the highest number that was looked at
        self._disturb_at = 1.0

    def prepare(self) -> None:
        """Make the fleet, or find it again as the last run left it."""
        if self.find(RETIRED.agent_id) is None and self.create(RETIRED):
            self.activate(RETIRED.agent_id)
            why = "Newer agents do its work."
            self._order(services.terminate_agent, RETIRED.agent_id, reason=why)
        while len(self.fleet) < self.size:
            activated = len(self.fleet) < self.size - self.in_waiting
            self.fleet.append(self._hire(activated=activated))

    def work(self) -> None:
        """Keep the fleet at work until `stop` is set; returns then."""
        self.simulation = Simulation(
            self,
            self.fleet,
            heartbeat_seconds=HEARTBEAT_SECONDS,
            bench_seconds=BENCH_SECONDS,
            patience=None,
        )
        try:
            self.simulation.run(self._tasks_for_ever())
        except Stopped:
            return

    def wait_until(self, seconds: float) -> None:
        while self._disturb_at < seconds:
            super().wait_until(self._disturb_at)
            self._disturb(self._disturb_at)
            self._disturb_at += DISTURB_EVERY_SECONDS
        super().wait_until(seconds)

    def heartbeat(self, agent_id: str, load: float) -> bool:
        if agent_id in self.silent:
            return True
        taken = super().heartbeat(agent_id, load)
        if not taken and self._agent(agent_id).intent is Intent.TERMINATED:
            self.fleet.remove(agent_id)
            self.simulation.leave(agent_id)
            self.fleet.append(self._hire(activated=True))
            self.simulation.join(self.fleet[-1], self._disturb_at)
        return taken

    def _sleep(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Stopped

    def _tasks_for_ever(self) -> Iterator[tuple[float, Task]]:
        run, number, at = f"{TAG}-{secrets.token_hex(4)}", 0, 0.0
        while True:
            number += 1
            at += distribution.gap_seconds(self.chance, self.stretch)
            sizes = distribution.sizes(self.chance)
            yield (
                at,
                Task(
                    f"{run}:{number}",
                    {"context_tokens": sizes.context_tokens},
                    Usage(sizes.context_tokens, sizes.generated_tokens),
                    SLOWNESS * cost.execution_time_ms(*sizes),
                    cost.failure(self.chance.randrange(MANY)),
                ),
            )

    def _hire(self, *, activated: bool) -> str:
        """The next agent by number that is not terminated, without leftovers of the last run."""
        while True:
            self._hired += 1
            candidate = member(self._hired, TAG)
            agent_id = candidate.agent_id
            if self.find(agent_id) is None:
                self.create(candidate)
                if activated:
                    self.activate(agent_id)
            agent = self._agent(agent_id)
            if agent.intent is Intent.TERMINATED:
                continue
            if agent.current_task_id is not None and agent.current_task_id.startswith(f"{TAG}-"):
                self._order(
                    services.fail_task,
                    agent_id,
                    task_id=agent.current_task_id,
                    error_code=RESTARTED,
                    error_message="The demo was stopped while the agent worked.",
                )
            if agent.intent is Intent.PAUSED and agent.pause_reason in PAUSES:
                self._order(services.resume_agent, agent_id)
            return agent_id

    def _agent(self, agent_id: str) -> Agent:
        return load(self.tenant, agent_id).agent

    def _disturb(self, now: float) -> None:
        """Let those come back whose time is over, and send others away in their place."""
        for agent_id in [each for each, until in self.paused.items() if until <= now]:
            del self.paused[agent_id]
            if self._agent(agent_id).pause_reason in PAUSES:
                self._order(services.resume_agent, agent_id)
        for agent_id in [each for each, until in self.silent.items() if until <= now]:
            del self.silent[agent_id]  # its next heartbeat ends the outage
        while len(self.paused) < self.away and (chosen := self._somebody()):
            self.paused[chosen] = now + self.chance.uniform(*AWAY_SECONDS)
            self._order(services.pause_agent, chosen, reason=self.chance.choice(PAUSES))
        while len(self.silent) < self.away and (chosen := self._somebody()):
            self.silent[chosen] = now + self.chance.uniform(*AWAY_SECONDS)
            why = self.chance.choice(OUTAGES)
            self._order(services.record_health_failure, chosen, reason=why)

    def _somebody(self) -> str | None:
        """An available agent of the fleet, by chance; None when there is none to spare."""
        for agent_id in self.chance.sample(self.fleet, len(self.fleet)):
            if agent_id not in self.silent and self._agent(agent_id).status is Status.AVAILABLE:
                return agent_id
        return None
