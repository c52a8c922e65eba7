"""How every command runs: load the agent, let it decide, append; a lost race is decided again."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agents import claims, current, states
from agents.claims import ClaimLost
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
    event of the append or, when nothing was recorded, of the agent as it stands. answer: what
    `render` made.
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
    given.
    """

    if_version: int | None = None
    render: Render | None = None
    once: Once | None = None


NOTHING_SPECIAL = Request()


def run(
    tenant: str,
    agent_id: str,
    decide: Decide,
    by: Context,
    request: Request = NOTHING_SPECIAL,
) -> Outcome:
    """Run one command on an agent that exists. Errors as in `agents.services`."""
    loaded = current.load(tenant, agent_id)
    for attempt in range(1, TRIES + 1):
        if request.if_version is not None and request.if_version != loaded.version:
            instruments.conflicts.labels("version_mismatch").inc()
            raise VersionMismatch(agent_id, request.if_version, loaded.version)
        facts = decide(loaded.agent)
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
    try:
        return _record(tenant, None, facts, by, request)
    except VersionConflict:
        _raise_if_answered_before(request)
        raise AlreadyExists(agent_id) from None
    except RowRefused:
        _raise_if_answered_before(request)
        raise


def _record(
    tenant: str,
    loaded: Loaded | None,
    facts: Sequence[DomainEvent],
    by: Context,
    request: Request,
) -> Outcome:
    before, version = (loaded.agent, loaded.version) if loaded else (None, 0)
    facts, keys = _sealed(tenant, facts)
    agent, rows = states.on_the_way(before, version, facts)
    new_version = version + len(facts)
    rows.append(current.put(loaded, agent, new_version))
    rows += claims.rows(tenant, version, facts)
    rows += keys
    answer = request.render(agent, new_version, facts) if request.render else None
    if request.once and answer:
        rows.append(request.once.put(answer, facts[-1].occurred_at))
    appended = append(tenant, Proposal(current.STREAM, agent.agent_id, version, facts, by, rows))
    return Outcome(
        agent, new_version, appended.seq, facts, answer.at(appended.seq) if answer else None
    )


def _sealed(
    tenant: str, facts: Sequence[DomainEvent]
) -> tuple[Sequence[DomainEvent], Sequence[Put]]:
    """The facts as they may be stored, answered and told. No plain payload goes past this line."""
    try:
        return Sealer(tenant).seal(facts)
    except TaskErased as erased:
        raise RuleViolated(str(erased), rule="task_erased") from None


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
