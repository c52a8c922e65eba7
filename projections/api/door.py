"""What every route over rows of the log's readers has in common: what they reflect, and waiting
until they do."""

import time
from typing import ClassVar

from django.db import connection

from events.api.door import TenantDoor
from events.api.places import lent
from events.api.problem import unavailable
from events.durable.status import read_up_to

WAIT_SECONDS = 5.0
LOOK_EVERY_SECONDS = 0.05


class ReaderDoor(TenantDoor):
    """A route that shows what the subscription `reads` has made of the log."""

    reads: ClassVar[str]

    def reflected_seq(self) -> int:
        """The seq up to which rows that are read from now on reflect the log, but for streams that
        are held. With `min_seq` it waits until that is reached.

        Raises Problem: 400 for a min_seq beyond the head, 503 when it takes too long.
        """
        self.head_seq()
        wanted = self.query.whole("min_seq") or 0
        until = time.monotonic() + WAIT_SECONDS
        while (seq := read_up_to(self.tenant, self.reads)) < wanted:
            if time.monotonic() >= until:
                raise unavailable(
                    f"This is known up to seq {seq} by now, not yet to {wanted}. Try again."
                )
            connection.close()  # whoever waits keeps none from those who command
            with lent():
                time.sleep(LOOK_EVERY_SECONDS)
        return seq
