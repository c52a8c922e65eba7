"""Whether a worker lives: its sweeps are its heartbeat.

Each sweep leaves the moment at which it last ran, by the database's clock, whichever worker ran it;
the shortest come round every few seconds. So a heartbeat costs no row and no thread of its own, and
says what it should: a worker runs, and reaches the database.
"""

from datetime import datetime

from django.db.models import Max
from django.utils import timezone

from events.models import Duty

MISSED_SECONDS = 30.0  # a worker's shortest sweep comes round every two


def last_seen() -> datetime | None:
    """When any worker last showed a sign of life; None when none ever did."""
    seen: datetime | None = Duty.objects.aggregate(seen=Max("ran_at"))["seen"]
    return seen


def age_seconds() -> float | None:
    """Since then. The database's clock may be a little ahead of ours: never below 0."""
    seen = last_seen()
    return None if seen is None else max(0.0, (timezone.now() - seen).total_seconds())


def is_alive(age: float | None) -> bool:
    """Whether a worker runs, as far as can be seen. age: as `age_seconds` tells it."""
    return age is not None and age <= MISSED_SECONDS
