"""Agents at work in the past: what they did is decided by the domain, at the moments of then."""

import heapq
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from agentmesh_site.demo import distribution
from agentmesh_site.demo.agent import SLOWNESS
from agentmesh_site.demo.history.tape import Tape
from agents.domain import decide
from agents.domain.evolve import fold
from agents.domain.state import Agent, Status
from agents.replay import cost
from agents.replay.fleet import Member, vitals
from events.facts import DomainEvent
from events.log.proposal import Context
from events.vocabulary import Usage

BEAT = timedelta(minutes=30)
TIMEOUT_SECONDS = 3_600  # two beats
FAILS = 1 / cost.FAILS_EVERY

DISPATCHER = "token:dispatcher"
HEALTH = Context(actor="system:health")
PROGRAM = json.dumps({"address": "192.0.2.40", "user_agent": "python-httpx"}, separators=(",", ":"))


class Weather(Protocol):
    """How often an agent is given a task at a moment, how likely that fails, and whether the agent
    is heard then."""

    def between_tasks(self, at: datetime) -> timedelta: ...
    def fails(self, agent_id: str, at: datetime) -> float: ...
    def is_silent(self, agent_id: str, at: datetime) -> bool: ...


@dataclass(slots=True)
class Life:
    """One agent of the past. Everything goes through `do`, so that its state is the log's."""

    tape: Tape
    member: Member
    agent: Agent | None = None

    @property
    def agent_id(self) -> str:
        return self.member.agent_id

    @property
    def state(self) -> Agent:
        if self.agent is None:
            raise RuntimeError(f"{self.agent_id} is not created yet.")
        return self.agent

    def create(self, tenant: str, at: datetime, by: Context) -> list[str]:
        kind = self.member.kind
        facts = decide.create(
            agent_id=self.agent_id,
            tenant_id=tenant,
            name=self.member.name,
            description=kind.description,
            agent_type=kind.agent_type,
            capabilities=kind.capabilities,
            tags=self.member.tags,
            metadata={"team": kind.word, "region": "eu-central"},
            health_check_timeout_seconds=TIMEOUT_SECONDS,
            now=at,
        )
        self.agent = fold(facts)
        return self.tape.take(facts, by)

    def do(self, ask: Callable[[Agent], Sequence[DomainEvent]], by: Context) -> list[str]:
        """What the domain decides, recorded; the ids of its events. Raises RuleViolated."""
        facts = ask(self.state)
        if facts:
            self.agent = fold(facts, self.state)
        return self.tape.take(facts, by)


Turn = Callable[[datetime], object]


@dataclass(slots=True)
class Shifts:
    """The fleet at work until `end`; `at(moment, turn)` has a person come in between."""

    tape: Tape
    chance: random.Random
    weather: Weather
    end: datetime
    tasks: int = 0
    _due: list[tuple[datetime, int, Turn]] = field(default_factory=list)
    _number: int = 0

    def at(self, moment: datetime, turn: Turn) -> None:
        self._number += 1
        heapq.heappush(self._due, (moment, self._number, turn))

    def run(self) -> None:
        """Let everything happen, in the order of time, and every task that began end."""
        while self._due:
            moment, _, turn = heapq.heappop(self._due)
            turn(moment)

    def put_to_work(self, life: Life, since: datetime) -> None:
        self.at(since + self.chance.random() * BEAT, lambda at: self._beat(life, at))
        self.at(since + self._gap(since), lambda at: self._give(life, at))

    def _gap(self, at: datetime) -> timedelta:
        return self.weather.between_tasks(at) * self.chance.expovariate(1.0)

    def _beat(self, life: Life, at: datetime) -> None:
        if at >= self.end or life.state.status is Status.TERMINATED:
            return
        if self.weather.is_silent(life.agent_id, at):
            self._miss(life, at)
        else:
            self.heartbeat(life, at)
        self.at(at + BEAT, lambda moment: self._beat(life, moment))

    def heartbeat(self, life: Life, at: datetime) -> None:
        load = 0.2 + 0.6 * (life.state.current_task_id is not None)
        told = vitals(life.agent_id, load * self.chance.uniform(0.6, 1.4))
        life.do(lambda agent: decide.health_passed(agent, **told, now=at), _of(life))

    def _miss(self, life: Life, at: datetime) -> None:
        """Have it found unhealthy in time, and then its task lost."""
        for times in (1, 2):
            deadline = timedelta(seconds=times * TIMEOUT_SECONDS + 1)
            moment = max(at, life.state.seen_or_activated_at + deadline)
            self.at(moment, lambda moment: self._judge(life, moment))

    def _judge(self, life: Life, at: datetime) -> None:
        """What the sweep does about an agent that nobody hears."""
        life.do(lambda agent: decide.time_passes(agent, now=at), HEALTH)

    def _give(self, life: Life, at: datetime) -> None:
        if at >= self.end or life.state.status is Status.TERMINATED:
            return
        sizes = distribution.sizes(self.chance)
        takes = SLOWNESS * cost.execution_time_ms(*sizes) * self.chance.uniform(0.7, 1.6)
        ends = at + timedelta(milliseconds=takes)
        if ends < self.end and life.state.status is Status.AVAILABLE:
            self.tasks += 1
            task_id = f"week:{self.tasks}"
            given = {"context_tokens": sizes.context_tokens}
            life.do(
                lambda agent: decide.assign(agent, task_id=task_id, input=given, now=at),
                Context(actor=DISPATCHER, correlation_id=task_id, origin=PROGRAM),
            )
            self.at(ends, lambda moment: self._end(life, task_id, at, sizes, moment))
        self.at(ends + self._gap(at), lambda moment: self._give(life, moment))

    def _end(
        self, life: Life, task_id: str, began: datetime, sizes: distribution.Sizes, at: datetime
    ) -> None:
        if life.state.current_task_id != task_id:
            return  # it was called lost meanwhile
        if self.weather.is_silent(life.agent_id, at):
            self._miss(life, at)  # nobody hears of its end
            return
        by = _of(life, task_id)
        if self.chance.random() < self.weather.fails(life.agent_id, began):
            failure = self.chance.choice(cost.FAILURES)
            life.do(
                lambda agent: decide.fail(
                    agent,
                    task_id=task_id,
                    error_message=failure.message,
                    error_code=failure.code,
                    now=at,
                ),
                by,
            )
            return
        took = round((at - began) / timedelta(milliseconds=1))
        life.do(
            lambda agent: decide.complete(
                agent,
                task_id=task_id,
                execution_time_ms=took,
                usage=Usage(sizes.context_tokens, sizes.generated_tokens),
                now=at,
            ),
            by,
        )


def _of(life: Life, correlation_id: str | None = None) -> Context:
    return Context(actor=f"agent:{life.agent_id}", correlation_id=correlation_id, origin=PROGRAM)
