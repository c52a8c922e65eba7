"""A thousand events at once: many agents' heartbeats as one append, beside raw INSERTs.

The whole way is timed: sealing (encode, validate, leaf), the head's lock, the chain, COPY (on
SQLite INSERT) and the agents' rows, current and past.
"""

import statistics
import time

import django

EVENTS = 1_000
AGENTS = 50
ROUNDS = 15


def main() -> None:
    django.setup()
    from agents import current, states
    from agents.domain import decide
    from agents.domain.evolve import fold
    from events.facts import utc_now
    from events.log.append import append
    from events.log.proposal import Proposal
    from tests.bench import fleet

    tenant = fleet.fresh_tenant()
    names = [f"agent-{number}" for number in range(AGENTS)]
    for name in names:
        fleet.working_agent(tenant, name)
    raw = fleet.RawInsert()
    ratios, rates = [], []
    for _ in range(ROUNDS):
        proposals = []
        for name in names:
            loaded = current.load(tenant, name)
            agent, facts = loaded.agent, []
            for number in range(EVENTS // AGENTS):
                now = utc_now()
                passed = decide.health_passed(
                    agent,
                    success_rate=0.98,
                    response_time_ms=120.5 + number,
                    cpu_usage_percent=35.0,
                    memory_usage_percent=61.5,
                    now=now,
                )
                agent = fold(passed, agent)
                facts += passed
            agent, rows = states.on_the_way(loaded.agent, loaded.version, facts)
            rows.append(current.put(loaded, agent, loaded.version + len(facts)))
            proposals.append(Proposal(current.STREAM, name, loaded.version, facts, fleet.BY, rows))
        start = time.perf_counter()
        append(tenant, *proposals)
        rate = sum(len(p.facts) for p in proposals) / (time.perf_counter() - start)
        start = time.perf_counter()
        for _ in range(200):
            raw()
        rates.append(rate)
        ratios.append(rate / (200 / (time.perf_counter() - start)))
    print("| what | events/s (median) | best | ratio to raw INSERT |")
    print("|---|---|---|---|")
    print(
        f"| {EVENTS:,} events of {AGENTS} agents in one append, agents' rows too "
        f"| {statistics.median(rates):,.0f} | {max(rates):,.0f} "
        f"| {statistics.median(ratios):.1f} |"
    )


if __name__ == "__main__":
    main()
