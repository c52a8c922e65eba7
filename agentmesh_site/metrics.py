"""GET /metrics: what every process counted, what the database knows, in OpenMetrics.

The answer never waits long and never fails: what the database would say is asked for beside the
request, at most once in a few seconds however many ask, and left out when it does not come in time.
"""

import logging
import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

import django
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from psycopg_pool import PoolTimeout

from agentmesh_site.reading_only import reading_only
from agentmesh_site.version import VERSION
from events.api.problem import unauthenticated
from events.durable.errors import first_line
from events.metrics import sharing, standing

logger = logging.getLogger(__name__)

FRESH_SECONDS = 5.0
PATIENCE_SECONDS = 2.0  # of the ten that a scrape usually has
FORMATS = ("application/openmetrics-text", "text/plain")
FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")


@csrf_exempt
@never_cache
def page(request: HttpRequest) -> HttpResponse:
    """Behind a door of its own: strangers see that there is nothing here."""
    refusal = _refusal(request)
    return refusal or _page(request)


@reading_only
def _page(request: HttpRequest) -> HttpResponse:
    accepted = request.headers.get("Accept", "")
    asked = accepted if any(each in accepted for each in FORMATS) else FORMATS[0]
    encode, content_type = choose_encoder(asked)
    registry = CollectorRegistry()
    for collector in (*sharing.collectors(), _Here()):
        registry.register(collector)
    return HttpResponse(encode(registry), content_type=content_type)


def _refusal(request: HttpRequest) -> HttpResponse | None:
    """None for whoever may see it. Raises Http404."""
    token = settings.METRICS_TOKEN
    if token is None:
        if _is_from_this_machine(request):
            return None
        raise Http404
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and constant_time_compare(given.strip(), token):
        return None
    return unauthenticated(
        "Send 'Authorization: Bearer …' with AGENTMESH_METRICS_TOKEN."
    ).response()


def _is_from_this_machine(request: HttpRequest) -> bool:
    """By the peer's address. Who came through a proxy that nobody trusts has that proxy's, which
    may well be this machine's; so whatever was forwarded came from elsewhere."""
    if any(header in request.META for header in FORWARDED):
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


class Asked:
    """An answer that takes its time, got by one thread for all who want it.

    fresh_seconds: for how long it serves; patience_seconds: how long `answer` waits for it.
    """

    def __init__(
        self,
        ask: Callable[[], Iterable[Metric]],
        fresh_seconds: float = FRESH_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._ask = ask
        self._fresh_seconds = fresh_seconds
        self._patience_seconds = patience_seconds
        self._lock = threading.Lock()
        self._future: Future[list[Metric]] | None = None
        self._asked_at = 0.0

    def answer(self) -> list[Metric] | None:
        """None when there is none in time, or the database could not give it."""
        try:
            return self._current().result(self._patience_seconds)
        except Exception:  # noqa: BLE001 -- logged where it was raised
            return None

    def forget(self) -> None:
        with self._lock:
            self._future = None

    def _current(self) -> "Future[list[Metric]]":
        with self._lock:
            now = time.monotonic()
            future = self._future
            stale = now - self._asked_at >= self._fresh_seconds
            if future is None or (future.done() and stale):
                self._future = future = Future()
                self._asked_at = now
                threading.Thread(
                    target=self._get, args=(future,), name="standing", daemon=True
                ).start()
            return future

    def _get(self, future: "Future[list[Metric]]") -> None:
        try:
            future.set_result(list(self._ask()))
        except (DatabaseError, InterfaceError, PoolTimeout) as error:
            logger.warning("Metrics go without the database: %s", first_line(error))
            future.set_exception(error)
        except Exception as error:
            logger.exception("Metrics go without what the database knows")
            future.set_exception(error)
        finally:
            with suppress(DatabaseError, InterfaceError):
                connection.close()


database = Asked(standing.metrics)


class _Here:
    """What is found out when somebody looks."""

    def collect(self) -> Iterator[Metric]:
        found = database.answer()
        yield GaugeMetricFamily(
            "agentmesh_database_up",
            "1 when the database answered in time; else what it knows is left out.",
            value=0 if found is None else 1,
        )
        yield from found or ()
        build = GaugeMetricFamily(
            "agentmesh_build_info",
            "What runs here; always 1.",
            labels=["version", "python", "django", "engine"],
        )
        python = platform.python_version()
        build.add_metric([VERSION, python, django.__version__, connection.vendor], 1)
        yield build
        yield from _processes()


def _processes() -> Iterator[Metric]:
    """The client library's own figures of a process, of each that counts here."""
    families: dict[str, Metric] = {}
    for process in sharing.processes():
        here: Any = ProcessCollector(pid=lambda pid=process.pid: pid, registry=None)  # type: ignore[misc]
        for family in here.collect():
            whole = families.setdefault(
                family.name, Metric(family.name, family.documentation, family.type)
            )
            for sample in family.samples:
                labels = {"process": process.role, "slot": str(process.slot)}
                whole.add_sample(sample.name, labels, sample.value)
    yield from families.values()
