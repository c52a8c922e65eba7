"""Appends evenly: `python -m tests.prove.streams.writer TENANT PER_SECOND SECONDS`.

Says that it is ready, begins with a line on its input, ends earlier at SIGTERM, and prints each
append's seq, the moment of its commit (monotonic seconds, which all processes of a machine share)
and how long it took.
"""

import signal
import sys
import threading
import time

import django


def main(tenant: str, per_second: str, seconds: str) -> None:
    django.setup()
    from agents import services
    from events.log.proposal import Context
    from events.vocabulary import Capability
    from events.worker import wakeups

    wakeups.tell_others()
    by = Context(actor="system:prove")
    agent_id = f"w-{time.time_ns()}"
    skills = [Capability(name="work", proficiency_level=3)]
    services.create_agent(tenant=tenant, agent_id=agent_id, name="W", capabilities=skills, by=by)
    services.activate_agent(tenant=tenant, agent_id=agent_id, by=by)
    print("ready", flush=True)
    sys.stdin.readline()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    rate = float(per_second)
    done = []
    began = time.monotonic()
    for number in range(round(rate * float(seconds))):
        if stopped.wait(max(0.0, began + number / rate - time.monotonic())):
            break
        start = time.monotonic()
        outcome = services.record_heartbeat(
            tenant=tenant,
            agent_id=agent_id,
            success_rate=1,
            response_time_ms=5,
            cpu_usage_percent=1,
            memory_usage_percent=1,
            by=by,
        )
        end = time.monotonic()
        done.append((outcome.seq, end, end - start))
    print("\n".join(f"{seq} {at} {took}" for seq, at, took in done), flush=True)
    time.sleep(0.5)  # until the others were told


if __name__ == "__main__":
    main(*sys.argv[1:])
