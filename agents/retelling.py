"""What the log alone tells of a tenant's agents, their tasks and their silence: the rows as they
would have to stand."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import msgspec
from django.db import models

from agents import claims, current, mass_loss, states
from agents.domain.errors import AgentNotCreated
from agents.domain.evolve import evolve
from agents.domain.state import Agent
from agents.models import AgentState, CurrentAgent, MassLoss, TaskClaim
from events.facts import Fact
from events.log import read
from events.models import Event
from events.registry import UnknownFact, decoder
from events.vocabulary import (
    AgentTaskAssignedEvent,
    AgentTaskCompletedEvent,
    AgentTaskFailedEvent,
)

PAGE = 5_000
# What decoding and `evolve` raise for an event that no aggregate has decided.
_TELLS_NOTHING = (
    UnknownFact,
    AgentNotCreated,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    msgspec.MsgspecError,
)
Status = TaskClaim.Status


class Untellable(Exception):
    """The log holds an event that tells nothing; nothing can be rebuilt from it."""

    def __init__(self, tenant: str, seq: int, error: Exception) -> None:
        super().__init__(f"{tenant}: seq {seq} cannot be read ({error}). Run verify_log.")


@dataclass(frozen=True, slots=True)
class Told:
    """A row as the log tells it. The row's own `seq` lies between `first_seq` and values["seq"]:
    a claim is written with the last event of its append, and where that ended no event says."""

    model: type[models.Model]
    key: tuple[Any, ...]  # the id of what it tells of; of a state of the past its version too
    first_seq: int
    values: dict[str, Any]


@dataclass
class Retelling:
    """One pass over the log, up to and including `last`.

    It remembers the agents, and the tasks that are open or failed; a completed task never changes
    again and is let go, so that the length of the log does not matter.
    """

    tenant: str
    last: int
    tasks: int = 0
    states: int = 0
    _agents: dict[str, tuple[Agent, int, int]] = field(default_factory=dict)
    _claims: dict[str, TaskClaim] = field(default_factory=dict)
    _first_seqs: dict[str, int] = field(default_factory=dict)

    @property
    def agents(self) -> int:
        return len(self._agents)

    def rows(self) -> Iterator[Told]:
        """Every row, once: states of the past and completed tasks as the pass meets them, then the
        rest."""
        # The facts of one append are of one stream and one moment.
        for _, append in groupby(self._events(), lambda event: (event[1], event[3])):
            yield from self._tell(list(append))
        for task_id in tuple(self._claims):
            yield self._told_claim(task_id)
        for agent_id, (agent, version, seq) in self._agents.items():
            values = {**current.columns(agent), "version": version, "seq": seq}
            yield Told(CurrentAgent, (agent_id,), seq, values)
        yield from self._mass_loss()

    def version_of(self, agent_id: str) -> int:
        """The agent's version where the pass stands; 0 when it has not met the agent."""
        standing = self._agents.get(agent_id)
        return standing[1] if standing else 0

    def _tell(self, append: list[tuple[Any, ...]]) -> Iterator[Told]:
        last_seq = append[-1][0]
        for seq, agent_id, version, _, kind, schema_version, data in append:
            standing = self._agents.get(agent_id)
            try:
                fact = decoder(kind, schema_version)(data)
                agent = evolve(standing[0] if standing else None, fact)  # type: ignore[arg-type]
                task_id = self._claim(fact, seq, version, last_seq)
            except _TELLS_NOTHING as error:
                raise Untellable(self.tenant, seq, error) from error
            self._agents[agent_id] = agent, version, last_seq
            if states.due(version):
                self.states += 1
                values = {**states.columns(agent), "seq": seq}
                yield Told(AgentState, (agent_id, version), seq, values)
            if task_id is not None and self._claims[task_id].status == Status.COMPLETED:
                yield self._told_claim(task_id)

    def _claim(self, fact: Fact, seq: int, version: int, last_seq: int) -> str | None:
        """Take the fact into its task's claim; the task's id when the fact is about one."""
        if isinstance(fact, AgentTaskAssignedEvent):
            before = self._claims.get(fact.task_id)
            self.tasks += before is None
            claim = self._claims[fact.task_id] = TaskClaim(
                tenant_id=self.tenant,
                task_id=fact.task_id,
                agent_id=fact.agent_id,
                status=Status.ASSIGNED.value,
                assigned_version=version,
                assigned_at=fact.assigned_at,
                attempts=before.attempts if before else "[]",
            )
        elif isinstance(fact, AgentTaskCompletedEvent | AgentTaskFailedEvent):
            claim = self._claims[fact.task_id]
            if isinstance(fact, AgentTaskFailedEvent):
                claim.status = Status.FAILED.value
                claim.attempts = claims.with_attempt(claim, fact)
            else:
                claim.status = Status.COMPLETED.value
        else:
            return None
        claim.seq = last_seq
        self._first_seqs[fact.task_id] = seq
        return fact.task_id

    def _told_claim(self, task_id: str) -> Told:
        claim = self._claims.pop(task_id)
        values = {name: getattr(claim, name) for name in CLAIM_COLUMNS}
        return Told(TaskClaim, (task_id,), self._first_seqs.pop(task_id), values)

    def _mass_loss(self) -> Iterator[Told]:
        values: dict[str, Any] = {}
        for event in mass_loss.recorded(self.tenant, self.last).iterator():
            try:
                fact = read.fact(event)
            except _TELLS_NOTHING as error:
                raise Untellable(self.tenant, event.seq, error) from error
            values = {**mass_loss.columns(values.get("state"), fact), "seq": event.seq}
        if values:
            yield Told(MassLoss, (self.tenant,), values["seq"], values)

    def _events(self) -> Iterator[tuple[Any, ...]]:
        done = 0
        stream = Event.objects.filter(tenant=self.tenant, stream_type=current.STREAM)
        columns = (
            "seq",
            "stream_id",
            "version",
            "recorded_at",
            "type",
            "schema_version",
            "data",
        )
        while True:
            page = stream.filter(seq__gt=done, seq__lte=self.last).order_by("seq")
            rows = list(page.values_list(*columns)[:PAGE])
            yield from rows
            if len(rows) < PAGE:
                return
            done = rows[-1][0]


CLAIM_COLUMNS = ("agent_id", "status", "assigned_version", "assigned_at", "attempts", "seq")
