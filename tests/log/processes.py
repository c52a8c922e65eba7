"""Real processes for the tests of concurrency: `python -m tests.log.processes JSON`, with a list of
jobs: name, arguments, and the descriptors to take as standard streams.

Each prints "ready" and its process id when it could begin, waits for a line on stdin, works, and
prints its findings as one line of JSON. So all begin together, however long Python takes to start.
"""

import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import django

Findings = dict[str, Any]
HEARTBEAT: dict[str, Any] = {
    "success_rate": 1,
    "response_time_ms": 1,
    "cpu_usage_percent": 1,
    "memory_usage_percent": 1,
}
DEADLINE_SECONDS = 40  # a process that a test has lost ends by itself


class Vetoed(Exception):
    """What the receiver of some writers raises."""


def planned(name: str, appends: int) -> list[tuple[str, int]]:
    """What the writer of this name attempts: in which manner, and how many events."""
    chance = random.Random(name)
    manners = ["alone", "alone", "bulk", "late", "veto", "doomed", "receiver"]
    plan = [(chance.choice(manners), chance.randint(1, 3)) for _ in range(appends)]
    return [(manner, 7 if manner == "bulk" else size) for manner, size in plan]


def write(tenants: list[str], name: str, appends: int) -> Findings:
    """Append to streams of its own, in every manner: alone, in bulk, late, vetoed, doomed."""
    from events import bus
    from events.log.append import append
    from events.log.errors import VersionConflict
    from events.log.proposal import Context, Proposal
    from events.models import Token
    from events.vocabulary import AgentHealthCheckPassedEvent

    def veto(context: Context, **_: object) -> None:
        if context.reason == "veto":
            raise Vetoed

    bus.events_appended.connect(veto)
    version = dict.fromkeys(tenants, 0)
    for number, (kind, size) in enumerate(planned(name, appends)):
        tenant = tenants[number % len(tenants)]
        facts = [AgentHealthCheckPassedEvent(name)] * size
        expected = version[tenant] + (1 if kind == "doomed" else 0)
        by = Context(actor="system:test", reason=kind)

        def slowly(tenant: str = tenant, number: int = number) -> None:
            Token.objects.create(
                tenant_id=tenant,
                name=name,
                role="auditor",
                digest=f"{tenant} {name} {number}".encode(),
            )
            time.sleep(0.01)

        if kind == "alone":
            bus.events_appended.disconnect(veto)
        try:
            append(
                tenant,
                Proposal("agent", name, expected, facts, by),
                within=slowly if kind in ("late", "veto") else None,
            )
            version[tenant] += len(facts)
        except (Vetoed, VersionConflict):
            pass
        finally:
            bus.events_appended.connect(veto)
    return {"events": sum(version.values())}


def follow(tenants: list[str], wanted: int) -> Findings:
    """Read by seq until `wanted` events have come; what each tenant's reader saw, in order."""
    from events.log import read

    seen: dict[str, list[tuple[int, str]]] = {tenant: [] for tenant in tenants}
    pages = 0
    until = time.monotonic() + DEADLINE_SECONDS
    while sum(map(len, seen.values())) < wanted and time.monotonic() < until:
        for tenant, events in seen.items():
            rows = read.after(tenant, events[-1][0] if events else 0, limit=50)
            events += [(row.seq, row.event_id.hex) for row in rows]
            pages += 1
    return {"seen": seen, "pages": pages}


def take_rounds(tenant: str, agent_id: str, rounds: int) -> Findings:
    """Try to be the one who moves the agent on from each version; which were won."""
    from agents import current, services
    from agents.command import Request, VersionMismatch
    from events.log.proposal import Context

    by = Context(actor="system:test")
    won: list[int] = []
    lost = 0
    while (version := current.load(tenant, agent_id).version) < rounds:
        try:
            services.record_heartbeat(
                tenant=tenant,
                agent_id=agent_id,
                **HEARTBEAT,
                by=by,
                request=Request(if_version=version),
            )
            won.append(version)
        except VersionMismatch:
            lost += 1
    return {"won": won, "lost": lost}


def command(tenant: str, agent_ids: list[str], name: str, commands: int) -> Findings:
    """Order this and that of the same agents as everybody else; how each order ended."""
    from agents import services
    from agents.command import RaceLost
    from agents.domain.errors import RuleViolated
    from events.log.proposal import Context

    chance = random.Random(name)
    by = Context(actor="system:test")
    ended: Counter[str] = Counter()
    for number in range(commands):
        to: Any = {"tenant": tenant, "agent_id": chance.choice(agent_ids), "by": by}
        task_id = f"t-{chance.randrange(commands)}"
        verb = chance.choice(["assign", "complete", "fail", "heartbeat", "pause", "resume"])
        orders: dict[str, Callable[[], object]] = {
            "assign": partial(services.assign_task, task_id=task_id, **to),
            "complete": partial(_complete, **to),
            "fail": partial(_fail, **to),
            "heartbeat": partial(services.record_heartbeat, **HEARTBEAT, **to),
            "pause": partial(services.pause_agent, reason=f"{name} {number}", **to),
            "resume": partial(services.resume_agent, **to),
        }
        try:
            orders[verb]()
            ended[verb] += 1
        except RuleViolated as refused:
            ended[f"refused {refused.rule}"] += 1
        except RaceLost:
            ended["race lost"] += 1
    return {"ended": ended}


def _complete(**to: Any) -> None:
    from agents import services

    services.complete_task(task_id=_current_task(**to), execution_time_ms=1, **to)


def _fail(**to: Any) -> None:
    from agents import services

    services.fail_task(task_id=_current_task(**to), error_message="x", **to)


def _current_task(tenant: str, agent_id: str, **_: object) -> str:
    from agents import current

    return current.load(tenant, agent_id).agent.current_task_id or "none"


def claim(tenant: str, agent_id: str, task_ids: list[str]) -> Findings:
    """Try to take every task for this agent; which it got."""
    from agents import services
    from agents.domain.errors import RuleViolated
    from events.log.proposal import Context

    to: Any = {"tenant": tenant, "agent_id": agent_id, "by": Context(actor="system:test")}
    got = []
    for task_id in task_ids:
        try:
            services.assign_task(task_id=task_id, **to)
        except RuleViolated as refused:
            if refused.rule not in ("task_held", "task_completed"):
                raise
        else:
            got.append(task_id)
            services.complete_task(task_id=task_id, execution_time_ms=1, **to)
    return {"got": got}


def send_again(tenant: str, agent_id: str, keys: int) -> Findings:
    """The same requests as everybody else, each with its idempotency key; the answers."""
    from agents import services
    from agents.command import Request
    from events.idempotency import Answer, AnsweredBefore, Once
    from events.log.proposal import Context

    told, recorded = [], 0
    for key in range(keys):
        once = Once.of(
            tenant=tenant, principal="token:ci", method="POST", path="/", key=str(key), body=b"{}"
        )
        answer = once.earlier_answer()
        if answer is None:
            try:
                answer = services.record_heartbeat(
                    tenant=tenant,
                    agent_id=agent_id,
                    **HEARTBEAT,
                    by=Context(actor="token:ci"),
                    request=Request(
                        once=once,
                        render=lambda _, version, __: Answer(200, {"v": version, "seq": None}),
                    ),
                ).answer
                recorded += 1
            except AnsweredBefore:
                answer = once.earlier_answer()
        assert answer is not None
        told.append(answer.body)
    return {"told": told, "recorded": recorded}


def add_members(tenant: str, usernames: list[str]) -> Findings:
    """Let the same people in as everybody else; whom this process let in."""
    from events import tenants
    from events.log.proposal import Context

    added, refused = [], 0
    for username in usernames:
        try:
            tenants.add_member(tenant, username, "operator", by=Context(actor="user:alice"))
            added.append(username)
        except tenants.Refused as refusal:
            if refusal.code != "already_exists":
                raise
            refused += 1
    return {"added": added, "refused": refused}


def toil(tenant: str, agent_id: str) -> Findings:
    """Work until killed: tasks with idempotency keys, one after the other."""
    from agents import current, services
    from agents.command import Request
    from events.idempotency import Answer, Once
    from events.log.proposal import Context

    to: Any = {"tenant": tenant, "agent_id": agent_id, "by": Context(actor="system:test")}
    until = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < until:
        loaded = current.load(tenant, agent_id)
        once = Once.of(
            tenant=tenant,
            principal="token:ci",
            method="POST",
            path=agent_id,
            key=str(loaded.version),
            body=b"{}",
        )
        request = Request(
            once=once,
            render=lambda agent, version, _: Answer(
                200, {"agent_id": agent.agent_id, "seq": None}, version=version
            ),
        )
        task_id = loaded.agent.current_task_id
        if task_id is None:
            services.assign_task(task_id=f"{agent_id}-{loaded.version}", request=request, **to)
        else:
            services.complete_task(task_id=task_id, execution_time_ms=1, request=request, **to)
    return {}


def grow(tenant: str, agents: list[str], events: int, pause_seconds: float = 0.0) -> Findings:
    """Append heartbeats, now of this agent and now of that, and tell other processes of them."""
    from events.worker import wakeups
    from tests.durable.sample import record

    wakeups.tell_others()
    for _ in range(events):
        record(tenant, random.choice(agents))
        time.sleep(pause_seconds)
    time.sleep(0.2)  # whoever tells is another thread, which dies with the process
    return {}


def work(lease_seconds: float, pauses_at: int | None = None, once: str = "") -> Findings:
    """A worker with two projections that can count, until it is killed.

    Where it hears of the event `pauses_at` it stops in the middle of its transaction, as by
    SIGSTOP; unless there is a file `once`, which it makes then.
    """
    from events import duties
    from events.bus import event_bus
    from events.worker import connections, wakeups
    from events.worker.runner import Worker
    from tests.durable.tables import count, tallies

    def handle(event: Any) -> None:
        count(event)
        if event.envelope.seq == pauses_at and not Path(once).exists():
            Path(once).touch()
            os.kill(os.getpid(), signal.SIGSTOP)

    for name in tuple(event_bus.subscriptions):
        event_bus.unsubscribe(name)
    duties.sweeps.clear()
    duties.companions.clear()
    event_bus.project("Agent*", handle, name="counts")
    event_bus.project("Agent*", tallies("tallies"))
    connections.prepare(event_bus, lease_seconds)
    wakeups.tell_others()
    worker = Worker(lease_seconds=lease_seconds)
    threading.Timer(DEADLINE_SECONDS, worker.stop).start()
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    return {"in_time": worker.run()}


JOBS: dict[str, Callable[..., Findings]] = {
    job.__name__: job
    for job in (
        write,
        follow,
        take_rounds,
        command,
        claim,
        send_again,
        add_members,
        toil,
        grow,
        work,
    )
}


def _work(name: str, given: dict[str, Any], ends: list[int]) -> None:
    """One job, on the standard streams that it was given; never returns."""
    code = 1
    try:
        for stream, end in enumerate(ends):
            os.dup2(end, stream)
        # Nobody else may hold an end open: whoever reads waits for the last to close it.
        os.closerange(3, 1_024)
        random.seed()
        sys.stdout.write(f"ready {os.getpid()}\n")
        sys.stdout.flush()
        sys.stdin.readline()
        sys.stdout.write(json.dumps(JOBS[name](**given)) + "\n")
        sys.stdout.flush()
        code = 0
    except BaseException:  # noqa: BLE001 -- whoever started us reads it
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _lead(orders: list[tuple[str, dict[str, Any], list[int]]]) -> None:
    """Fork the crew; it ends when they have, or with the session that they are all in."""
    for name, given, ends in orders:
        if os.fork() == 0:
            _work(name, given, ends)
    for _, _, ends in orders:
        for end in ends:
            os.close(end)
    for _ in orders:
        os.wait()


if __name__ == "__main__":
    django.setup()
    _lead(json.loads(sys.argv[1]))
