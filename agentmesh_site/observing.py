"""What is counted, measured and logged of every request, and the ids by which it is found again.

The outermost middleware. X-Request-Id is always ours, one for each request, so that a line of the
log means one; X-Correlation-Id is the client's when it gave one, and may span many.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from time import perf_counter
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from agentmesh_site.log_lines import SAID
from events.metrics import instruments
from events.origin import CORRELATION, correlation_id_of
from events.telling import new_id, telling

logger = logging.getLogger("agentmesh_site.access")

REQUEST = "X-Request-Id"
GONE = 499  # what servers note for a client that left before its answer
UNMATCHED = "unmatched"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
QUIET = frozenset({"/health/live", "/health/ready", "/metrics"})  # asked for again and again
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


@sync_and_async_middleware
def observing(
    get_response: Callable[[HttpRequest], Any],
) -> Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]:
    if iscoroutinefunction(get_response):

        async def respond_async(request: HttpRequest) -> HttpResponseBase:
            began = perf_counter()
            ids = _ids(request)
            with telling(**ids):
                try:
                    response: HttpResponseBase = await get_response(request)
                except asyncio.CancelledError:
                    _note(request, GONE, perf_counter() - began)
                    raise
                _note(request, response.status_code, perf_counter() - began)
            return _marked(response, ids)

        return respond_async

    def respond(request: HttpRequest) -> HttpResponseBase:
        began = perf_counter()
        ids = _ids(request)
        with telling(**ids):
            response: HttpResponseBase = get_response(request)
            _note(request, response.status_code, perf_counter() - began)
        return _marked(response, ids)

    return respond


def _ids(request: HttpRequest) -> dict[str, str]:
    return {"request_id": new_id(), "correlation_id": correlation_id_of(request)}


def _marked(response: HttpResponseBase, ids: dict[str, str]) -> HttpResponseBase:
    response.headers[REQUEST] = ids["request_id"]
    response.headers.setdefault(CORRELATION, ids["correlation_id"])
    return response


def _note(request: HttpRequest, status: int, seconds: float) -> None:
    route = _route_of(request)
    method = request.method if request.method in METHODS else "other"
    instruments.requests.labels(route, method, status).inc()
    instruments.request_seconds.labels(route, method).observe(seconds)
    if request.path in QUIET or not logger.isEnabledFor(logging.INFO):
        return
    said = {
        "method": method,
        "path": request.path,  # never the query, which may hold what is secret
        "route": route,
        "status": status,
        "duration_ms": round(seconds * 1_000, 1),
        "address": request.META.get("REMOTE_ADDR") or None,
    }
    logger.info("%s %s %d", method, request.path, status, extra={SAID: said})


def _route_of(request: HttpRequest) -> str:
    match = request.resolver_match
    if match is not None:
        return _template(match.route)
    return settings.STATIC_URL if request.path.startswith(settings.STATIC_URL) else UNMATCHED


@lru_cache(maxsize=1_024)
def _template(route: str) -> str:
    """`api/v1/tenants/<tenant>/agents` → `/api/v1/tenants/{tenant}/agents`. A pattern that takes
    whatever comes is no route."""
    if "(" in route:
        return UNMATCHED
    return "/" + _PARAMETER.sub(r"{\1}", route)
