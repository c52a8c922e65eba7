"""Agents as they stood: when the tenant's log ended at a seq, or at a version of their own.

A past agent is the newest stored state at or below that point with the few events between folded
into it. Where no state is left it is the fold of the whole history up to there: the same answer,
only slower.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from agents import current, states
from agents.current import FOLD, STREAM, AgentNotFound, Loaded
from agents.domain.evolve import evolve
from agents.domain.state import Agent
from agents.models import CurrentAgent
from events.facts import DomainEvent
from events.log import places, read
from events.log.read import CHUNK
from events.models import Event


class VersionNotReached(AgentNotFound):
    """The agent has no such version yet."""

    def __init__(self, tenant: str, agent_id: str, version: int) -> None:
        super().__init__(tenant, agent_id)
        self.version = version


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One place in an agent's history, told by exactly one of three.

    version: its own, 0 before its creation. seq: the log's. at: the moment up to and including
    which events had been recorded. A seq or a moment beyond the log's end is its end.
    """

    version: int | None = None
    seq: int | None = None
    at: datetime | None = None

    def __post_init__(self) -> None:
        if sum(told is not None for told in (self.version, self.seq, self.at)) != 1:
            raise ValueError("A point is told by one of version, seq and at.")


@dataclass(frozen=True, slots=True)
class Stood:
    """How one agent stood. loaded: None when it had not been created. folded: events it took."""

    agent_id: str
    loaded: Loaded | None
    folded: int


def agent_at_seq(tenant: str, agent_id: str, seq: int) -> Loaded:
    """The agent when the log ended at `seq`. Raises AgentNotFound when it was not there yet."""
    (stood,) = agents_at_seq(tenant, [agent_id], seq)
    if stood.loaded is None:
        raise AgentNotFound(tenant, agent_id)
    return stood.loaded


def agent_at(tenant: str, agent_id: str, point: Point) -> Loaded:
    """The agent at a point. Raises AgentNotFound, VersionNotReached."""
    return agent_at_seq(tenant, agent_id, seq_at(tenant, agent_id, point))


def seq_at(tenant: str, agent_id: str, point: Point) -> int:
    """The seq at which the log stood at that point. Raises VersionNotReached."""
    if point.seq is not None:
        return point.seq
    if point.at is not None:
        return places.seq_at(tenant, point.at)
    version = point.version or 0
    if version == 0:
        return 0
    event = Event.objects.filter(
        tenant=tenant, stream_type=STREAM, stream_id=agent_id, version=version
    )
    seq = event.values_list("seq", flat=True).first()
    if seq is None:
        raise VersionNotReached(tenant, agent_id, version)
    return seq


def agents_at_seq(tenant: str, agent_ids: Sequence[str], seq: int) -> Iterator[Stood]:
    """How each of these agents stood when the log ended at `seq`, in their order.

    The states and the events after them are read for all agents together. Agents with more events
    to fold, whose states are lost, are read on one by one as the caller comes to them.
    """
    folds = _started(tenant, agent_ids, seq)
    versions = {agent_id: fold.version for agent_id, fold in folds.items()}
    for step in read.next_steps(tenant, STREAM, versions, to_seq=seq, width=states.EVERY):
        folds[step.stream_id].take(step)
    for agent_id in agent_ids:
        fold = folds[agent_id]
        fold.finish(tenant, agent_id, seq)
        yield Stood(agent_id, fold.loaded, fold.folded)


@dataclass(slots=True)
class _Fold:
    """An agent on its way to a seq."""

    agent: Agent | None = None
    version: int = 0
    seq: int = 0
    folded: int = 0

    def take(self, step: read.Step) -> None:
        fact: DomainEvent = step.fact  # type: ignore[assignment]  # of an agent's stream
        self.agent = evolve(self.agent, fact)
        self.version, self.seq = step.version, step.seq
        self.folded += 1

    def finish(self, tenant: str, agent_id: str, seq: int) -> None:
        """Fold what the first window has not shown. The windows grow with what has been folded, so
        that no more than twice of it is read."""
        width = found = states.EVERY
        if self.folded < width:
            return
        while found == width:
            width, before = min(width * 2, CHUNK), self.folded
            window = read.next_steps(
                tenant, STREAM, {agent_id: self.version}, to_seq=seq, width=width
            )
            for step in window:
                self.take(step)
            found = self.folded - before

    @property
    def loaded(self) -> Loaded | None:
        return None if self.agent is None else Loaded(self.agent, self.version, self.seq)


def _started(tenant: str, agent_ids: Sequence[str], seq: int) -> dict[str, _Fold]:
    """For each agent where its fold begins: its current row, a state, or nothing at all."""
    rows = CurrentAgent.objects.filter(
        tenant=tenant, agent_id__in=agent_ids, seq__lte=seq, fold=FOLD
    )
    found = {
        row.agent_id: loaded
        for row in rows
        if (loaded := current.stored(version=row.version, seq=row.seq, fold=FOLD, state=row.state))
    }
    moved = [agent_id for agent_id in agent_ids if agent_id not in found]
    if moved:
        found |= states.nearest(tenant, moved, seq)
    return {
        agent_id: _Fold(then.agent, then.version, then.seq)
        if (then := found.get(agent_id))
        else _Fold()
        for agent_id in agent_ids
    }
