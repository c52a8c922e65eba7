"""What every line of the log (the process's, not the tenants') says of what it was written for: the
request, or the worker's turn.

    with telling(request_id=…, method=…):     everything within, in threads it waits for too
        also_tell(actor=…)                    whoever finds out more says so

Values go out as they are: no token, no payload and no query string belongs here.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_told: ContextVar[dict[str, object] | None] = ContextVar("agentmesh_told", default=None)


def new_id() -> str:
    """For a request or a turn: 16 hex digits."""
    return secrets.token_hex(8)


@contextmanager
def telling(**values: object) -> Iterator[dict[str, object]]:
    """Have every line within say these, beside what is said around it already."""
    # One dictionary for all within: what a view's thread adds is known where the answer leaves.
    told = {**(_told.get() or {}), **values}
    token = _told.set(told)
    try:
        yield told
    finally:
        _told.reset(token)


def also_tell(**values: object) -> None:
    """Have every further line of this request or turn say these too; nothing outside of both."""
    told = _told.get()
    if told is not None:
        told.update(values)


def told() -> dict[str, object]:
    return _told.get() or {}
