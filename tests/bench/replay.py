"""Loading an agent, by its current row and by replay, after ten events and after very many.

The history is made in bulk; the current row is then dropped for the replay, and both must agree.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import django

LENGTHS = (10, 1_000, 10_000, 100_000, 1_000_000)
BATCH = 10_000


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
    print(
        "| events of the agent | load by current row, µs | replay, events/s | text alone, rows/s |"
    )
    print("|---|---|---|---|")
    for length in LENGTHS:
        agent_id = f"agent-{length}"
        fleet.working_agent(tenant, agent_id)
        loaded = current.load(tenant, agent_id)
        while loaded.version < length:
            agent, facts = loaded.agent, []
            for _ in range(min(BATCH, length - loaded.version)):
                passed = decide.health_passed(
                    agent,
                    success_rate=0.98,
                    response_time_ms=120.5,
                    cpu_usage_percent=35.0,
                    memory_usage_percent=61.5,
                    now=utc_now(),
                )
                agent = fold(passed, agent)
                facts += passed
            agent, rows = states.on_the_way(loaded.agent, loaded.version, facts)
            rows.append(current.put(loaded, agent, loaded.version + len(facts)))
            append(
                tenant, Proposal(current.STREAM, agent_id, loaded.version, facts, fleet.BY, rows)
            )
            loaded = current.load(tenant, agent_id)
        rebuilt = current.rebuild_agent(tenant, agent_id)
        assert (rebuilt.agent, rebuilt.version) == (loaded.agent, loaded.version)
        load = _seconds(partial(current.load, tenant, agent_id), 300)
        times = 3 if length > BATCH else 20
        replay = _seconds(partial(current.rebuild_agent, tenant, agent_id), times)
        text = _seconds(partial(_read_text, tenant, agent_id), times)
        print(
            f"| {length:,} | {load * 1e6:,.0f} | {length / replay:,.0f} | {length / text:,.0f} |",
            flush=True,
        )


def _seconds(step: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        step()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def _read_text(tenant: str, agent_id: str) -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT data FROM events_event WHERE tenant_id = %s AND stream_type = 'agent' "
            "AND stream_id = %s ORDER BY version",
            [tenant, agent_id],
        )
        return len(cursor.fetchall())


if __name__ == "__main__":
    main()
