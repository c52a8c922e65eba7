"""Many commands of one tenant, decided one after the other and recorded by one append.

    together(tenant, decide, Needs(agent_ids=…))   `decide` runs the services with `bulk=`
    rehearse(tenant, decide, Needs(…))             the same, and nothing is recorded

Each command meets the agents, claims and keys as the accepted ones before it have left them, and a
refused one leaves nothing: its service raises as it would alone. What was decided on a state that
others have changed meanwhile is decided again, all of it.

A seq is not known before the append, so a place stands for it: -1 for the bulk's first event, -2
for its second. `Bulk.from_the_end` turns it into what answers hold.
"""

import random
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from django.db import transaction

from agents import current
from agents.claims import Book, ClaimLost
from agents.command import (
    TRIES,
    AlreadyExists,
    Decide,
    Outcome,
    RaceLost,
    Request,
    Step,
    decided,
)
from agents.current import AgentNotFound, Loaded
from agents.models import TaskClaim
from events import bus
from events.confidential.seal import Sealer
from events.encoding import UnfitFact, encode
from events.facts import DomainEvent, utc_now
from events.idempotency import Answer, AnsweredBefore, Once, keep_all
from events.log.append import append, append_decided
from events.log.errors import RowRefused, VersionConflict
from events.log.proposal import Context, Proposal
from events.log.result import Appended
from events.metrics import instruments

FREE_TRIES = 3  # before others are kept out while it is decided


class Overtaken(Exception):
    """What was read of an agent and of its task does not fit together: somebody writes just now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What the commands will ask for, to be read at once; whatever is missing is read by itself.

    ending: agents whose current task may be ended by what does not name it.
    """

    agent_ids: Collection[str] = ()
    task_ids: Collection[str] = ()
    ending: Collection[str] = ()


@dataclass
class _Mood:
    """What the tries before have taught.

    suspicious: rows may contradict the log. wary: a fact may be unfit to be stored; whose it is,
    only a look at each can tell. doubts: agent → the version at which its claim was not there.
    """

    suspicious: bool = False
    wary: bool = False
    doubts: dict[str, int] = field(default_factory=dict)


class Bulk:
    """One try. `consulting`: receivers in the transaction are asked about each command, and one
    that they veto is refused alone."""

    def __init__(self, tenant: str, needs: Needs, mood: _Mood, *, consulting: bool) -> None:
        self.tenant = tenant
        self.events = 0
        self.book = Book(tenant)
        self._mood = mood
        self._consulting = consulting
        self._sealer = Sealer(tenant)
        self._steps: list[Step] = []
        self._last_step: dict[str, Step] = {}  # of each agent
        self._claimed: dict[str, Step] = {}  # task → the last step that changed its claim
        self._unwritten: list[tuple[Once, Answer]] = []  # answers of commands without an event
        self._agents = current.load_many(tenant, needs.agent_ids, suspicious=mood.suspicious)
        ending = (self._agents.get(agent_id) for agent_id in needs.ending)
        at_work = {each.agent.current_task_id for each in ending if each is not None}
        self.book.read({*needs.task_ids, *filter(None, at_work)})
        self._sealer.read(needs.task_ids)

    def exists(self, agent_id: str) -> bool:
        return self._find(agent_id) is not None

    def run(self, agent_id: str, decide: Decide, by: Context, request: Request) -> Outcome:
        """As `agents.command.run`."""
        loaded = self._find(agent_id)
        if loaded is None:
            raise AgentNotFound(self.tenant, agent_id)
        facts = decided(loaded, decide, request)
        if not facts:
            return self._nothing_happened(loaded, request)
        return self._record(agent_id, loaded, facts, by, request)

    def run_creation(
        self, agent_id: str, facts: Sequence[DomainEvent], by: Context, request: Request
    ) -> Outcome:
        """As `agents.command.run_creation`."""
        if self.exists(agent_id):
            raise AlreadyExists(agent_id)
        return self._record(agent_id, None, facts, by, request)

    def from_the_end(self, seq: int) -> int:
        """A place of this bulk as it is counted from its last event: 0, -1 …; a seq as it is."""
        return seq if seq > 0 else -seq - self.events

    def keep(self, once: Once, answer: Answer) -> None:
        """Keep an answer about the bulk as a whole."""
        if self._steps:
            last = self._steps[-1]
            last.rows.append(once.put(answer, last.facts[-1].occurred_at))
        else:
            self._unwritten.append((once, answer))

    def proposals(self) -> list[Proposal]:
        """All that is to be appended, once nothing more is decided.

        Each agent's current row goes with its last step, each claim with the last that changed it.
        Under the head's lock no stream can have moved, so no agent's row needs a condition.
        """
        for agent_id, step in self._last_step.items():
            loaded = self._agents[agent_id]
            if loaded is not None:
                step.rows.append(current.put(None, loaded.agent, loaded.version))
        for task_id, step in self._claimed.items():
            step.rows.append(self.book.row(task_id))
        if self._steps:
            answers, self._unwritten = self._unwritten, []
            self._steps[-1].rows += [once.put(answer, utc_now()) for once, answer in answers]
        return [step.proposal() for step in self._steps]

    def keep_alone(self) -> None:
        """Keep the answers that went with no event. Raises AnsweredBefore."""
        if self._unwritten:
            keep_all(self.tenant, self._unwritten)

    def _find(self, agent_id: str) -> Loaded | None:
        if agent_id not in self._agents:
            self._agents |= current.load_many(self.tenant, [agent_id])
        return self._agents[agent_id]

    def _record(
        self,
        agent_id: str,
        loaded: Loaded | None,
        facts: Sequence[DomainEvent],
        by: Context,
        request: Request,
    ) -> Outcome:
        """Nothing of this bulk is changed before all that may refuse the command was asked."""
        step = Step.of(self._sealer, loaded, facts, by)
        if self._mood.wary:
            for fact in step.facts:
                encode(fact)
        claims = self._claims_after(step)
        answer = step.answer(request)
        if self._consulting:
            with transaction.atomic():
                bus.consult(self.tenant, step.proposal())
        self.events += len(step.facts)
        self._sealer.keep(step.keys)
        self.book.note(claims)
        self._claimed |= dict.fromkeys((claim.task_id for claim in claims), step)
        self._agents[agent_id] = Loaded(step.agent, step.new_version, -self.events)
        self._last_step[agent_id] = step
        self._steps.append(step)
        return Outcome(step.agent, step.new_version, -self.events, step.facts, answer)

    def _claims_after(self, step: Step) -> list[TaskClaim]:
        agent_id, doubts = step.agent.agent_id, self._mood.doubts
        try:
            return self.book.left_by(step.version, step.facts)
        except ClaimLost:
            if doubts.get(agent_id) == step.version:
                raise  # it stands at the version it stood at, so nobody has taken the claim away
            doubts[agent_id] = step.version
            raise Overtaken from None

    def _nothing_happened(self, loaded: Loaded, request: Request) -> Outcome:
        answer = None
        if request.render:
            answer = request.render(loaded.agent, loaded.version, ())
            if request.once:
                self._keep_of(loaded, request.once, answer)
        return Outcome(loaded.agent, loaded.version, loaded.seq, (), answer)

    def _keep_of(self, loaded: Loaded, once: Once, answer: Answer) -> None:
        step = self._last_step.get(loaded.agent.agent_id)
        if step is None:
            self._unwritten.append((once, answer.at(loaded.seq)))
        else:  # the seq that it was told is this step's
            step.rows.append(once.put(answer, step.facts[-1].occurred_at))


def together(
    tenant: str, decide: Callable[[Bulk], None], needs: Needs, once: Once | None = None
) -> tuple[Bulk, Appended | None]:
    """Let `decide` give its commands to a bulk, and record them. `once` names the whole.

    After some lost races it is decided while others wait, but not where receivers listen in the
    transaction (see `append_decided`). Raises RaceLost when others were first every time,
    AnsweredBefore when the same request was recorded meanwhile, and what `decide` raises.
    """
    mood = _Mood()
    for attempt in range(1, TRIES + 1):
        try:
            return _try(tenant, decide, needs, mood, kept_out=attempt > FREE_TRIES)
        except (VersionConflict, RowRefused, Overtaken, AnsweredBefore):
            mood.suspicious = True
            if once is not None and once.earlier_answer() is not None:
                raise AnsweredBefore from None
            instruments.conflicts.labels("lost_race").inc()
        except UnfitFact:
            if mood.wary:
                raise
            mood.wary = True
        time.sleep(random.uniform(0, 0.002 * attempt))  # the others need a moment to finish
    instruments.conflicts.labels("gave_up").inc()
    raise RaceLost("What this bulk changes")


def rehearse(tenant: str, decide: Callable[[Bulk], None], needs: Needs) -> None:
    """Let `decide` give its commands to a bulk that nobody records.

    Receivers in the transaction are asked about each as ever, and what they wrote is taken back.
    Raises RaceLost where what is read does not fit together every time, and what `decide` raises.
    """
    consulting, mood = bus.has_counsel(), _Mood(wary=True)
    for _ in range(TRIES):
        try:
            with transaction.atomic() if consulting else nullcontext():
                decide(Bulk(tenant, needs, mood, consulting=consulting))
                if consulting:
                    transaction.set_rollback(True)
                return
        except Overtaken:
            mood.suspicious = True
    raise RaceLost("What this bulk would change")


def _try(
    tenant: str, decide: Callable[[Bulk], None], needs: Needs, mood: _Mood, *, kept_out: bool
) -> tuple[Bulk, Appended | None]:
    consulting = bus.has_counsel()
    tried: list[Bulk] = []

    def propose() -> list[Proposal]:
        bulk = Bulk(tenant, needs, mood, consulting=consulting)
        tried.append(bulk)
        decide(bulk)
        return bulk.proposals()

    if consulting or kept_out:
        appended = append_decided(tenant, propose, undisturbed=not consulting)
    else:
        proposals = propose()
        appended = append(tenant, *proposals) if proposals else None
    if appended is None:
        tried[0].keep_alone()
    return tried[0], appended
