"""Answers for whoever watches this process. No login, and no secrets in what is said."""

import logging
import time
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from psycopg_pool import PoolTimeout

from agentmesh_site import beside
from agentmesh_site.reading_only import reading_only
from events.log import guard
from events.worker import heartbeat

logger = logging.getLogger(__name__)

OK = "ok"
UNKNOWN = "Not asked, since the database does not answer."
FRESH_SECONDS = 5.0  # what changes by a person's hand alone is not looked at for every probe
_started = time.monotonic()


@never_cache
@reading_only
def live(request: HttpRequest) -> JsonResponse:
    """The process runs and answers; whether it can do its work is another question."""
    return JsonResponse({"status": OK})


@never_cache
@reading_only
def ready(request: HttpRequest) -> JsonResponse:
    """Whether this process can do its work now: 200, or 503 with what is wrong by its check.

    A worker that is missed where none is expected is said, and changes the status to "degraded":
    what is recorded is recorded, and read models follow when one is back.
    """
    checks = {"database": _outcome(CHECKS["database"])}
    for name, check in CHECKS.items():
        if name != "database":
            checks[name] = _outcome(check) if checks["database"] == OK else UNKNOWN
    faults = {name for name, outcome in checks.items() if outcome != OK}
    if faults - {"worker"} or ("worker" in faults and _expects_a_worker()):
        return JsonResponse(
            {"status": "unavailable", "checks": checks}, status=HTTPStatus.SERVICE_UNAVAILABLE
        )
    return JsonResponse({"status": "degraded" if faults else OK, "checks": checks})


def _expects_a_worker() -> bool:
    """One that has just been started beside us is given the time to begin."""
    said = settings.EXPECT_WORKER
    expected = beside.is_wanted() if said is None else said
    return expected and time.monotonic() - _started >= heartbeat.MISSED_SECONDS


def _outcome(check: Callable[[], str]) -> str:
    try:
        return check()
    except (DatabaseError, InterfaceError, PoolTimeout) as error:
        # The error's own words may name hosts and accounts; they belong into the log alone.
        logger.error("Not ready: %s", error)  # noqa: TRY400 -- the traceback would say nothing
        return "The database does not answer as it should."


def _good_for_a_while(check: Callable[[], str]) -> Callable[[], str]:
    """A check that is believed for some seconds, once it was passed."""
    passed_at = -FRESH_SECONDS

    @wraps(check)
    def ask() -> str:
        nonlocal passed_at
        now = time.monotonic()
        if now - passed_at < FRESH_SECONDS:
            return OK
        outcome = check()
        if outcome == OK:
            passed_at = now
        return outcome

    return ask


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return OK


def _migrations() -> str:
    executor = MigrationExecutor(connection)
    missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    return f"{missing} migrations are not applied. Run migrate." if missing else OK


def _triggers() -> str:
    """Append-only, and by the database's own word: its triggers are in place and refuse."""
    return " ".join(guard.faults()) or OK


def _worker() -> str:
    age = heartbeat.age_seconds()
    if age is None:
        return "No worker was ever seen. Run manage.py worker."
    if age > heartbeat.MISSED_SECONDS:
        return f"No worker was seen for {age:,.0f} s. Run manage.py worker."
    return OK


CHECKS = {
    "database": _database,
    "migrations": _good_for_a_while(_migrations),
    "triggers": _good_for_a_while(_triggers),
    "worker": _worker,
}
