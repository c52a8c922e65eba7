"""How every command runs: load the agent, let it decide, append; a lost race is decided again.

Or, with others, as part of a bulk: see `agents.bulk`.
"""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, Self

from agents import claims, current, states
from agents.claims import Book, ClaimLost
from agents.current import Loaded
from agents.domain.errors import RuleViolated
from agents.domain.state import Agent
from agents.models import CurrentAgent
from events.confidential.seal import Sealer, TaskErased
from events.facts import DomainEvent
from events.idempotency import Answer, AnsweredBefore, Once
from events.log.append import append
from events.log.errors import RowRefused, VersionConflict
from events.log.proposal import Context, Proposal
from events.log.rows import Put
from events.metrics import instruments

TRIES = 20
Decide = Callable[[Agent], Sequence[DomainEvent]]


class AlreadyExists(Exception):
    """The id is taken in this tenant."""

    def __init__(self, agent_id: str) -> None:
        super().__init__(f"Agent {agent_id} exists already. Choose another id.")


class VersionMismatch(Exception):
    """The caller named a version and the agent is at another."""

    def __init__(self, agent_id: str, wanted: int, version: int) -> None:
        super().__init__(
            f"{agent_id} is at version {version}, not {wanted}. Read it again and decide again."
        )
        self.version = version


class RaceLost(Exception):
    """Other commands for the same agent were first, every time."""

    def __init__(self, agent_id: str) -> None:
        super().__init__(
            f"{agent_id} is being changed by others: {TRIES} tries were overtaken. Try again."
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did.

    facts: what it recorded, perhaps nothing, with confidential payloads sealed. seq: of the last
    event of the append or, when nothing was recorded, of the agent as it stands; in a bulk a place
    (see `agents.bulk`). answer: what `render` made.
    """

    agent: Agent
    version: int
    seq: int
    facts: Sequence[DomainEvent]
    answer: Answer | None = None


Render = Callable[[Agent, int, Sequence[DomainEvent]], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a door adds to a command, beside its values.

    if_version: refuse unless the agent is at this version. render: makes the door's answer from the
    agent after the command, its version and the recorded facts; kept under `once` when that is
    given. bulk: carry it out as part of this bulk, which appends later.
    """

    if_version: int | None = None
    render: Render | None = None
    once: Once | None = None
    bulk: "Bulk | None" = None


class Bulk(Protocol):
    """Where commands wait for their common append; both raise what their namesakes here raise. The
    outcome's seq is a place in the bulk, see `agents.bulk`."""

    def run(self, agent_id: str, decide: Decide, by: Context, request: Request) -> Outcome: ...

    def run_creation(
        self, agent_id: str, facts: Sequence[DomainEvent], by: Context, request: Request
    ) -> Outcome: ...


NOTHING_SPECIAL = Request()


def run(
    tenant: str,
    agent_id: str,
    decide: Decide,
    by: Context,
    request: Request = NOTHING_SPECIAL,
) -> Outcome:
    """Run one command on an agent that exists. Errors as in `agents.services`."""
    if request.bulk is not None:
        return request.bulk.run(agent_id, decide, by, request)
    loaded = current.load(tenant, agent_id)
    for attempt in range(1, TRIES + 1):
        facts = decided(loaded, decide, request)
        if not facts:
            return _nothing_happened(loaded, request)
        try:
            return _record(tenant, loaded, facts, by, request)
        except VersionConflict:
            overtaken = True
            _raise_if_answered_before(request)
        except RowRefused as refused:
            overtaken = refused.row.model is CurrentAgent
            _raise_if_answered_before(request)
            _raise_if_its_claim_is_lost(tenant, loaded)
        instruments.conflicts.labels("lost_race").inc()
        time.sleep(random.uniform(0, 0.002 * attempt))  # the others need a moment to finish
        before, loaded = loaded, current.load(tenant, agent_id)
        if overtaken and loaded.version == before.version:
            # Whoever was first has moved the row; one that stands still is not to be believed.
            loaded = current.rebuild_agent(tenant, agent_id)
    instruments.conflicts.labels("gave_up").inc()
    raise RaceLost(agent_id)


def run_creation(
    tenant: str,
    agent_id: str,
    facts: Sequence[DomainEvent],
    by: Context,
    request: Request = NOTHING_SPECIAL,
) -> Outcome:
    """Record the first facts of an agent. Raises AlreadyExists, AnsweredBefore."""
    if request.bulk is not None:
        return request.bulk.run_creation(agent_id, facts, by, request)
    try:
        return _record(tenant, None, facts, by, request)
    except VersionConflict:
        _raise_if_answered_before(request)
        raise AlreadyExists(agent_id) from None
    except RowRefused:
        _raise_if_answered_before(request)
        raise


def decided(loaded: Loaded, decide: Decide, request: Request) -> Sequence[DomainEvent]:
    """What the command leads to.

    Raises InvalidCommand; else VersionMismatch where the request names a version that is not the
    agent's; else RuleViolated.
    """
    if request.if_version is None or request.if_version == loaded.version:
        return decide(loaded.agent)
    with suppress(RuleViolated):
        decide(loaded.agent)  # a value that no agent could take is refused at any version
    instruments.conflicts.labels("version_mismatch").inc()
    raise VersionMismatch(loaded.agent.agent_id, request.if_version, loaded.version)


@dataclass(slots=True)
class Step:
    """What one command is about to record: facts decided at `version`, as they may be stored,
    answered and told; the agent after them; the rows that go with them. keys: those of payloads."""

    agent: Agent
    version: int
    facts: Sequence[DomainEvent]
    by: Context
    rows: list[Put]
    keys: Sequence[Put]

    @classmethod
    def of(
        cls, sealer: Sealer, loaded: Loaded | None, facts: Sequence[DomainEvent], by: Context
    ) -> Self:
        """No plain payload goes past this line. Raises RuleViolated for a task that was erased."""
        before, version = (loaded.agent, loaded.version) if loaded else (None, 0)
        try:
            facts, keys = sealer.seal(facts)
        except TaskErased as erased:
            raise RuleViolated(str(erased), rule="task_erased") from None
        agent, rows = states.on_the_way(before, version, facts)
        return cls(agent, version, facts, by, [*rows, *keys], keys)

    @property
    def new_version(self) -> int:
        return self.version + len(self.facts)

    def answer(self, request: Request) -> Answer | None:
        """What the door answers, kept where it is to be given once."""
        if request.render is None:
            return None
        answer = request.render(self.agent, self.new_version, self.facts)
        if request.once:
            self.rows.append(request.once.put(answer, self.facts[-1].occurred_at))
        return answer

    def proposal(self) -> Proposal:
        agent_id = self.agent.agent_id
        return Proposal(current.STREAM, agent_id, self.version, self.facts, self.by, self.rows)


def _record(
    tenant: str,
    loaded: Loaded | None,
    facts: Sequence[DomainEvent],
    by: Context,
    request: Request,
) -> Outcome:
    step = Step.of(Sealer(tenant), loaded, facts, by)
    step.rows.append(current.put(loaded, step.agent, step.new_version))
    step.rows += Book(tenant).rows(step.version, step.facts)
    answer = step.answer(request)
    appended = append(tenant, step.proposal())
    return Outcome(
        step.agent,
        step.new_version,
        appended.seq,
        step.facts,
        answer.at(appended.seq) if answer else None,
    )


def _nothing_happened(loaded: Loaded, request: Request) -> Outcome:
    answer = None
    if request.render:
        answer = request.render(loaded.agent, loaded.version, ()).at(loaded.seq)
        if request.once:
            request.once.keep(answer)
    return Outcome(loaded.agent, loaded.version, loaded.seq, (), answer)


def _raise_if_answered_before(request: Request) -> None:
    """Whoever won may have been this very request. Of its key and the stream's version either can
    be refused first, and decided again it would be refused for what it has done itself."""
    if request.once and request.once.earlier_answer():
        raise AnsweredBefore


def _raise_if_its_claim_is_lost(tenant: str, loaded: Loaded) -> None:
    """Trying again would not bring it back. An agent that is at the version it was at has held its
    task all the while, so then the claim was to be found."""
    agent = loaded.agent
    task_id = agent.current_task_id
    if task_id is None or claims.is_held(tenant, task_id, agent.agent_id):
        return
    if current.load(tenant, agent.agent_id).version == loaded.version:
        raise ClaimLost(tenant, task_id, agent.agent_id)
