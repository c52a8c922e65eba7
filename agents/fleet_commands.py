"""Many agents at once, for people: what would happen to each, and then doing it.

    rehearse(tenant, orders)                    nothing is recorded
    carry_out(tenant, orders, once, summarize)  one append; a refused order is refused alone

Both give the orders to a bulk (`agents.bulk`), so that a rehearsal is refused what the real thing
would be refused, by the same services.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agents import bulk
from agents.bulk import Bulk, Needs
from agents.claims import ClaimLost
from agents.command import AlreadyExists, Outcome, Request
from agents.current import AgentNotFound
from agents.domain.errors import InvalidCommand, RuleViolated
from agents.domain.state import Agent
from events.confidential.seal import CannotSeal
from events.encoding import UnfitFact
from events.facts import DomainEvent
from events.idempotency import Answer, Once
from events.tenants import Refused

MOST_AGENTS = 1_000  # of one append, as of POST /commands

# One order's fault, or the veto of a receiver; anything else is a fault of ours.
REFUSALS = (
    AgentNotFound,
    AlreadyExists,
    CannotSeal,
    ClaimLost,
    InvalidCommand,
    Refused,
    RuleViolated,
    UnfitFact,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Something to be done with one agent. give: calls services with the request it is given, once
    or more often. ends_task: whether it may end a task that it does not name."""

    agent_id: str
    give: Callable[[Request], Sequence[Outcome]]
    ends_task: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What became of an order, or would: the agent after it with the facts, or why not."""

    agent_id: str
    agent: Agent | None = None
    facts: Sequence[DomainEvent] = ()
    refusal: Exception | None = None


Summarize = Callable[[Sequence[Told]], Answer]


def rehearse(tenant: str, orders: Sequence[Order]) -> list[Told]:
    """What would become of each order now, in their order. Raises RaceLost."""
    told: list[Told] = []

    def decide(bulk: Bulk) -> None:
        told[:] = _given(orders, bulk)

    bulk.rehearse(tenant, decide, _needs(orders))
    return told


def carry_out(tenant: str, orders: Sequence[Order], once: Once, summarize: Summarize) -> int | None:
    """Give the orders, and return the seq of the last event; None where every order was refused.
    What `summarize` makes of what became of them is kept under `once`, by the append itself.

    Raises RaceLost, and AnsweredBefore when it was carried out before under the same `once`.
    """

    def decide(bulk: Bulk) -> None:
        bulk.keep(once, summarize(_given(orders, bulk)))

    _, appended = bulk.together(tenant, decide, _needs(orders), once)
    return appended.seq if appended else None


def _needs(orders: Sequence[Order]) -> Needs:
    return Needs(
        agent_ids={order.agent_id for order in orders},
        ending={order.agent_id for order in orders if order.ends_task},
    )


def _given(orders: Sequence[Order], bulk: Bulk) -> list[Told]:
    return [_tell(order, Request(bulk=bulk)) for order in orders]


def _tell(order: Order, request: Request) -> Told:
    try:
        outcomes = order.give(request)
    except REFUSALS as refusal:
        return Told(order.agent_id, refusal=refusal)
    facts = [fact for outcome in outcomes for fact in outcome.facts]
    return Told(order.agent_id, outcomes[-1].agent, facts)
