"""Giving a task to the best available agent: one candidate after another is asked to decide.

Nobody is reserved. The candidates are read without a lock, and the append of an assignment is what
decides, as for any other command: of two callers that reach for one agent one loses the race, sees
the agent busy, and tries the next.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from agents import candidates, claims
from agents.candidates import Census, Skilled, Wanted
from agents.command import Outcome, RaceLost, Request, run
from agents.current import AgentNotFound
from agents.domain import decide, limits, routing
from agents.domain.routing import Match
from agents.domain.state import Agent, Status
from events.facts import JSON, DomainEvent, utc_now
from events.idempotency import Answer, Once
from events.log.proposal import Context

AT_ONCE = 20  # candidates of one query
MOST_TRIED = 500  # candidates that were lost to others, before the caller is told so

Render = Callable[[Agent, Match, Sequence[DomainEvent]], Answer]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why no agent fits, or some of them do not, in a sentence and for a program.

    code: no_agents, capability, combination, or the lower-case status of those who could. agents:
    how many that is. requirement: the place of the one that nobody meets.
    """

    code: str
    detail: str
    agents: int = 0
    requirement: int | None = None
    skilled: Skilled | None = None


class NoAgent(Exception):
    """No available agent can take the task."""

    def __init__(self, reasons: Sequence[Reason]) -> None:
        super().__init__(" ".join(each.detail for each in reasons))
        self.reasons = reasons

    @property
    def is_for_want_of_skill(self) -> bool:
        """Whether waiting would not help."""
        return any(each.code in ("no_agents", "capability", "combination") for each in self.reasons)

    @property
    def advice(self) -> str:
        """What to do next."""
        if self.is_for_want_of_skill:
            return "Require less, or add an agent that has it."
        return "Try again when one is AVAILABLE, or add another."


class TooManyOthers(Exception):
    """Every candidate was given another task meanwhile."""

    def __init__(self) -> None:
        super().__init__("Others were first every time. Try again.")


class _PassedOver(Exception):
    """This candidate does not take it (any more)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A task that looks for its agent."""

    task_id: str
    wanted: Wanted
    input: JSON = None

    def check(self) -> None:
        limits.check_task_id(self.task_id)
        limits.check_task_payload(self.input, "input")
        routing.check(self.wanted.required, self.wanted.prefer)


def assign_to_best(
    tenant: str,
    order: Order,
    by: Context,
    *,
    render: Render | None = None,
    once: Once | None = None,
    now: datetime | None = None,
) -> Outcome:
    """Errors as in `agents.services`, and NoAgent, TooManyOthers."""
    order.check()
    claims.refuse_taken(tenant, order.task_id)
    search = _Search(tenant, order, by, render, once, now)
    if (outcome := search.run()) is not None:
        return outcome
    reasons = reasons_in(candidates.census(tenant, order.wanted.required))
    if any(each.code == Status.AVAILABLE.lower() for each in reasons):
        raise TooManyOthers
    raise NoAgent(reasons)


class _Search:
    """One task's way past the candidates."""

    def __init__(
        self,
        tenant: str,
        order: Order,
        by: Context,
        render: Render | None,
        once: Once | None,
        now: datetime | None,
    ) -> None:
        self._tenant = tenant
        self._order = order
        self._by = by
        self._now = now
        self._compared_at = now or utc_now()  # one moment for all candidates
        self._match: Match  # of the candidate that has decided last
        self._request = Request(once=once)
        if render is not None:
            self._request = Request(
                render=lambda agent, _, facts: render(agent, self._match, facts), once=once
            )

    def run(self) -> Outcome | None:
        """None when nobody takes it."""
        passed: list[str] = []
        while len(passed) < MOST_TRIED:
            found = candidates.ranked(
                self._tenant, self._order.wanted, self._compared_at, limit=AT_ONCE, without=passed
            )
            if not found:
                return None
            for agent_id in found:
                try:
                    return run(self._tenant, agent_id, self._decide, self._by, self._request)
                except (_PassedOver, RaceLost, AgentNotFound):
                    passed.append(agent_id)
        return None

    def _decide(self, agent: Agent) -> list[DomainEvent]:
        order = self._order
        match = routing.match(agent, order.wanted.required, self._compared_at)
        if match is None or agent.status is not Status.AVAILABLE:
            raise _PassedOver
        self._match = match
        now = self._now or utc_now()
        return decide.assign(agent, task_id=order.task_id, input=order.input, now=now)


def reasons_in(found: Census) -> list[Reason]:
    """The reasons why none of these agents can take a task now, the first to be mended first."""
    if not found.agents:
        return [Reason("no_agents", "There are no agents.")]
    lacking = [_lacking(index, each) for index, each in enumerate(found.skilled) if not each.able]
    if lacking:
        return lacking
    if not found.by_status:
        together = " and ".join(str(each.requirement) for each in found.skilled)
        return [Reason("combination", f"No agent has {together} together.")]
    return [_unavailable(status, number) for status, number in found.by_status.items()]


def _lacking(index: int, skilled: Skilled) -> Reason:
    detail = f"No agent has {skilled.requirement}."
    if skilled.below:
        have = "1 agent has" if skilled.below == 1 else f"{skilled.below} agents have"
        detail += f" {have} it at level {skilled.best_level} or less."
    return Reason("capability", detail, skilled.below, index, skilled)


def _unavailable(status: Status, number: int) -> Reason:
    one = number == 1
    return Reason(
        status.lower(),
        f"{number} that could {'is' if one else 'are'} {status}.",
        number,
    )
