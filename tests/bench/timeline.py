"""The timeline's pages of a long log, as the server makes them: time, CPU and questions of each.

The view as Django's client calls it (no server between), signed in as an admin: the newest events,
a page in the middle of the log, one query of each kind, the rows of the live tail, an event's page
and the completions. BENCH_EVENTS=100000 makes the log shorter, BENCH_EXPLAIN=1 prints the plans.

python -m tests.bench timeline
"""

import os
import statistics
import time
from typing import Any

import django

EVENTS = int(os.environ.get("BENCH_EVENTS", "1000000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "9"))
QUERIES = (
    "",
    "type:AgentTask*",
    "type:AgentCreatedEvent",  # at the log's beginning alone: all that a page may look at, in vain
    "-type:AgentHealth* -agent:agent-7",
    "-actor:system:*",
    "agent:agent-7",
    "agent:agent-7 type:AgentCreatedEvent",
    "correlation:nothing",
    "-correlation:bench",
    "since:24h -type:AgentTask*",
    "agent-7",
    "nothing-like-it",
    "hours:off",
    "hours:work -agent-7",
)


def main() -> None:
    django.setup()
    from django.contrib.auth.models import User
    from django.test import Client

    from events import tenants
    from events.log import read
    from events.models import Event
    from tests.bench import fleet, projections
    from tests.bench.pages import _analyze

    tenant = fleet.fresh_tenant()
    projections.fill(tenant, EVENTS)
    user = User.objects.create_user(tenant)
    tenants.add_member(tenant, user.username, "admin", by=fleet.BY)
    _analyze()
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    found = read.head(tenant)
    head = found.seq if found else 0
    middle = Event.objects.get(tenant=tenant, seq=head // 2)
    page = f"/admin/t/{tenant}/events/"
    print(f"\nof {head:,} events\n\n| page | ms | CPU ms | questions |\n|---|---|---|---|")
    for query in QUERIES:
        _measure(client, query or "the newest", page, {"q": query} if query else {})
    _measure(client, "from the middle down", page, {"before": head // 2})
    _measure(client, "100 rows of the tail", f"{page}newer/", {"after": head - 100})
    _measure(client, "an event", f"{page}{middle.event_id}/", {})
    for field, prefix in (("agent", "agent-1"), ("actor", ""), ("type", "Agent")):
        address = f"{page}completions/"
        _measure(client, f"completion of {field}", address, {"field": field, "prefix": prefix})


def _measure(client: Any, what: str, path: str, query: dict[str, Any]) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    taken, spent = [], []
    client.get(path, query)
    for _ in range(ROUNDS):
        began, cpu = time.perf_counter(), time.process_time()
        response = client.get(path, query)
        taken.append((time.perf_counter() - began) * 1000)
        spent.append((time.process_time() - cpu) * 1000)
        if response.status_code != 200:
            raise AssertionError(response.content)
    with CaptureQueriesContext(connection) as asked:
        client.get(path, query)
    print(
        f"| `{what}` | {statistics.median(taken):.1f} | {statistics.median(spent):.1f} "
        f"| {len(asked)} |",
        flush=True,
    )
    if "BENCH_EXPLAIN" in os.environ:
        for each in asked.captured_queries:
            if "events_event" in each["sql"]:
                _explain(each["sql"])


def _explain(sql: str) -> None:
    from django.db import connection

    how = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN (ANALYZE, BUFFERS)"
    print(f"\n    {sql[:200]}")
    if connection.vendor == "sqlite":
        return  # the text that Django keeps of a question is none that SQLite takes
    with connection.cursor() as cursor:
        cursor.execute(f"{how} {sql}")
        print("\n".join(f"    {row[-1]}" for row in cursor.fetchall()), "\n")


if __name__ == "__main__":
    main()
