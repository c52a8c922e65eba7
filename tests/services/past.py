"""Fleets with a past, and the plainest telling of it: all events up to a seq, one by one."""

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from agents import current, services, states
from agents.domain import decide
from agents.domain.errors import RuleViolated
from agents.domain.evolve import evolve
from agents.domain.state import Agent
from events.facts import utc_now
from events.log.append import append
from events.log.proposal import Proposal
from events.models import Event
from events.registry import decoder
from events.vocabulary import Capability
from tests.services.conftest import ALICE, create

Standing = tuple[Agent, int, int]
AGENTS = ("aaa", "bbb", "ccc", "zzz")


def live(tenant: str, chance: random.Random, orders: int = 100) -> None:
    """Random orders to four agents that come one after another; one that lives longer than most,
    one that is terminated, and a bulk that passes several stored states at once."""
    for number in range(orders):
        if number % 12 == 0 and number // 12 < len(AGENTS):
            create(tenant, AGENTS[number // 12], active=False)
        there = AGENTS[: number // 12 + 1]
        agent_id = chance.choice((*there, *AGENTS[:1] * 3))
        with suppress(RuleViolated):
            _order(tenant, agent_id, chance, number)
    bulk(tenant, {"aaa": 70, "bbb": 3})
    with suppress(RuleViolated):
        services.terminate_agent(tenant=tenant, agent_id="ccc", reason="old", force=True, by=ALICE)
    for number in range(10):
        with suppress(RuleViolated):
            _order(tenant, chance.choice(AGENTS[:2]), chance, orders + number)


def bulk(tenant: str, changes: dict[str, int]) -> None:
    """So many changes of each of these agents, in one append."""
    proposals = []
    for agent_id, many in changes.items():
        loaded = current.load(tenant, agent_id)
        facts = [
            decide.update(loaded.agent, metadata={"n": number}, now=utc_now())[0]
            for number in range(many)
        ]
        agent, rows = states.on_the_way(loaded.agent, loaded.version, facts)
        rows.append(current.put(loaded, agent, loaded.version + many))
        proposals.append(Proposal(current.STREAM, agent_id, loaded.version, facts, ALICE, rows))
    append(tenant, *proposals)


def crowd(tenant: str, agents: int, changes: int) -> None:
    """So many agents of one append each with a creation and so many changes."""
    proposals = []
    for number in range(agents):
        agent_id = f"a-{number:04}"
        created = decide.create(
            agent_id=agent_id,
            tenant_id=tenant,
            name="One of many",
            capabilities=[Capability("translate", 2)],
            now=utc_now(),
        )
        agent = evolve(None, created[0])
        facts = [
            *created,
            *(decide.update(agent, metadata={"n": n}, now=utc_now())[0] for n in range(changes)),
        ]
        agent, rows = states.on_the_way(None, 0, facts)
        rows.append(current.put(None, agent, len(facts)))
        proposals.append(Proposal(current.STREAM, agent_id, 0, facts, ALICE, rows))
    append(tenant, *proposals)


def _order(tenant: str, agent_id: str, chance: random.Random, number: int) -> None:
    to: Any = {"tenant": tenant, "agent_id": agent_id, "by": ALICE}
    task = current.load(tenant, agent_id).agent.current_task_id or f"t-{number}"
    metadata = {chance.choice("ab"): chance.choice([1, 1.0, True, None, {"c": number % 3}, [1]])}
    orders: list[tuple[Callable[..., object], dict[str, Any]]] = [
        (services.activate_agent, {}),
        (services.activate_agent, {}),
        (services.record_heartbeat, VITALS | {"response_time_ms": number}),
        (services.record_heartbeat, VITALS | {"response_time_ms": number}),
        (services.assign_task, {"task_id": task, "input": {"n": number}}),
        (services.assign_task, {"task_id": task}),
        (services.complete_task, {"task_id": task, "execution_time_ms": 5}),
        (services.fail_task, {"task_id": task, "error_message": "no"}),
        (services.update_agent, {"metadata": metadata, "tags": chance.sample(["eu", "us"], 1)}),
        (services.update_agent, {"name": chance.choice(["Ada", "Bea"])}),
        (services.add_capability, {"name": f"c-{number % 5}", "proficiency_level": 1}),
        (services.upgrade_capability, {"name": "translate", "proficiency_level": number % 3 + 3}),
        (services.pause_agent, {"reason": "lunch"}),
        (services.resume_agent, {}),
        (services.record_health_failure, {"reason": "gone"}),
    ]
    service, values = chance.choice(orders)
    service(**to, **values)


VITALS = {"success_rate": 1, "cpu_usage_percent": 1, "memory_usage_percent": 1}


def told(tenant: str) -> list[dict[str, Standing]]:
    """At place n the agents when the log ended at seq n, each with its version and seq."""
    found: list[dict[str, Standing]] = [{}]
    for event in Event.objects.filter(tenant=tenant).order_by("seq"):
        then = dict(found[-1])
        if event.stream_type == "agent":
            before = then.get(event.stream_id)
            fact: Any = decoder(event.type, event.schema_version)(event.data)
            agent = evolve(before[0] if before else None, fact)
            then[event.stream_id] = agent, event.version, event.seq
        found.append(then)
    return found
