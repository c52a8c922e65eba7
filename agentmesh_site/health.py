"""Answers for whoever watches this process. No login, and no secrets in what is said."""

import logging
from collections.abc import Callable
from http import HTTPStatus

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from events.log import guard

logger = logging.getLogger(__name__)

OK = "ok"


@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """The process runs and answers; whether it can do its work is another question."""
    return JsonResponse({"status": OK})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Whether this process can do its work now: 200, or 503 with what is wrong by its check."""
    checks = {name: _outcome(check) for name, check in CHECKS.items()}
    well = all(outcome == OK for outcome in checks.values())
    return JsonResponse(
        {"status": OK if well else "unavailable", "checks": checks},
        status=HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE,
    )


def _outcome(check: Callable[[], str]) -> str:
    try:
        return check()
    except DatabaseError as error:
        # The error's own words may name hosts and accounts; they belong into the log alone.
        logger.error("Not ready: %s", error)  # noqa: TRY400 -- the traceback would say nothing
        return "The database does not answer as it should."


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return OK


def _migrations() -> str:
    executor = MigrationExecutor(connection)
    missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    return f"{missing} migrations are not applied. Run migrate." if missing else OK


def _log() -> str:
    """Append-only, and by the database's own word: its triggers are in place and refuse."""
    return " ".join(guard.faults()) or OK


CHECKS = {"database": _database, "migrations": _migrations, "log": _log}
