"""Sweeps: what is due because time has passed. Each runs in one worker at a time."""

import logging
from collections.abc import Callable
from datetime import timedelta

from django.db import connection
from django.db.models.functions import Now

from events.durable.errors import DATABASE_ERRORS, first_line, is_away, words
from events.duties import Sweep
from events.metrics import instruments
from events.models import Duty

logger = logging.getLogger(__name__)


def sweep_for_ever(sweep: Sweep, wait: Callable[[float], bool]) -> None:
    """Run the sweep whenever it is due, until `wait(seconds)` says that it is over."""
    while True:
        try:
            if _is_ours(sweep):
                run_one(sweep)
        except DATABASE_ERRORS as error:
            logger.warning("The sweep %s waits for the database: %s", sweep.name, first_line(error))
            connection.close()
        if wait(sweep.every_seconds):
            break
    connection.close()


def run_one(sweep: Sweep) -> int:
    """Run it now; how many things it did. What it raises is kept and logged, and costs no more."""
    error = None
    done = 0
    try:
        done = sweep.run()
    except Exception as failure:
        if is_away(failure):
            raise
        logger.exception("The sweep %s failed", sweep.name)
        error = words(failure)
    instruments.sweeps.labels(sweep.name, "failed" if error else "done").inc()
    Duty.objects.update_or_create(
        name=sweep.name,
        defaults={"ran_at": Now(), "last_error": error},
        create_defaults={"ran_at": Now(), "last_error": error, "next_at": Now()},
    )
    return done


def _is_ours(sweep: Sweep) -> bool:
    """Whether it is due and no other worker has taken it for this time."""
    # A little less than a whole period, or our own clock would at times be early and miss one.
    again = Now() + timedelta(seconds=sweep.every_seconds * 0.9)
    moved = Duty.objects.filter(name=sweep.name, next_at__lte=Now()).update(next_at=again)
    if moved:
        return True
    _, made = Duty.objects.get_or_create(name=sweep.name, defaults={"next_at": again})
    return made
