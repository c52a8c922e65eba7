"""Finding the best agent for a task among 1,000 and 10,000: the query, the reasons when there is
none, and a routed task as a whole, beside one that is assigned to a named agent.

Every agent has four capabilities and a record of its own, and all are available: the most that the
query can have to score.
"""

import random
import statistics
import time
from collections.abc import Callable
from datetime import timedelta

import django

RUNS = 30


def measure(what: str, act: Callable[[int], object]) -> None:
    spent = []
    for number in range(RUNS):
        start = time.perf_counter()
        act(number)
        spent.append((time.perf_counter() - start) * 1_000)
    print(
        f"| {what} | {min(spent):,.1f} ms | {statistics.median(spent):,.1f} ms | "
        f"{max(spent):,.1f} ms |",
        flush=True,
    )


def main() -> None:
    django.setup()
    from django.db import connection
    from msgspec.structs import replace

    from agents import candidates, current, services
    from agents.candidates import Wanted
    from agents.domain.routing import Preference, Requirement
    from agents.models import CurrentAgent
    from events.facts import utc_now
    from events.vocabulary import Capability
    from tests.bench import fleet

    rng = random.Random(7)
    now = utc_now()

    def populate(agents: int) -> str:
        tenant = fleet.fresh_tenant()
        fleet.working_agent(tenant, "template")
        template = current.load(tenant, "template").agent

        def agent(number: int) -> CurrentAgent:
            made = replace(
                template,
                agent_id=f"agent-{number}",
                tags=("bench", "red"),
                capabilities=tuple(
                    Capability(name, rng.randint(1, 5)) for name in ("python", "law", "nlp", "sql")
                ),
                tasks_completed=rng.randint(0, 500),
                tasks_failed=rng.randint(0, 50),
                last_task_ended_at=now - timedelta(seconds=rng.randint(0, 7_200)),
            )
            return CurrentAgent(
                tenant_id=tenant, agent_id=made.agent_id, version=1, seq=1, **current.columns(made)
            )

        CurrentAgent.objects.bulk_create(map(agent, range(agents)), batch_size=5_000)
        for number in range(2 * RUNS):
            fleet.working_agent(tenant, f"named-{number}")
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        return tenant

    two = Wanted(
        [Requirement("python", 3), Requirement("law", 2)], Preference(tags=("bench", "eu"))
    )
    real = Preference(tags=("blue",))
    print("| what | smallest | median | largest |")
    print("|---|---|---|---|", flush=True)
    for agents in (1_000, 10_000):
        tenant = populate(agents)

        def route(number: int, tenant: str = tenant) -> None:
            services.route_task(
                tenant=tenant,
                task_id=f"r-{number}",
                required=[Requirement("python", 3)],
                prefer=real,  # the others have rows alone, and no events to follow
                by=fleet.BY,
            )

        def assign(number: int, tenant: str = tenant) -> None:
            services.assign_task(
                tenant=tenant, agent_id=f"named-{number}", task_id=f"d-{number}", by=fleet.BY
            )

        def search(_: int, tenant: str = tenant) -> None:
            candidates.ranked(tenant, two, now, limit=20)

        def reason(_: int, tenant: str = tenant) -> None:
            candidates.census(tenant, [Requirement("python", 5), Requirement("rust")])

        measure(f"the best 20 of {agents:,}, two capabilities and a preference", search)
        measure(f"why none of {agents:,} fits", reason)
        measure("a task assigned to a named agent", assign)
        measure(f"a task routed among {agents:,}", route)


if __name__ == "__main__":
    main()
