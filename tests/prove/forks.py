"""Processes of a proof: forked from one that has started Django, so that five hundred are cheap."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

TASKS_PER_SECOND = 25


def forked(run: Callable[[], None]) -> int:
    """The process id of a fork that runs and ends, with connections of its own."""
    from django.db import connection

    connection.close()
    if connection.vendor == "postgresql":
        connection.close_pool()  # type: ignore[attr-defined]
    pid = os.fork()
    if pid == 0:
        _leave_after(run)
    return pid


def _leave_after(run: Callable[[], None]) -> NoReturn:
    status = 1
    try:
        run()
        status = 0
    except BaseException:  # noqa: BLE001 -- a fork must never go on as its parent
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(status)


def end(pid: int, number: signal.Signals) -> None:
    os.kill(pid, number)
    os.waitpid(pid, 0)


def work(lease_seconds: float) -> None:
    """A worker of what the event bus knows, until SIGTERM."""
    from events.bus import event_bus
    from events.worker import connections, wakeups
    from events.worker.runner import Worker

    connections.prepare(event_bus, lease_seconds)
    worker = Worker(lease_seconds=lease_seconds)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    wakeups.tell_others()
    worker.run()


def toil(tenant: str, agents: int) -> None:
    """The agents of a tenant at work, one task after the other, until SIGTERM."""
    from agents import services
    from events.log.proposal import Context
    from events.worker import wakeups

    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)
    wakeups.tell_others()
    by = Context(actor="system:prove")
    number = 0
    while not stopped:
        to: Any = {"tenant": tenant, "agent_id": f"a-{number % agents}", "by": by}
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
        time.sleep(1 / TASKS_PER_SECOND / 4)


def fleet(tenant: str, agents: int) -> None:
    """A new tenant with so many agents in service."""
    from agents import services
    from events import tenants
    from events.log.proposal import Context
    from events.vocabulary import Capability

    by = Context(actor="system:prove")
    tenants.create_tenant(tenant)
    for number in range(agents):
        to: Any = {"tenant": tenant, "agent_id": f"a-{number}", "by": by}
        services.create_agent(name="One", capabilities=[Capability("work", 3)], **to)
        services.activate_agent(**to)
