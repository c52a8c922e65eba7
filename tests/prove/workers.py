"""`python -m tests.prove.workers [kills] [pauses] [seed]`: counters exact, no event skipped.

Three workers follow three tenants whose agents are at work all the while. Again and again one of
them is killed (SIGKILL) at a random moment, or paused (SIGSTOP) for longer than its lease and then
let go on (SIGCONT). Then the log, the counters, the read models and the ledger must agree.

Runs on both engines, each with a database of its own.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import psycopg

from tests.postgresql import postgresql_url

ROOT = Path(__file__).resolve().parents[2]
KILLS, PAUSES = 500, 50
WORKERS, TENANTS, AGENTS = 3, 3, 6
LEASE_SECONDS = 1.0
CATCHES_UP_WITHIN_SECONDS = 120
LEDGER = "AGENTMESH_TEST_LEDGER"
COUNTER = """
    CREATE TABLE prove_counter (
        tenant_id varchar(63) NOT NULL, agent_id varchar(256) NOT NULL, events bigint NOT NULL,
        PRIMARY KEY (tenant_id, agent_id)
    )
"""
COUNT = """
    INSERT INTO prove_counter (tenant_id, agent_id, events) VALUES (%s, %s, 1)
    ON CONFLICT (tenant_id, agent_id) DO UPDATE SET events = prove_counter.events + 1
"""


class Wrong(AssertionError):
    """What was promised does not hold."""


def main(arguments: list[str]) -> int:
    if "--here" in arguments:
        prove(*map(int, arguments[1:]))
        return 0
    numbers = [*arguments, *(str(KILLS), str(PAUSES), "1")[len(arguments) :]]
    with postgresql_url() as server, tempfile.TemporaryDirectory() as folder:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("CREATE DATABASE agentmesh_workers")
        for url in (
            f"sqlite:///{folder}/prove.sqlite3",
            server.replace("/postgres?", "/agentmesh_workers?"),
        ):
            print(url.partition(":")[0], flush=True)
            environment = os.environ | {
                "DATABASE_URL": url,
                "DJANGO_SETTINGS_MODULE": "agentmesh_site.settings",
                LEDGER: f"{folder}/{url.partition(':')[0]}.ledger",
            }
            for command in (
                ("manage.py", "migrate", "--verbosity", "0"),
                ("-m", "tests.prove.workers", "--here", *numbers),
            ):
                subprocess.run([sys.executable, *command], check=True, cwd=ROOT, env=environment)
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("DROP DATABASE agentmesh_workers WITH (FORCE)")
    return 0


def prove(kills: int, pauses: int, seed: int) -> None:
    """Print what was counted. Raises Wrong."""
    import django

    django.setup()
    chance = random.Random(seed)
    tenants = _prepare()
    _share_no_connection()
    began = time.monotonic()
    writers = [_forked(partial(_toil, slug)) for slug in tenants]
    workers = [_forked(_work) for _ in range(WORKERS)]
    try:
        deeds = ["kill"] * kills + ["pause"] * pauses
        chance.shuffle(deeds)
        for deed in deeds:
            time.sleep(chance.uniform(0.01, 0.4))
            place = chance.randrange(WORKERS)
            if deed == "kill":
                _end(workers[place], signal.SIGKILL)
                _share_no_connection()
                workers[place] = _forked(_work)
            else:
                os.kill(workers[place], signal.SIGSTOP)
                time.sleep(LEASE_SECONDS * chance.uniform(1.1, 1.6))
                os.kill(workers[place], signal.SIGCONT)
        for pid in writers:
            _end(pid, signal.SIGTERM)
        writers = []
        _await_heads(tenants)
    finally:
        for pid in writers:
            _end(pid, signal.SIGKILL)
        for pid in workers:
            _end(pid, signal.SIGTERM)
    seconds = time.monotonic() - began
    found = _compare(tenants)
    print(
        f"  {kills} kills and {pauses} pauses in {seconds:.0f} s while {found['events']:,} events "
        f"were recorded; counters and read models exact, none skipped.\n"
        f"  Leases taken: {found['taken']:,}. Handed to a reaction twice: {found['twice']:,}. "
        f"Seed {seed}.",
        flush=True,
    )


def _share_no_connection() -> None:
    """Before a fork."""
    from django.db import connection

    connection.close()
    if connection.vendor == "postgresql":
        connection.close_pool()  # type: ignore[attr-defined]


def _prepare() -> list[str]:
    from django.db import connection

    from agents import services
    from events import tenants
    from events.log.proposal import Context
    from events.vocabulary import Capability

    with connection.cursor() as cursor:
        cursor.execute(COUNTER)
    by = Context(actor="system:prove")
    slugs = [f"acme-{number}" for number in range(TENANTS)]
    for slug in slugs:
        tenants.create_tenant(slug)
        for number in range(AGENTS):
            to: Any = {"tenant": slug, "agent_id": f"a-{number}", "by": by}
            services.create_agent(name="One", capabilities=[Capability("work", 3)], **to)
            services.activate_agent(**to)
    return slugs


def _forked(run: Callable[[], NoReturn]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        run()
    except SystemExit as leaving:
        status = int(leaving.code or 0)
    except BaseException:  # noqa: BLE001 -- a fork of ours must never go on as its parent
        import traceback

        traceback.print_exc()
    os._exit(status)


def _end(pid: int, number: signal.Signals) -> None:
    os.kill(pid, number)
    os.waitpid(pid, 0)


def _work() -> NoReturn:
    """A worker with a counter that must be exact, a reaction that keeps a ledger, and ours."""
    from django.db import connection

    from events.bus import event_bus
    from events.worker import wakeups
    from events.worker.runner import Worker

    ledger = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def count(event: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(COUNT, [event.envelope.tenant, event.agent_id])

    def note(event: Any) -> None:
        at = event.envelope
        os.write(ledger, f"{at.tenant} {at.stream_id} {at.stream_version} {at.seq}\n".encode())

    event_bus.project("Agent*", count, name="prove-counter")
    event_bus.subscribe("*", note, name="prove-ledger", start="beginning")
    worker = Worker(lease_seconds=LEASE_SECONDS)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    wakeups.tell_others()
    worker.run()
    raise SystemExit(0)


def _toil(tenant: str) -> NoReturn:
    from agents import services
    from events.log.proposal import Context

    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)
    by = Context(actor="system:prove")
    number = 0
    while not stopped:
        to: Any = {"tenant": tenant, "agent_id": f"a-{number % AGENTS}", "by": by}
        task_id = f"t-{number}"
        services.record_heartbeat(
            success_rate=1, response_time_ms=5, cpu_usage_percent=1, memory_usage_percent=1, **to
        )
        services.assign_task(task_id=task_id, **to)
        if number % 7:
            services.complete_task(task_id=task_id, execution_time_ms=number % 1_000, **to)
        else:
            services.fail_task(task_id=task_id, error_message="no", **to)
        number += 1
        time.sleep(0.01)
    raise SystemExit(0)


def _await_heads(tenants: list[str]) -> None:
    from events.durable import status

    until = time.monotonic() + CATCHES_UP_WITHIN_SECONDS
    while True:
        states = [state for tenant in tenants for state in status.states(tenant)]
        if all(state.lag_events == 0 and not state.retrying for state in states):
            return
        if time.monotonic() > until:
            raise Wrong([state for state in states if state.lag_events or state.retrying])
        time.sleep(0.2)


def _compare(tenants: list[str]) -> dict[str, int]:
    from django.core.management import call_command
    from django.db import connection
    from django.db.models import Count, Sum

    from events.models import Event, HeldStream, SubscriptionCheckpoint

    held = list(HeldStream.objects.across_tenants())
    if held:
        raise Wrong(held)
    ledger: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for line in Path(os.environ[LEDGER]).read_text(encoding="ascii").splitlines():
        slug, stream_id, *places = line.split()
        ledger[slug].append((stream_id, *map(int, places)))  # type: ignore[arg-type]
    events = 0
    for tenant in tenants:
        log = Event.objects.filter(tenant=tenant)
        told = dict(log.values_list("stream_id").annotate(Count("seq")).order_by())
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT agent_id, events FROM prove_counter WHERE tenant_id = %s", [tenant]
            )
            counted = dict(cursor.fetchall())
        if counted != told:
            raise Wrong(f"{tenant}: counted {counted}, recorded {told}")
        heard = Counter(seq for _, _, seq in ledger[tenant])
        head = log.count()
        missing = set(range(1, head + 1)) - heard.keys()
        if missing:
            raise Wrong(f"{tenant}: the reaction never heard of {sorted(missing)[:10]}")
        seen: dict[str, int] = defaultdict(int)
        for stream, version, seq in ledger[tenant]:
            if version > seen[stream] + 1:
                raise Wrong(f"{tenant}: {stream} came to version {version} early, at seq {seq}")
            seen[stream] = max(seen[stream], version)
        events += head
    call_command("rebuild", "--all", "--check", verbosity=0)
    taken = SubscriptionCheckpoint.objects.across_tenants().aggregate(taken=Sum("epoch"))["taken"]
    twice = sum(map(len, ledger.values())) - events
    return {"events": events, "taken": taken, "twice": twice}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
