"""The first view of every page in the browser, of a tenant with 1,000,000 events and 1,000 agents.

Every page of `agentmesh_site.urls` that a GET may ask for, as an admin who is signed in, through
the view (no server between): the time and the CPU of a page, the number of its queries, and how
many bytes it sends. Beside it the same pages of a tenant with 10,000 events. BENCH_EVENTS=100000
makes the log shorter.

python -m tests.bench first_views
"""

import os
import statistics
import time
from dataclasses import dataclass
from typing import Any

import django

SHORT, LONG = 10_000, int(os.environ.get("BENCH_EVENTS", "1000000"))
AGENTS = 1_000
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "9"))
REDIRECTED = 300
# Not pages: what somebody downloads, whose length is that of the log.
NOT_VIEWS = ("export", "bundle", "download")


@dataclass(frozen=True)
class View:
    wall_ms: float
    cpu_ms: float
    queries: int
    kib: float
    status: int


def main() -> None:
    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.test import Client

    from events import tenants
    from events.models import Role
    from tests.bench import fleet, projections

    user = User.objects.create_user("alice", password="a fine long password")
    made = []
    for events in (SHORT, LONG):
        tenant = fleet.fresh_tenant()
        projections.fill(tenant, events, AGENTS)
        call_command("rebuild", "--all", "--tenant", tenant, verbosity=0)
        tenants.add_member(tenant, user.username, Role.ADMIN, by=fleet.BY)
        made.append(tenant)
    _analyze()
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    print(f"\n| page | of {SHORT:,}, ms | of {LONG:,}, ms | CPU ms | queries | KiB |")
    print("|---|---|---|---|---|---|")
    for name in _page_names():
        views = [_view(client, name, tenant) for tenant in made]
        if None in views:
            continue
        few, many = views
        print(
            f"| `{name}` | {few.wall_ms:.0f} | {many.wall_ms:.0f} | {many.cpu_ms:.0f} "
            f"| {few.queries}, {many.queries} | {many.kib:.0f} |"
            + (f" {many.status}" if many.status != 200 else ""),
            flush=True,
        )


def _page_names() -> list[str]:
    from agentmesh_site.urls import admin_pages

    named = [page.name for page in admin_pages if "<tenant:tenant>" in str(page.pattern)]
    return [name for name in named if name and not any(word in name for word in NOT_VIEWS)]


def _arguments(tenant: str) -> dict[str, Any]:
    from events.models import Event

    newest = Event.objects.filter(tenant=tenant, type="AgentTaskCompletedEvent").order_by("-seq")
    event = newest[0]
    return {
        "tenant": tenant,
        "agent_id": event.stream_id,
        "event_id": event.event_id,
        "name": "tasks",
        "type": event.type,
        "version": "1.0",
        "task_id": event.data.partition('"task_id":"')[2].partition('"')[0],
    }


def _view(client: Any, name: str, tenant: str) -> Any:
    """None for what takes no GET, or speaks of something that this tenant has none of."""
    from django.db import connection
    from django.urls import NoReverseMatch, reverse

    from agentmesh_site.urls import admin_pages

    (page,) = [each for each in admin_pages if each.name == name]
    wanted = page.pattern.converters
    given = _arguments(tenant)
    if not set(wanted) <= set(given):
        return None
    try:
        path = reverse(f"admin:{name}", kwargs={each: given[each] for each in wanted})
    except NoReverseMatch:
        return None
    if client.get(path).status_code >= REDIRECTED:
        return None
    queries: list[str] = []

    def count(execute: Any, sql: str, *others: Any) -> Any:
        queries.append(sql)
        return execute(sql, *others)

    with connection.execute_wrapper(count):
        response = client.get(path)
    walls, cpus = [], []
    for _ in range(ROUNDS):
        began, worked = time.perf_counter(), time.process_time()
        client.get(path)
        walls.append((time.perf_counter() - began) * 1_000)
        cpus.append((time.process_time() - worked) * 1_000)
    body = b"" if response.streaming else response.content
    return View(
        statistics.median(walls),
        statistics.median(cpus),
        len(queries),
        len(body) / 1024,
        response.status_code,
    )


def _analyze() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


if __name__ == "__main__":
    main()
