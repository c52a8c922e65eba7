"""No request makes Django hold more of its body than its door would ever take.

Django reads a whole body, to disk where it is large, before any view can refuse it. So the rest
of a body that is too long is thrown away as it comes; the view sees that it was, and answers 413.
"""

import re
from collections.abc import Callable

from uvicorn._types import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    Scope,
)

from agents.pages import csv_agents
from events.api.strict_json import MAX_BODY_BYTES, MAX_BULK_BYTES

THROWN_AWAY = 16 * 1024 * 1024  # more than this is not even listened to

_BULK = re.compile(r"/api/v1/tenants/[^/]+/commands")
# The one page that takes a file. Twice what it accepts, and what a form has around it.
_FILE = re.compile(r"/admin/t/[^/]+/import/(do/)?")
MAX_FILE_BODY_BYTES = 2 * csv_agents.MOST_BYTES + 64 * 1024


def most_bytes(path: str) -> int | None:
    """How long a body of this path may be, as its door says too; None where Django's own limits
    are enough."""
    if _FILE.fullmatch(path):
        return MAX_FILE_BODY_BYTES
    if not path.startswith("/api/"):
        return None
    return MAX_BULK_BYTES if _BULK.fullmatch(path) else MAX_BODY_BYTES


class BodyLimit:
    """Passes on so many bytes as `most` says for the path, and one more, by which the view knows.

    most: None where a path is not concerned.
    """

    def __init__(self, application: ASGI3Application, most: Callable[[str], int | None]) -> None:
        self.application = application
        self.most = most

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        most = self.most(scope["path"]) if scope["type"] == "http" else None
        if most is not None:
            receive = _limited(receive, most + 1)
        await self.application(scope, receive, send)


def _limited(receive: ASGIReceiveCallable, room: int) -> ASGIReceiveCallable:
    is_over = False

    async def limited() -> ASGIReceiveEvent:
        nonlocal room, is_over
        message = await receive()
        while is_over and message["type"] == "http.request":
            message = await receive()  # what is left of a body that was already refused
        if message["type"] != "http.request":
            return message
        body = message["body"]
        if len(body) <= room:
            room -= len(body)
            return message
        is_over, beyond = True, len(body) - room
        # A client that is cut off at once may never read why; so its body is heard to the end.
        while message["type"] == "http.request" and message["more_body"] and beyond < THROWN_AWAY:
            message = await receive()
            if message["type"] == "http.request":
                beyond += len(message["body"])
        if message["type"] != "http.request":
            return message
        return {"type": "http.request", "body": body[:room], "more_body": False}

    return limited
