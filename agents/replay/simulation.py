"""Who gets which task when: arrivals, ends and heartbeats in the order of their time.

A task goes to the agent that has been free longest; when none is free it waits for the first to
finish. Time is that of the trace, in seconds from its first arrival, and pure reckoning: nothing
waits here, so the same trace gives the same orders. `Orders` carries them out, at its own pace.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from enum import IntEnum
from itertools import count
from typing import NamedTuple, Protocol

from agents.replay.cost import Failure
from events.facts import JSON
from events.vocabulary import Usage

HEARTBEAT_SECONDS = 30.0


class Task(NamedTuple):
    """One piece of work. takes_ms: how long its agent works on it. failure: None when it ends well.

    `input` is what the agent is given; `usage` the tokens that it will have read and written.
    """

    task_id: str
    input: dict[str, JSON]
    usage: Usage
    takes_ms: int
    failure: Failure | None


class Orders(Protocol):
    """What the simulation has done. Each returns whether the agent took the order: a person may
    have paused or terminated it. Raises for anything else that goes wrong."""

    def wait_until(self, seconds: float) -> None:
        """Return when it is time, at this many seconds of the trace."""

    def assign(self, agent_id: str, task: Task) -> bool: ...

    def finish(self, agent_id: str, task: Task) -> bool:
        """Complete or fail the task."""

    def heartbeat(self, agent_id: str, load: float) -> bool:
        """`load`: the share of the fleet that works, 0 to 1."""


class NobodyLeft(Exception):
    """Tasks wait, and every agent refuses them."""

    def __init__(self) -> None:
        super().__init__(
            "Tasks wait, but no agent of the fleet takes any: all are paused or terminated. "
            "Resume some, or run the replay again, which takes others."
        )


class _What(IntEnum):
    """Of what happens at one moment, ends come first: they free agents."""

    END = 0
    HEARTBEAT = 1
    RETURN = 2
    ARRIVAL = 3


class Simulation:
    """A fleet at work.

    An agent that refuses a task is left alone for `bench_seconds` and then asked again, `patience`
    times in a row at most; None is for ever. Then it is let go, and with the last one the
    simulation ends in NobodyLeft.

    busy: who may hold which task, also when `run` was interrupted in the middle of an order.
    """

    def __init__(
        self,
        orders: Orders,
        agents: Iterable[str],
        *,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        bench_seconds: float = HEARTBEAT_SECONDS,
        patience: int | None = 10,
    ) -> None:
        self.orders = orders
        self.heartbeat_seconds = heartbeat_seconds
        self.bench_seconds = bench_seconds
        self.patience = patience
        self.busy: dict[str, Task] = {}
        self.waiting: deque[Task] = deque()
        self._free: deque[str] = deque()
        self._refusals: dict[str, int] = {}
        self._agenda: list[tuple[float, _What, int, str | Task]] = []
        self._order = count()
        self._more_to_come = False
        for agent_id in agents:
            self.join(agent_id, 0.0)

    def join(self, agent_id: str, now: float) -> None:
        """Take an agent in. The fleet's heartbeats are spread over the interval."""
        share = len(self._refusals) * 0.618 % 1.0  # the golden ratio spreads any number evenly
        self._refusals[agent_id] = 0
        self._free.append(agent_id)
        self._plan(now + share * self.heartbeat_seconds, _What.HEARTBEAT, agent_id)

    def leave(self, agent_id: str) -> None:
        """Give this agent nothing more to do; what it works on is forgotten."""
        self._refusals.pop(agent_id, None)
        self.busy.pop(agent_id, None)
        if agent_id in self._free:
            self._free.remove(agent_id)

    def run(self, tasks: Iterator[tuple[float, Task]]) -> None:
        """Play all tasks, given with the time of their arrival, to their ends."""
        self._expect(tasks, 0.0)
        while self.busy or self.waiting or self._more_to_come:
            now, what, _, subject = heapq.heappop(self._agenda)
            self.orders.wait_until(now)
            if isinstance(subject, Task):
                self.waiting.append(subject)
                self._expect(tasks, now)
            elif subject not in self._refusals:
                continue
            elif what is _What.END:
                self._end(subject)
            elif what is _What.RETURN:
                self._free.append(subject)
            else:
                self.orders.heartbeat(subject, len(self.busy) / max(1, len(self._refusals)))
                self._plan(now + self.heartbeat_seconds, _What.HEARTBEAT, subject)
            self._hand_out(now)

    def _expect(self, tasks: Iterator[tuple[float, Task]], now: float) -> None:
        arrival = next(tasks, None)
        self._more_to_come = arrival is not None
        if arrival is not None:
            # A row that is earlier than the one before arrives with it.
            self._plan(max(now, arrival[0]), _What.ARRIVAL, arrival[1])

    def _hand_out(self, now: float) -> None:
        while self.waiting and self._free:
            agent_id, task = self._free.popleft(), self.waiting[0]
            # Beforehand: whoever interrupts the order itself shall know of the task.
            self.busy[agent_id] = task
            if self.orders.assign(agent_id, task):
                self.waiting.popleft()
                self._refusals[agent_id] = 0
                self._plan(now + task.takes_ms / 1000, _What.END, agent_id)
            else:
                del self.busy[agent_id]
                self._bench(agent_id, now)

    def _bench(self, agent_id: str, now: float) -> None:
        self._refusals[agent_id] += 1
        if self.patience is None or self._refusals[agent_id] <= self.patience:
            self._plan(now + self.bench_seconds, _What.RETURN, agent_id)
            return
        self.leave(agent_id)
        if not self._refusals:
            raise NobodyLeft

    def _end(self, agent_id: str) -> None:
        # Refused when the task is no longer the agent's: somebody else has ended it.
        self.orders.finish(agent_id, self.busy[agent_id])
        del self.busy[agent_id]
        self._free.append(agent_id)

    def _plan(self, at: float, what: _What, subject: str | Task) -> None:
        heapq.heappush(self._agenda, (at, what, next(self._order), subject))
