"""What being watched costs: a heartbeat counted in shared files and not counted at all, in turns of
one process; and one look at what the database knows of a thousand tenants."""

import statistics
import tempfile
import time
from pathlib import Path

import django

ROUNDS = 30
BLOCK = 100  # heartbeats
TENANTS = 1_000
LOOKS = 20


def main() -> None:
    django.setup()
    _hot_path()
    _scrape()


def _hot_path() -> None:
    from events.metrics import sharing
    from tests.bench import fleet

    tenant, agent_id = fleet.fresh_tenant(), "agent-1"
    fleet.working_agent(tenant, agent_id)
    sharing.begin("web", Path(tempfile.mkdtemp(prefix="agentmesh-bench-")))

    def block(role: str | None) -> float:
        sharing._role = role
        began = time.perf_counter()
        for _ in range(BLOCK):
            fleet.heartbeat(tenant, agent_id)
        return (time.perf_counter() - began) / BLOCK * 1e6

    block(None)
    without: list[float] = []
    counted: list[float] = []
    for number in range(ROUNDS):  # who is first has the warmer cache; so they take turns
        order = (None, "web") if number % 2 else ("web", None)
        for role in order:
            (counted if role else without).append(block(role))
    print("| a heartbeat | µs, median of blocks | fastest block |")
    print("|---|---|---|")
    for name, spent in (("not counted", without), ("counted, shared", counted)):
        print(f"| {name} | {statistics.median(spent):,.1f} | {min(spent):,.1f} |")
    ratios = [each / other for each, other in zip(counted, without, strict=True)]
    print(f"\nmedian of the rounds' ratios: {statistics.median(ratios):.4f}\n", flush=True)


def _scrape() -> None:
    from django.db import connection

    from events.bus import event_bus
    from events.durable.catching_up import catch_up
    from events.metrics import standing
    from tests.bench import fleet

    tenants = [fleet.fresh_tenant() for _ in range(TENANTS)]
    for tenant in tenants:
        fleet.working_agent(tenant, "agent-1")
    for subscription in tuple(event_bus.subscriptions.values()):
        catch_up(subscription)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    print("| a look at 1,000 tenants | ms, median | worst |")
    print("|---|---|---|")
    _look("all up to date", standing)
    for tenant in tenants:
        fleet.heartbeat(tenant, "agent-1")
    _look("each subscription behind in each", standing)


def _look(name: str, standing: object) -> None:
    spent = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        list(standing.metrics())  # type: ignore[attr-defined]
        spent.append((time.perf_counter() - began) * 1e3)
    print(f"| {name} | {statistics.median(spent):,.1f} | {max(spent):,.1f} |", flush=True)


if __name__ == "__main__":
    main()
