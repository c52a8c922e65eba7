"""POST /commands with 1,000 items, beside the same commands by one service call each.

A bulk is timed from its bytes to its bytes, with the HTTP of a test client and without a network; a
service call without any HTTP. Rounds take turns, so that both meet the same machine.
"""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import django

ITEMS = 1_000
ROUNDS = 5
HEARTBEAT = {
    "success_rate": 0.98,
    "response_time_ms": 120.5,
    "cpu_usage_percent": 35.0,
    "memory_usage_percent": 61.5,
}


def main() -> None:
    django.setup()
    from django.conf import settings
    from django.test import Client

    from agents import services
    from events import tenants
    from events.models import Role
    from tests.bench import fleet

    settings.ALLOWED_HOSTS = ["*"]
    tenant = fleet.fresh_tenant()
    _, token = tenants.issue_token(tenant, "bench", Role.OPERATOR, by=fleet.BY)
    client = Client(headers={"Authorization": f"Bearer {token}"})
    agents = [f"agent-{number}" for number in range(ITEMS)]

    def sent(items: list[dict[str, Any]]) -> float:
        raw = json.dumps(items).encode()
        start = time.perf_counter()
        response = client.post(
            f"/api/v1/tenants/{tenant}/commands", raw, content_type="application/json"
        )
        spent = time.perf_counter() - start
        told = json.loads(response.content)
        if response.status_code != 200 or any(each["status"] >= 300 for each in told):
            raise RuntimeError(response.content[:500])
        return spent

    def called(service: Callable[..., Any], fields: Callable[[str], dict[str, Any]]) -> float:
        start = time.perf_counter()
        for agent in agents:
            service(tenant=tenant, agent_id=agent, by=fleet.BY, **fields(agent))
        return time.perf_counter() - start

    def items(command: str, fields: Callable[[str], dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"command": command, "agent_id": agent, "body": fields(agent)} for agent in agents]

    creation = {"name": "Bench", "capabilities": [{"name": "python", "proficiency_level": 4}]}
    sent(items("create", lambda _: creation))
    sent(items("activate", lambda _: {}))
    rates: dict[str, list[tuple[float, float]]] = {"heartbeat": [], "assign": []}
    for number in range(ROUNDS):

        def task(agent: str, run: str) -> dict[str, Any]:
            return {"task_id": f"{run}-{agent}", "input": {"file": "a.py", "line": 7}}

        def ended(agent: str, run: str) -> dict[str, Any]:
            return {"task_id": f"{run}-{agent}", "execution_time_ms": 5}

        bulk, single = f"b{number}", f"s{number}"
        rates["heartbeat"].append(
            (
                sent(items("heartbeat", lambda _: HEARTBEAT)),
                called(services.record_heartbeat, lambda _: HEARTBEAT),
            )
        )
        first = sent(items("assign", lambda agent: task(agent, bulk)))  # noqa: B023 -- called at once
        sent(items("complete", lambda agent: ended(agent, bulk)))  # noqa: B023 -- the same
        rates["assign"].append(
            (first, called(services.assign_task, lambda agent: task(agent, single)))  # noqa: B023
        )
        sent(items("complete", lambda agent: ended(agent, single)))  # noqa: B023 -- the same
    _report(rates)


def _report(rates: dict[str, list[tuple[float, float]]]) -> None:
    print(f"| {ITEMS:,} commands | in one bulk, /s | by service calls, /s | ratio | range |")
    print("|---|---|---|---|---|")
    for name, pairs in rates.items():
        ratios = [alone / together for together, alone in pairs]
        together = ITEMS / statistics.median(pair[0] for pair in pairs)
        alone = ITEMS / statistics.median(pair[1] for pair in pairs)
        print(
            f"| {name} | {together:,.0f} | {alone:,.0f} | {statistics.median(ratios):.1f} "
            f"| {min(ratios):.1f} to {max(ratios):.1f} |"
        )


if __name__ == "__main__":
    main()
