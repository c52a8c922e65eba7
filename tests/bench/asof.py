"""A whole fleet as it stood, beside the fleet as it stands now: `python -m tests.bench asof`.

The history is made in bulk, a few events of every agent in turn, and then asked for at the first
seq, at the last, and at random ones between: one page of all agents, as GET /agents?seq= gives it,
JSON included. The same again with all stored states dropped, and for one agent and its diff.
`python -m tests.bench.asof AGENTS EVENTS` makes a smaller one.
"""

import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import django

if TYPE_CHECKING:
    from agents.domain.state import Agent
    from events.facts import DomainEvent

AGENTS, EVENTS = 1_000, 1_000_000
AT_ONCE = 10  # events of one agent in one append
POINTS = 20
POINTS_WITHOUT = 3


def main() -> None:
    django.setup()
    from agents import diff, fleet, history
    from agents.api.representation import agent_json
    from agents.models import AgentState
    from events.log import read

    agents, events = map(int, sys.argv[1:3]) if len(sys.argv) > 2 else (AGENTS, EVENTS)
    names = [f"agent-{number:05}" for number in range(agents)]
    random.seed(7)
    started = time.perf_counter()
    tenant, head = _history(names, events)
    seconds = time.perf_counter() - started
    kept = AgentState.objects.filter(tenant=tenant).count()
    print(f"{agents:,} agents, {head:,} events, {kept:,} states; made in {seconds:.0f} s.\n")

    def whole(seq: int | None) -> int:
        """Every agent at that seq, page by page; how many there are."""
        found, after = 0, None
        while True:
            page = fleet.page(tenant, fleet.Wanted(), limit=1_000, after=after, seq=seq)
            found += len([agent_json(each.agent, each.version, each.seq) for each in page.agents])
            after = page.next
            if after is None:
                return found

    points = [agents, head // 2, head - 1, head, *(_somewhere(head) for _ in range(POINTS - 4))]
    now = statistics.median(_timed(lambda _: whole(None), range(5)))
    print("| what | smallest | median | largest | median to the fleet now |")
    print("|---|---|---|---|---|")
    print(f"| the fleet now | | {now * 1000:,.0f} ms | | 1.0 |", flush=True)
    _row("the fleet at a seq", _timed(whole, points), now)
    _row("one agent at a seq", _timed(_one(history.agent_at_seq, tenant, names), points[1:]), now)

    def differ(seq: int) -> None:
        name = random.choice(names)
        version = history.agent_at_seq(tenant, name, seq).version
        start = history.Point(version=max(1, version - 100))
        diff.diff(tenant, name, start, history.Point(version=version))

    _row("diff over 100 events of an agent", _timed(differ, points[1:]), now)
    AgentState.objects.filter(tenant=tenant).delete()
    few = [head // 10, head // 2, head - 1][:POINTS_WITHOUT]
    _row("the fleet at a seq, no states left", _timed(whole, few), now)
    assert read.head(tenant) is not None


def _one(ask: Callable[..., Any], tenant: str, names: Sequence[str]) -> Callable[[int], object]:
    return lambda seq: ask(tenant, random.choice(names), seq)


def _somewhere(head: int) -> int:
    return random.randint(head // 100, head)


def _timed(step: Callable[[int], object], points: Sequence[int]) -> list[float]:
    taken = []
    for point in points:
        start = time.perf_counter()
        step(point)
        taken.append(time.perf_counter() - start)
    return taken


def _row(what: str, taken: Sequence[float], now: float) -> None:
    middle = statistics.median(taken)
    print(
        f"| {what} | {min(taken) * 1000:,.1f} ms | {middle * 1000:,.1f} ms "
        f"| {max(taken) * 1000:,.1f} ms | {middle / now:.2f} |",
        flush=True,
    )


def _history(names: Sequence[str], events: int) -> tuple[str, int]:
    """A tenant with so many events of agents at work; its slug and its head."""
    from agents import current, states
    from events.log.append import append
    from events.log.proposal import Proposal
    from tests.bench import fleet

    tenant = fleet.fresh_tenant()
    for name in names:
        fleet.working_agent(tenant, name)
    loaded = {name: current.load(tenant, name) for name in names}
    head = sum(each.version for each in loaded.values())
    while head < events:
        proposals = []
        for name in names:
            before = loaded[name]
            facts = _work(before.agent)
            agent, rows = states.on_the_way(before.agent, before.version, facts)
            version = before.version + len(facts)
            rows.append(current.put(before, agent, version))
            proposals.append(Proposal(current.STREAM, name, before.version, facts, fleet.BY, rows))
            loaded[name] = current.Loaded(agent, version, 0, has_row=True)
        head = append(tenant, *proposals).seq
    return tenant, head


def _work(agent: "Agent") -> "list[DomainEvent]":
    """What an agent does for a while. Its tasks have no claims: they play no part in its past."""
    from agents.domain import decide
    from agents.domain.evolve import fold
    from events.facts import utc_now

    facts: list[DomainEvent] = []
    while len(facts) < AT_ONCE:
        now, task = utc_now(), agent.current_task_id
        if random.random() < 0.5:  # half of what is heard of an agent
            step = decide.health_passed(
                agent,
                success_rate=0.98,
                response_time_ms=120.5,
                cpu_usage_percent=random.randint(0, 100),
                memory_usage_percent=61.5,
                now=now,
            )
        elif task is None:
            task = f"{agent.agent_id}-{agent.tasks_assigned}"
            step = decide.assign(agent, task_id=task, input={"file": "a.py"}, now=now)
        else:
            step = decide.complete(
                agent, task_id=task, result={"ok": True}, execution_time_ms=1_200, now=now
            )
        agent = fold(step, agent)
        facts += step
    return facts


if __name__ == "__main__":
    main()
