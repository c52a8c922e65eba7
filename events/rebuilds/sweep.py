"""The worker's part: taking up the open rebuilds, the one that waits the longest first.

One takes as long as it takes. This sweep has a thread of its own, so that it keeps nobody waiting,
and meanwhile another worker takes up the next.
"""

import logging

from django.db.models import Q
from django.db.models.functions import Now

from events import duties
from events.durable.errors import is_away
from events.models import Rebuild
from events.rebuilds.asking import OPEN
from events.rebuilds.turn import TakenOver, Turn

logger = logging.getLogger(__name__)

EVERY_SECONDS = 2.0


def go_on() -> int:
    """How many rebuilds came to their end. Safe to run twice at once."""
    due = list(
        Rebuild.objects.across_tenants()
        .filter(Q(leased_until=None) | Q(leased_until__lte=Now()), status__in=OPEN)
        .order_by("requested_at")
    )
    done = 0
    for row in due:
        if duties.is_ending():
            break
        done += _turn(Turn(row, duties.is_ending))
    return done


def _turn(turn: Turn) -> bool:
    """Whether it has ended. One rebuild's trouble stops no other's."""
    try:
        return turn.run()
    except TakenOver as taken:
        logger.info("%s", taken)
        return False
    except Exception as error:
        if is_away(error):
            raise
        # Its lease runs out, and it is begun again: a few times.
        logger.exception("The rebuild %s cannot go on now", turn.row)
        return False
