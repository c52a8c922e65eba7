"""Legal histories of a few agents that take a few tasks from each other: one for each seed."""

import random
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from agents.domain import decide
from agents.domain.errors import RuleViolated
from agents.domain.evolve import fold
from agents.domain.state import Agent
from events.facts import DomainEvent
from events.vocabulary import AgentTaskAssignedEvent, AgentTaskFailedEvent, Usage
from tests.domain.fleet import NOW, creation

AGENTS = ("a-1", "a-2", "a-3")
TASKS = ("t-1", "t-2")
SEEDS = st.integers(0, 2**32)


class Fleet:
    """The agents as the aggregate has them, and the tasks that are free, as the claims have it."""

    def __init__(self, seed: int, orders: int = 60) -> None:
        self.chance = random.Random(seed)
        self.now = NOW
        self.agents: dict[str, Agent] = {}
        self.facts: list[DomainEvent] = []
        self.free = set(TASKS)
        for agent_id in AGENTS:
            self._record(agent_id, creation(agent_id=agent_id))
            self._record(agent_id, decide.activate(self.agents[agent_id], now=self.now))
        for _ in range(orders):
            self.now += timedelta(seconds=self.chance.choice([0, 1, 1, 1, 1, 100, 200]))
            agent = self.agents[self.chance.choice(AGENTS)]
            with suppress(RuleViolated):
                self._record(agent.agent_id, self._order(agent))

    def _record(self, agent_id: str, facts: Sequence[DomainEvent]) -> None:
        self.agents[agent_id] = fold(facts, self.agents.get(agent_id))
        self.facts += facts
        for fact in facts:
            if isinstance(fact, AgentTaskAssignedEvent):
                self.free.remove(fact.task_id)
            elif isinstance(fact, AgentTaskFailedEvent):
                self.free.add(fact.task_id)

    def _order(self, agent: Agent) -> list[DomainEvent]:
        if self.chance.random() < 0.6:
            return self._work(agent)
        number = self._number()
        values: dict[str, Any] = self.chance.choice(
            [
                {"do": decide.health_passed, **_vitals(number)},
                {"do": decide.health_passed, **_vitals(number)},
                {"do": decide.health_failed, "reason": f"no answer {number}"},
                {"do": decide.time_passes},
                {"do": decide.pause, "reason": "night", "until": self.now + timedelta(minutes=5)},
                {"do": decide.resume},
                {"do": decide.update, "name": f"Ada {number}", "tags": ["eu", f"{number}"]},
                {"do": decide.add_capability, "name": f"c{int(number)}", "proficiency_level": 1},
                *([{"do": decide.terminate, "reason": "old", "force": True}] * (number == 0)),
            ]
        )
        return self._done(values.pop("do"), agent, **values)

    def _work(self, agent: Agent) -> list[DomainEvent]:
        number, task_id = self._number(), agent.current_task_id
        if task_id is None:
            if not self.free:
                return []
            task_id = self.chance.choice(sorted(self.free))
            return self._done(decide.assign, agent, task_id=task_id, input="secret")
        if self.chance.random() < 0.9:
            code = None if number == 0 else "E"
            message = f"{number} " * 300
            return self._done(
                decide.fail, agent, task_id=task_id, error_message=message, error_code=code
            )
        usage = Usage(number, 2**63 - 1) if isinstance(number, int) else None
        return self._done(
            decide.complete,
            agent,
            task_id=task_id,
            execution_time_ms=number,
            result="secret",
            usage=usage,
        )

    def _done(self, order: Any, agent: Agent, **values: Any) -> list[DomainEvent]:
        facts: list[DomainEvent] = order(agent, **values, now=self.now)
        return facts

    def _number(self) -> float:
        return self.chance.choice([0, 7, 2**63 - 1, 0.5, 12.0, 1e18])


def _vitals(number: float) -> dict[str, Any]:
    return {
        "success_rate": 0.5,
        "response_time_ms": number,
        "cpu_usage_percent": 1,
        "memory_usage_percent": 2.5,
    }


def interleaved(events: Sequence[Any], seed: int) -> list[Any]:
    """The same events, each stream's in their order, the streams in any: shuffled, or one stream
    after another, as they come when the others were parked."""
    chance = random.Random(seed)
    streams: dict[str, deque[Any]] = defaultdict(deque)
    for event in events:
        streams[event.envelope.stream_id].append(event)
    turns = [event.envelope.stream_id for event in events]
    if chance.random() < 0.5:
        chance.shuffle(turns)
    else:
        place = dict(zip(streams, chance.sample(range(len(streams)), len(streams)), strict=True))
        turns.sort(key=place.__getitem__)
    return [streams[stream_id].popleft() for stream_id in turns]
