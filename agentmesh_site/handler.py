"""Django's ASGI handler, with a few threads that stay instead of one for each request.

All our views are synchronous: they ask the database and wait. Django's own handler starts a thread
for each request, moves into it and out again for every step (the signals, the middleware, the view,
the closing), and the thread's connection to the database ends with it. Here a request moves once,
and finds a thread whose connection is open.

A streaming response is the exception in Django and has no place here: what is long is handed over
(`events.api.handover`) or follows the log (`projections.stream.door`).
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.urls import set_script_prefix

from events.api.places import Places

AT_ONCE = 10


def places() -> int:
    """As many as the pool has connections to PostgreSQL: none waits for one, and none is left."""
    pool = settings.DATABASES["default"]["OPTIONS"].get("pool", {})
    return int(pool.get("max_size", AT_ONCE))


class Handler(ASGIHandler):
    """One for each process."""

    def __init__(self) -> None:
        BaseHandler.__init__(self)
        self.load_middleware(is_async=False)
        self._places = Places(places())
        self._threads = ThreadPoolExecutor(self._places.threads, thread_name_prefix="request")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise ValueError(f"Django answers HTTP alone, not {scope['type']}.")
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        loop = asyncio.get_running_loop()
        response = await loop.run_in_executor(self._threads, self._respond, scope, body)
        await self.send_response(response, send)
        if response.streaming:
            await sync_to_async(response.close)()

    def _respond(self, scope: Any, body: IO[bytes]) -> Any:
        with self._places.taken():
            return self._answer(scope, body)

    def _answer(self, scope: Any, body: IO[bytes]) -> Any:
        """The whole of a request, as under WSGI: signals, middleware, view."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        with body:
            request, refusal = self.create_request(scope, body)
            response: Any = self.get_response(request) if request else refusal
        response._handler_class = self.__class__  # noqa: SLF001 -- whose request has finished
        if not response.streaming:
            response.close()  # its content stays
        return response
