"""The worker's part: going on with every open verification for a while, the logs by turns.

Half of the time at most is spent on them, since a sweep takes as long as the pause before the next.
"""

import logging
from time import monotonic

from django.db.models import Q
from django.db.models.functions import Now

from events.durable.errors import is_away
from events.models import Verification
from events.verifications.asking import OPEN
from events.verifications.turn import TakenOver, Turn

logger = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
SECONDS = 2.0  # a worker has to be able to stop


def go_on() -> int:
    """On how many verifications something was done. Safe to run twice at once."""
    # Whoever had the fewest turns comes first: no log waits for the end of a longer one.
    due = list(
        Verification.objects.across_tenants()
        .filter(Q(leased_until=None) | Q(leased_until__lte=Now()), status__in=OPEN)
        .order_by("epoch", "requested_at")
    )
    until = monotonic() + SECONDS
    done = 0
    for number, row in enumerate(due):
        now = monotonic()
        if now >= until:
            break
        end = now + (until - now) / (len(due) - number)
        done += _turn(Turn(row, lambda end=end: monotonic() >= end))  # type: ignore[misc]
    return done


def _turn(turn: Turn) -> bool:
    """Whether it was ours. One log's trouble is logged and stops no other's; its lease runs out,
    and it is tried again."""
    try:
        return turn.run()
    except TakenOver:
        return False
    except Exception as error:
        if is_away(error):
            raise
        logger.exception("The verification of %s cannot go on now", turn.row.tenant_id)
        return False
