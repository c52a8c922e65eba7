"""When the silence of agents is no proof.

Where many fall silent together, it is seldom they who have gone: a server was down, a network was
cut, somebody's clock is wrong. To record them all as failed would cost them their tasks.
"""

from dataclasses import dataclass
from datetime import timedelta

FEWEST = 5  # agents; of fewer, one alone would be too large a share
ONE_IN = 5
# Agents beat at different moments: where none is heard any more, only a few fall silent in any few
# seconds. So those of a whole minute count as having done it together.
TOGETHER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Silence:
    """Of a tenant's agents in service, at a moment.

    healthy: how many are, when they were last observed, or were TOGETHER before. silent: those of
    them that are silent for longer than their timeout. undecided: those of the silent that are not
    recorded as failed.
    """

    healthy: int
    silent: int
    undecided: int

    @property
    def is_mass_loss(self) -> bool:
        """Whether more than one in five fell silent."""
        return self.healthy >= FEWEST and self.silent * ONE_IN > self.healthy
