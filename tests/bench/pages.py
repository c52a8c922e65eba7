"""A page of a long list beside the same page of a short one: events and agents, each filter.

Two logs of a fleet at work, of 10,000 and of 1,000,000 events, and two fleets, of 1,000 and of
10,000 agents. Each page is asked for in both in turn, through the view (no server between), at
several depths, oldest first and newest first; of the depths the dearest counts. A sparse filter,
one that fits nothing, makes a page look at all that it may. BENCH_EVENTS=100000 makes the log
shorter, BENCH_EXPLAIN=1 prints what the database says of each page of the long ones.

python -m tests.bench pages
"""

import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import django

SHORT, LONG = 10_000, int(os.environ.get("BENCH_EVENTS", "1000000"))
FEW, MANY = 1_000, 10_000
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "9"))
EVENT_FILTERS = (
    "",
    "types=AgentTaskAssignedEvent",
    "types=AgentTask*",
    "types=AgentCreatedEvent",  # at the beginning alone
    "types=NoSuchEvent",
    "actor=system:bench",
    "actor=user:nobody",
    "correlation=bench",
    "correlation=nothing",
    "since={middle}",
    "until={middle}",
    "since={middle}&types=AgentTask*&actor=system:bench",
    "agent=agent-7",
    "agent=agent-7&types=NoSuchEvent",
    "agent=agent-7&since={middle}",
    "agent=agent-7,agent-8",
    "agent=agent-19*",
    "q=agent-7",
    "q=nothing%20like%20it",
    "query=-type:AgentTask*",
    "query=-agent:agent-7",
    "query=-actor:system:*",
    "query=-correlation:bench",
    "query=hours:off",
)
AGENT_FILTERS = (
    "",
    "status=AVAILABLE",
    "status=BUSY",
    "intent=terminated",
    "health=healthy,unknown",
    "capability=python",
    "capability=skill-3",
    "capability=py*",
    "tag=blue",
    "tag=team-7&tag=blue",
    "tag=none-has-it",
    "q=agent-00",
    "q=nothing%20like%20it",
)
LIMIT = 40  # the short log has fifty events of an agent


@dataclass(frozen=True)
class List:
    """One list to be asked for: where it is, how long, and the depths to ask at."""

    path: str
    length: int
    middle: str
    depths: Sequence[str]


def main() -> None:
    django.setup()
    from events import tenants
    from events.models import Role
    from tests.bench import fleet, projections

    short, long = fleet.fresh_tenant(), fleet.fresh_tenant()
    projections.fill(short, SHORT)
    projections.fill(long, LONG)
    clients = {}
    for tenant in (short, long):
        _, secret = tenants.issue_token(tenant, "bench", Role.OPERATOR, by=fleet.BY)
        clients[tenant] = _client(secret)
    _analyze()
    for order in ("asc", "desc"):
        _measure(
            f"events, order={order}",
            EVENT_FILTERS,
            [(clients[tenant], _events(tenant, order)) for tenant in (short, long)],
        )
    few, many = fleet.fresh_tenant(), fleet.fresh_tenant()
    for tenant, agents in ((few, FEW), (many, MANY)):
        _enlist(tenant, agents)
        _, secret = tenants.issue_token(tenant, "bench", Role.OPERATOR, by=fleet.BY)
        clients[tenant] = _client(secret)
    _analyze()
    _measure(
        "agents",
        AGENT_FILTERS,
        [(clients[few], _agents(few, FEW)), (clients[many], _agents(many, MANY))],
    )


def _client(secret: str) -> Any:
    from django.test import Client

    return Client(SERVER_NAME="localhost", headers={"Authorization": f"Bearer {secret}"})


def _measure(what: str, filters: Sequence[str], lists: Sequence[tuple[Any, List]]) -> None:
    short, long = (each for _, each in lists)
    print(f"\n| {what} | of {short.length:,}, ms | of {long.length:,}, ms | ratio | items |")
    print("|---|---|---|---|---|")
    for chosen in filters:
        dearest, items = [], 0
        taken: list[list[list[float]]] = [[[] for _ in each.depths] for _, each in lists]
        for round_number in range(ROUNDS + 1):
            for number, (client, each) in enumerate(lists):
                for place, depth in enumerate(each.depths):
                    url = f"{each.path}{depth}&{chosen.format(middle=each.middle)}"
                    began = time.perf_counter()
                    response = client.get(url)
                    spent = time.perf_counter() - began
                    if response.status_code != 200:
                        raise AssertionError(response.content)
                    if round_number:
                        taken[number][place].append(spent)
                    else:
                        items = max(items, len(response.json()["items"]))
                        _explain(client, url, wanted=number == 1)
        dearest = [max(map(statistics.median, depths)) * 1_000 for depths in taken]
        ratio = dearest[1] / dearest[0]
        shown = chosen.replace("{middle}", "…") or "none"
        print(
            f"| `{shown}` | {dearest[0]:.1f} | {dearest[1]:.1f} | {ratio:.2f} | {items} |",
            flush=True,
        )


def _events(tenant: str, order: str) -> List:
    from events.log import read
    from events.models import Event

    found = read.head(tenant)
    head = found.seq if found else 0
    middle = Event.objects.get(tenant=tenant, seq=head // 2).recorded_at
    if order == "desc":
        depths = [f"&after={seq}" for seq in (head + 1, head * 3 // 4, head // 2, LIMIT * 250)]
    else:
        depths = [f"&after={seq}" for seq in (0, head // 4, head // 2, head - LIMIT * 250)]
    path = f"/api/v1/tenants/{tenant}/events?limit={LIMIT}&order={order}"
    return List(path, head, _moment(middle), [each for each in depths if "-" not in each])


def _agents(tenant: str, agents: int) -> List:
    from events.api.paging import cursor_of

    depths = ["", *(f"&cursor={cursor_of(_name(agents * part // 4))}" for part in (1, 2, 3))]
    return List(f"/api/v1/tenants/{tenant}/agents?limit={LIMIT}", agents, "", depths)


def _moment(moment: datetime) -> str:
    from events.moments import rfc3339

    return quote(rfc3339(moment))


def _enlist(tenant: str, agents: int) -> None:
    """A fleet of so many, by appends of many agents."""
    from agents import current, states
    from agents.domain import decide
    from agents.domain.evolve import fold
    from events.facts import utc_now
    from events.log.append import append
    from events.log.proposal import Proposal
    from events.vocabulary import Capability
    from tests.bench import fleet

    at_once = 500
    for first in range(0, agents, at_once):
        proposals = []
        for number in range(first, first + at_once):
            now, name = utc_now(), _name(number)
            facts = list(
                decide.create(
                    tenant_id=tenant,
                    agent_id=name,
                    name=name,
                    capabilities=[Capability("python", 4), Capability(f"skill-{number % 20}", 3)],
                    tags=[f"team-{number % 50}", "blue" if number % 2 else "green"],
                    now=now,
                )
            )
            if number % 3:
                facts += decide.activate(fold(facts), now=now)
            agent, rows = states.on_the_way(None, 0, facts)
            rows.append(current.put(None, agent, len(facts)))
            proposals.append(Proposal(current.STREAM, name, 0, facts, fleet.BY, rows))
        append(tenant, *proposals)


def _name(number: int) -> str:
    return f"agent-{number:05}"


def _analyze() -> None:
    """As autovacuum does of a log that has grown."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _explain(client: Any, url: str, *, wanted: bool) -> None:
    if not wanted or "BENCH_EXPLAIN" not in os.environ:
        return
    from django.db import connection

    asked: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        asked.append((sql, parameters))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(note):
        client.get(url)
    print(f"\n{url}")
    how = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN (ANALYZE, BUFFERS)"
    with connection.cursor() as cursor:
        for sql, parameters in asked:
            cursor.execute(f"{how} {sql}", parameters)
            print("\n".join(f"    {row[-1]}" for row in cursor.fetchall()), "\n")


if __name__ == "__main__":
    main()
