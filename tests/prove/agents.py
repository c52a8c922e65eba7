"""`python -m tests.prove.agents [tasks] [kills] [server kills] [seed]`: no task lost, none doubled.

Ten agents, each a process made of examples/worker_agent.py, work for a server while they and it are
killed (SIGKILL) at random moments, and started again. Tasks are given all the while, to whom the
database calls available. At the end the log has to say of each task that it was completed, once.

Runs on both engines, each with a database of its own.
"""

import os
import random
import sys
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.prove.engines import HERE, folder, on_both

if TYPE_CHECKING:
    from tests.clients.crew import Crew  # needs Django, which a proof starts late

TASKS, KILLS, SERVER_KILLS = 500, 50, 10
AGENTS = 10
WORK_SECONDS = 0.4
PATIENCE_SECONDS = 1_200  # a machine may have other things to do


def main(arguments: list[str]) -> int:
    if HERE in arguments:
        prove(*map(int, arguments[1:]))
        return 0
    defaults = (str(TASKS), str(KILLS), str(SERVER_KILLS), "1")
    return on_both("tests.prove.agents", [*arguments, *defaults[len(arguments) :]])


def prove(tasks: int, kills: int, server_kills: int, seed: int) -> None:
    """Print what was counted. Raises AssertionError at what is lost or doubled."""
    import django

    django.setup()
    from django.core.management import call_command

    from events.log.verify import verify
    from events.tenants import create_tenant
    from tests.clients.crew import Crew
    from tests.stream.server import free_port, serving

    chance = random.Random(seed)
    acme = create_tenant("acme").slug
    port = free_port()
    crew = Crew(
        acme, f"http://127.0.0.1:{port}", dict(os.environ), folder() / "diary", WORK_SECONDS
    )
    giving = threading.Thread(target=_give, args=(crew, tasks), daemon=True)
    began = time.monotonic()
    with ExitStack() as running:
        server = running.enter_context(serving(crew.env, port=port))
        running.callback(crew.go_home)
        crew.enlist(f"agent-{number}" for number in range(AGENTS))
        giving.start()
        deeds = ["agent"] * kills + ["server"] * server_kills
        chance.shuffle(deeds)
        for deed in deeds:
            time.sleep(chance.uniform(0, 1.0))
            if deed == "server":
                server.process.kill()
                time.sleep(chance.uniform(0, 2.0))
                server = running.enter_context(serving(crew.env, port=port))
            else:
                agent_id = chance.choice(list(crew.running))
                crew.kill(agent_id)
                crew.start(agent_id)
        until = time.monotonic() + PATIENCE_SECONDS
        while giving.is_alive() or not crew.has_ended_all():
            assert time.monotonic() < until, "a task is lost"
            time.sleep(0.2)
    seconds = time.monotonic() - began
    works = crew.works()
    assert crew.completions() == {f"t-{number}": 1 for number in range(tasks)}
    verify(acme)
    call_command("rebuild", "agents", "--check", verbosity=0)
    print(
        f"  {tasks} tasks in {seconds:.0f} s through {kills} kills of {AGENTS} agents and "
        f"{server_kills} of the server; each completed once, none failed.\n"
        f"  Worked on more than once: {sum(each > 1 for each in works.values())}. Seed {seed}.",
        flush=True,
    )


def _give(crew: "Crew", tasks: int) -> None:
    from django.db import connection

    for number in range(tasks):
        while not crew.give(f"t-{number}"):
            time.sleep(0.05)
    connection.close()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
