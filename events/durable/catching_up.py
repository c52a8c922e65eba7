"""Reading on until nothing is left, without a worker: for tests, tools and `worker --once`."""

import os
import secrets
import socket
from functools import cache

from events.bus import Subscription
from events.durable import registration, waiting
from events.durable.turn import Turn

SLICE_SECONDS = 5.0


@cache
def _holder(pid: int) -> str:
    # A container's process has the number of the one before it, and must not pass for it.
    return f"{socket.gethostname()[:70]}:{pid}:{secrets.token_hex(4)}"


def holder() -> str:
    """How this process is named where it holds a lease: no other is named so, not even later."""
    return _holder(os.getpid())


def catch_up(subscription: Subscription, tenant: str | None = None) -> int:
    """Take turns until nothing is due, in one tenant or in all; how many events were handled.

    What has failed and waits for its next try, or is read by another worker, is not due.
    """
    handled = 0
    tenants = None if tenant is None else (tenant,)
    registration.meet([subscription])
    others_were_first = False
    while not others_were_first and (due := waiting.due(subscription, tenants)):
        others_were_first = True
        for each in due:
            turn = Turn.take(subscription, each, holder())
            if turn is not None:
                others_were_first = False
                turn.run(SLICE_SECONDS)
                handled += turn.handled
    return handled
