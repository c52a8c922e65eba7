"""The demo's fleets at work, in a process of their own: `python -m agentmesh_site.demo.workload`.

Its agents are clients of the server at URL, whose admins' tokens are in the file LOGINS; their own
they keep beside it. No Django is needed for that. It ends at Ctrl-C, and when its standard input
does, which whoever started it holds open: so it never outlives the server, however that ended.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx

from agentmesh_site.demo import logins
from agentmesh_site.demo.desk import Desk, client
from agentmesh_site.demo.fleet import Fleet, Plan
from agentmesh_site.demo.keyring import Keyring

logger = logging.getLogger("agentmesh_site.demo")

PLANS = {
    "acme": Plan(24, in_waiting=2, away=2, stretch=12.0),
    # Large enough that even with somebody away a laptop's sleep counts as a mass loss, and not as
    # the failure of each.
    "globex": Plan(8, in_waiting=1, away=1, stretch=100.0),
}
REST_SECONDS = 3.0  # after something that should not happen
KNOCK_SECONDS = 0.1


async def main(url: str, file: Path) -> None:
    threading.Thread(target=_end_with_the_input, daemon=True).start()
    await _work(url, file)


def _end_with_the_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)  # an agent may be killed at any moment


async def _work(url: str, file: Path) -> None:
    await _until_it_answers(url)
    known = logins.read(file)
    await asyncio.gather(*(_keep(url, tenant, plan, file, known) for tenant, plan in PLANS.items()))


async def _until_it_answers(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:  # noqa: S501 -- no secret
        while True:
            with suppress(httpx.TransportError):
                await http.get(f"{url}/health/live")
                return
            await asyncio.sleep(KNOCK_SECONDS)


async def _keep(url: str, tenant: str, plan: Plan, file: Path, known: logins.Logins) -> None:
    """Keep a fleet at work, and begin again after a rest when something came in between."""
    admin = known.token_of(tenant, "admin")
    if admin is None:
        raise RuntimeError(f"{file} holds no token of an admin of {tenant}.")
    connect = partial(client, url, tenant)
    while True:
        try:
            async with connect(admin) as boss:
                keys = Keyring(file.with_name(f"{file.stem}-agents.json"), tenant, Desk(boss))
                await keys.settle()
                async with connect(await keys.of_dispatcher()) as http:
                    await Fleet(plan, Desk(http), keys, connect).keep()
        except Exception as error:  # noqa: BLE001 -- the demo goes on
            logger.warning("The demo's fleet of %s rests: %r", tenant, error)
            await asyncio.sleep(REST_SECONDS)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # dies of it, without a word
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
