"""`python -m tests.prove.workers [kills] [pauses] [seed]`: counters exact, no event skipped.

Three workers follow three tenants whose agents are at work all the while. Again and again one of
them is killed (SIGKILL) at a random moment, or paused (SIGSTOP) for longer than its lease and then
let go on (SIGCONT). Then the log, the counters, the read models and the ledger must agree.

Runs on both engines, each with a database of its own.
"""

import os
import random
import signal
import sys
import time
from collections import Counter, defaultdict
from functools import partial
from typing import Any

from tests.prove.engines import HERE, folder, on_both
from tests.prove.forks import end, fleet, forked, toil, work

KILLS, PAUSES = 500, 50
WORKERS, TENANTS, AGENTS = 3, 3, 6
LEASE_SECONDS = 1.0
CATCHES_UP_WITHIN_SECONDS = 120
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
    if HERE in arguments:
        prove(*map(int, arguments[1:]))
        return 0
    return on_both(
        "tests.prove.workers", [*arguments, *(str(KILLS), str(PAUSES), "1")[len(arguments) :]]
    )


def prove(kills: int, pauses: int, seed: int) -> None:
    """Print what was counted. Raises Wrong."""
    import django

    django.setup()
    chance = random.Random(seed)
    tenants = _prepare()
    began = time.monotonic()
    writers = [forked(partial(toil, slug, AGENTS)) for slug in tenants]
    workers = [forked(_work) for _ in range(WORKERS)]
    try:
        deeds = ["kill"] * kills + ["pause"] * pauses
        chance.shuffle(deeds)
        for deed in deeds:
            time.sleep(chance.uniform(0.01, 0.4))
            place = chance.randrange(WORKERS)
            if deed == "kill":
                end(workers[place], signal.SIGKILL)
                workers[place] = forked(_work)
            else:
                os.kill(workers[place], signal.SIGSTOP)
                time.sleep(LEASE_SECONDS * chance.uniform(1.1, 1.6))
                os.kill(workers[place], signal.SIGCONT)
        for pid in writers:
            end(pid, signal.SIGTERM)
        writers = []
        _await_heads(tenants)
    finally:
        for pid in writers:
            end(pid, signal.SIGKILL)
        for pid in workers:
            end(pid, signal.SIGTERM)
    seconds = time.monotonic() - began
    found = _compare(tenants)
    print(
        f"  {kills} kills and {pauses} pauses in {seconds:.0f} s while {found['events']:,} events "
        f"were recorded; counters and read models exact, none skipped.\n"
        f"  Leases taken: {found['taken']:,}. Handed to a reaction twice: {found['twice']:,}. "
        f"Seed {seed}.",
        flush=True,
    )


def _prepare() -> list[str]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(COUNTER)
    slugs = [f"acme-{number}" for number in range(TENANTS)]
    for slug in slugs:
        fleet(slug, AGENTS)
    return slugs


def _work() -> None:
    """A worker with a counter that must be exact, a reaction that keeps a ledger, and ours."""
    from django.db import connection

    from events.bus import event_bus

    ledger = os.open(folder() / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def count(event: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(COUNT, [event.envelope.tenant, event.agent_id])

    def note(event: Any) -> None:
        at = event.envelope
        os.write(ledger, f"{at.tenant} {at.stream_id} {at.stream_version} {at.seq}\n".encode())

    event_bus.project("Agent*", count, name="prove-counter")
    event_bus.subscribe("*", note, name="prove-ledger", start="beginning")
    work(LEASE_SECONDS)


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
    for line in (folder() / "ledger").read_text(encoding="ascii").splitlines():
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
